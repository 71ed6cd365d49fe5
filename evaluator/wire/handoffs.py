"""How a tool that hands over to another agent is known: every framework names it in its own way."""

import re
from collections.abc import Iterable

_WORDS = re.compile(r"hand.?(off|over)|transfer|delegate|route|coworker", re.IGNORECASE)


def is_handoff(tool: str, agents: Iterable[str] = ()) -> bool:
    """Whether a tool's name says that it hands over, or is that of one of `agents` with other words around it."""
    return bool(_WORDS.search(tool)) or any(names_agent(tool, agent) for agent in agents)


def names_agent(tool: str, agent: str) -> bool:
    """Whether a tool's name has an agent's name among its words, as `transfer_to_billing` has `billing`."""
    return agent in re.split(r"[^a-z]+", tool.lower())
