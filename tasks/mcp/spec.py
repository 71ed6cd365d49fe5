"""What an implementation receives: a server of tools, as a command to start it or as its address."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.base import Prepared, Step, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Setting
from tasks.cases import load_cases

INSTRUCTIONS = "You answer questions about the stock of a warehouse. Use the tools, then answer in one sentence."

TOOL_TIMEOUT_S = 20.0

THINKS_S = 1.0
"""Seconds that the model takes for each reply where a description changes, as real ones do: time to list tools anew."""

Behaviour = Literal["plain", "dies", "slow", "changes"]
"""What the server does: it answers; its process ends in the middle of a call; it answers after `SLOW_S`; after its
first call the tool's description is another, of which it tells."""


@dataclass(frozen=True)
class McpBrief:
    """What an implementation receives.

    The server is to be started by `command`, and speaks over standard input and output; or it is there already, and
    speaks streamable HTTP at `url`. A call of a tool may take `tool_timeout_s`. A run must not leave its server behind.
    """

    instructions: str
    question: str
    command: tuple[str, ...] | None
    url: str | None
    tool_timeout_s: float


class McpCase(CapabilityCase):
    """A question, the calls of the server's tool that it takes, and how the server is reached and behaves."""

    transport: Literal["stdio", "http"]
    behaviour: Behaviour = "plain"
    turns: list[list[Step]]
    answer: str


CASE_TYPE = McpCase


def load() -> list[McpCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), McpCase)


def prepare(case: McpCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a run. Its tools are the server's."""
    command: Any = setting.servers.get("command")
    brief = McpBrief(
        instructions=INSTRUCTIONS,
        question=case.question,
        command=tuple(command) if command else None,
        url=setting.servers.get("url"),
        tool_timeout_s=TOOL_TIMEOUT_S,
    )
    return Prepared(brief=brief, final_state=dict)


def play(case: McpCase) -> Play:
    """How the scripted model plays the case. Frameworks may call a server's tool by a longer name."""
    thinks_s = THINKS_S if case.behaviour == "changes" else 0.0
    return Play(turns=case.turns, answer=case.answer, server=(case.transport, case.behaviour), thinks_s=thinks_s)
