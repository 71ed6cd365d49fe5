"""What capability tasks share: how the harness makes a run of one, how the scripted model plays it, what is observed.

A capability task is about one thing that a framework can do, or cannot. Its folder has `observe.py` in place of
`grade.py`: what is right is read from outside, from requests, effects and times, never from what the framework says.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.base import Data, Model, ToolCall
from tasks.cases import Identified, Script

Tell = Callable[[str, Any], None]
"""Tells the harness of something that was observed in the worker, by name, with a JSON value."""


FIRST_MODEL = "first-model"
"""What the model is called that implementations are given."""


class CapabilityCase(Identified):
    """One thing to be tried. `title` says in a few words what it is, after "when": it stands in cells of tables."""

    title: str
    question: str

    def inputs(self) -> dict[str, Any]:
        """The fields that a run depends on: all of them."""
        return self.model_dump()


class Setting(Data):
    """What one process of a run is given beside its case.

    `part` numbers the processes of the run, from 1; `store` is a folder that outlives them, the only thing that they
    share. `servers` are what the harness started for the run: a name, and its address or its command. The process ends
    itself at the beginning of the tool `killed_on`, once each tool of `killed_after` has run.
    """

    part: int = 1
    store: Path
    killed_on: str | None = None
    killed_after: list[str] = Field(default=[])
    servers: dict[str, Any] = Field(default={})


NOWHERE = Setting(store=Path())
"""The setting of a brief that is only looked at."""


class Refusal(Data):
    """The model's server refuses: the first `times` calls (None: all) that name `model` (None: any) and hold the text
    `voice` (None: any)."""

    status: int
    times: int | None = None
    model: str | None = None
    voice: str | None = None
    retry_after_s: int | None = None
    says: str = ""


class Play(Script):
    """How the model and its server behave in a run, and how many processes make it.

    `turns` and `answer` are played by what a request shows: a turn is over once all of its calls have results.

    `parts`: how many processes make the run, one after the other. `withheld`: the call to the model, from 0, that is
    never answered; then the first process is killed. `killed_on`: the tool on whose beginning the first process
    ends itself, once the calls of the turn before it have ended.
    `thinks_s`: seconds before each reply. `space_s`: seconds between the pieces of a stream. `together`: so many calls
    are answered only once all are there.
    `refusals`: how the server refuses. `stalled_s`: so many seconds the first call waits.
    `voices`: who a request is from, by a text in it, and what is replied; the first that fits.
    `output`, `spoiled`: values for a typed result; `spoiled` is given first, if there is one.
    `known`: facts that the user tells, each by the question that asks for it later; `told` is what they say then.
    `server`: the transport and the behaviour of the server of tools that the harness keeps for the run.
    """

    parts: int = 1
    withheld: int | None = None
    killed_on: str | None = None
    thinks_s: float = 0.0
    space_s: float = 0.0
    together: int = 1
    refusals: list[Refusal] = Field(default=[])
    stalled_s: float = 0.0
    voices: dict[str, str] = Field(default={})
    output: dict[str, Any] | None = None
    spoiled: dict[str, Any] | None = None
    known: dict[str, str] = Field(default={})
    told: str = ""
    server: tuple[str, str] | None = None


@dataclass(frozen=True)
class Request:
    """One call to the model, as the gateway saw it. Times are in seconds since the start of the run.

    `text` is all that it says: messages, and arguments of calls, as they read without escapes. `left_s` is when the
    connection was closed by the framework before it had all. `reply` is the text of the answer, if one came.
    """

    part: int
    body: Mapping[str, Any]
    text: str
    model: str
    status: int
    answered: bool
    start_s: float
    first_byte_s: float
    end_s: float
    left_s: float | None
    reply: str
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True)
class Effect:
    """A tool that really ran, in process `part` of the run."""

    part: int
    call: ToolCall
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Told:
    """Something that was observed in process `part`, by name: see the `drive` of the task's spec."""

    part: int
    what: str
    value: Any
    at_s: float


@dataclass(frozen=True)
class Part:
    """One process of a run: `ended` is `answered`, `error`, `timeout` or `killed`."""

    ended: str
    answer: str
    error: str | None
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Observed:
    """All that was seen of one run. `frames` are the messages of a server that the harness ran, by its own log.

    `children` are processes that were left behind after the last part.
    """

    parts: Sequence[Part]
    requests: Sequence[Request]
    effects: Sequence[Effect]
    told: Sequence[Told]
    frames: Sequence[Mapping[str, Any]] = ()
    children: int = 0
    reported_usage: tuple[int, int] | None = None

    @property
    def answer(self) -> str:
        """The answer of the last part; empty where there is none."""
        return self.parts[-1].answer if self.parts else ""

    @property
    def error(self) -> str | None:
        """Why the last part failed, if it did."""
        return self.parts[-1].error if self.parts else "it never began"

    def effects_of(self, tool: str) -> list[Effect]:
        """The calls of one tool that really ran, in order."""
        return [effect for effect in self.effects if effect.call.name == tool]

    def said(self, what: str) -> list[Told]:
        """What was told under this name, in order."""
        return [one for one in self.told if one.what == what]


class Check(Data):
    """One thing that is looked at: its name, whether it held, and what to say where it did not."""

    name: str
    held: bool
    reason: str = ""


def finished(observed: Observed, answer: str) -> Check:
    """Whether the run ended with the right answer."""
    why = observed.error or f"it answered {observed.answer[:200]!r}"
    return Check(
        name="finished",
        held=observed.error is None and answer in observed.answer,
        reason=f"it is not finished right: {why}",
    )


def times(number: int) -> str:
    """A count in words: never, once, twice, 3 times."""
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def shown(arguments: Mapping[str, Any]) -> str:
    """Arguments of a call as they are shown to people."""
    return json.dumps(arguments, ensure_ascii=False)


async def drive(implementation: Any, case: Any, brief: Any, model: Model, setting: Setting, tell: Tell) -> str:
    """How one process makes its part of a run, where a task's spec has no `drive` of its own: by `run`."""
    return as_text(await implementation.run(brief, model))


def as_text(answer: Any) -> str:
    """The answer of an implementation. Raises `TypeError` for one that is no text."""
    if not isinstance(answer, str):
        raise TypeError(f"the answer is not a text but {type(answer).__name__}")
    return answer
