"""What stands on the wire of a conversation of BFCL: one agent with its tools, and what the user says first."""

from tasks.conversation import ConversationBrief
from tasks.wire import ONLY_AGENT, Agent, OnTheWire


def on_the_wire(brief: ConversationBrief) -> OnTheWire:
    """What the first request of a run is read against."""
    return OnTheWire(next(iter(brief.messages)), (Agent(ONLY_AGENT, brief.instructions, tuple(brief.tools)),))
