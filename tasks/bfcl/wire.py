"""What stands on the wire of `bfcl`: one agent with the functions of its case."""

from tasks.tool_calling.spec import ToolCallingBrief
from tasks.wire import ONLY_AGENT, Agent, OnTheWire


def on_the_wire(brief: ToolCallingBrief) -> OnTheWire:
    """What the requests of a run are read against."""
    return OnTheWire(brief.question, (Agent(ONLY_AGENT, brief.instructions, tuple(brief.tools)),))
