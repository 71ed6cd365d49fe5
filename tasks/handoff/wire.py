"""What stands on the wire of `handoff`: four agents that hand over to one another."""

from tasks.handoff.spec import HandoffBrief
from tasks.wire import Agent, OnTheWire


def on_the_wire(brief: HandoffBrief) -> OnTheWire:
    """What the requests of a run are read against."""
    agents = [
        Agent(agent.name, agent.instructions, tuple(agent.tools), agent.description, tuple(agent.handoffs))
        for agent in brief.agents
    ]
    return OnTheWire(brief.question, tuple(agents))
