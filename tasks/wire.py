"""What stands on the wire of a task: what the requests of a run are read against, by parity, the site and the probes.

Each task says it of its brief, in its own `wire.py`. No run depends on it, so after a change here traces need not be
recorded anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.base import Tool


@dataclass(frozen=True)
class SearchTool:
    """A tool that each framework makes itself: it searches `OnTheWire.passages` with one text parameter, `query`."""

    name: str
    description: str


@dataclass(frozen=True)
class Agent:
    """One agent as a request shows it.

    `hands_over_to` names the agents that it can give the turn to; `description` says when others give it the turn.
    """

    name: str
    instructions: str
    tools: tuple[Tool | SearchTool, ...]
    description: str = ""
    hands_over_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class OnTheWire:
    """One run: the user's question, and the agents, at least one, of which the first has the first turn.

    `passages` are the documents that a search tool searches, whole, by id; one search returns `k` of them.
    """

    question: str
    agents: tuple[Agent, ...]
    passages: Mapping[str, str] = field(default_factory=dict)
    k: int = 0


ONLY_AGENT = "the agent"
"""What the agent of a task with one agent is called: the name is in no request."""
