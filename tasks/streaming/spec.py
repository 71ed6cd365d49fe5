"""What an implementation receives: a question whose answer is to be handed over in pieces, as the model gives it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.base import Model, Prepared, Step, Tool, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Setting, Tell
from tasks.cases import load_cases

INSTRUCTIONS = "You tell travellers about trains. Use the tools for what you do not know, and answer in full sentences."

SPACE_S = 0.1
"""Seconds between the pieces of the model's answer."""


@dataclass(frozen=True)
class ToolStarted:
    """The model has called a tool, and the framework is about to run it."""

    tool: str


@dataclass(frozen=True)
class ToolEnded:
    """A tool has given its result."""

    tool: str


@dataclass(frozen=True)
class StreamingBrief:
    """What an implementation receives."""

    instructions: str
    question: str
    tools: list[Tool]


class StreamingCase(CapabilityCase):
    """A question, the calls that come before the answer, and after how many pieces the reader has had enough."""

    turns: list[list[Step]] = Field(default=[])
    answer: str
    enough: int | None = None


CASE_TYPE = StreamingCase


def departures(station: str) -> list[str]:
    """The next trains of a station.

    Args:
        station: The name of the station.
    """
    return [f"{station} 10:04 ICE 592", f"{station} 10:31 RE 7"]


def load() -> list[StreamingCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), StreamingCase)


def prepare(case: StreamingCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a run."""
    return Prepared(brief=StreamingBrief(INSTRUCTIONS, case.question, [wrap(departures, None)]), final_state=dict)


def play(case: StreamingCase) -> Play:
    """How the scripted model plays the case: a word of its answer at a time."""
    return Play(turns=case.turns, answer=case.answer, space_s=SPACE_S)


async def drive(
    implementation: Any, case: StreamingCase, brief: StreamingBrief, model: Model, setting: Setting, tell: Tell
) -> str:
    """What `stream` yields is told as it comes: pieces of text, and tools that start and end.

    A reader who has had enough closes the generator, as a web server does whose client has gone.
    """
    pieces: list[str] = []
    stream = implementation.stream(brief, model)
    try:
        async for one in stream:
            if isinstance(one, str):
                tell("piece", one)
                pieces.append(one)
            else:
                tell("started" if isinstance(one, ToolStarted) else "ended", one.tool)
            if case.enough is not None and len(pieces) >= case.enough:
                break
    finally:
        tell("closing", None)
        await stream.aclose()
        tell("closed", None)
    return "".join(pieces)
