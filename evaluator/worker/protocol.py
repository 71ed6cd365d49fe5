"""What harness and worker say to each other, one JSON object a line. Needs the standard library and pydantic.

The harness sends a `Job` for each run, and `TimeUp` where one is to end before the job says so. The worker answers with
events: one `Ready`, or `Failed` where it cannot serve; then for each job any number of `ToolCall` and `Told`, and one
`Done`. At `END` the worker finishes and ends by itself. Moments are readings in seconds of the monotonic clock that
both share.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter

from evaluator.worker.faulty import Faulty
from tasks.base import Model
from tasks.capability import Setting

END = b"null\n"
"""In place of a job: there are no more."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def line(self) -> bytes:
        """The message as it goes over the pipe. Raises `TypeError` or `ValueError` where a value is no JSON."""
        # Not pydantic's own writer: that one refuses lone surrogates, which models do write.
        return json.dumps(dict(self), default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else dict(value)


class Job(_Message):
    """One run to make, with a module of the framework's folder: `case` is data for the `CASE_TYPE` of the module
    `spec`. `run` names it in events.

    `faulty` says what of its tools or documents goes wrong on purpose. `setting` is there for a capability task.
    """

    run: str
    module: str
    spec: str
    case: dict[str, Any]
    model: Model
    faulty: Faulty | None = None
    setting: Setting | None = None


class TimeUp(_Message):
    """A run has no time left, for a reason that the worker cannot know: time does not pass for it while its calls wait
    for limits of the model's server."""

    over: str


class Ready(_Message):
    """The implementations are imported, but for those that cannot be. `memory_mb` is in MB (10^6 bytes)."""

    event: Literal["ready"] = "ready"
    import_s: FiniteFloat
    memory_mb: FiniteFloat
    python: str


class ToolCall(_Message):
    """A tool of a run was called. Of arguments and a result that are no JSON values only the type is told."""

    event: Literal["tool_call"] = "tool_call"
    run: str
    agent: str | None
    name: str
    arguments: dict[str, Any]
    result: Any
    error: str | None
    start: FiniteFloat
    end: FiniteFloat


class Told(_Message):
    """Something was observed in a run of a capability task, by name: see the `drive` of the task's spec."""

    event: Literal["told"] = "told"
    run: str
    what: str
    value: Any
    at: FiniteFloat


class Done(_Message):
    """A run has ended. `error` says why, unless it answered. A run that never began has no more than that.

    `reported_usage` are prompt and completion tokens by the framework's account, whatever it took for such.
    """

    event: Literal["done"] = "done"
    run: str
    answer: str = ""
    error: str | None = None
    start: FiniteFloat | None = None
    end: FiniteFloat | None = None
    cpu_s: FiniteFloat | None = None
    peak_memory_mb: FiniteFloat | None = None
    reported_usage: tuple[Any, Any] | None = None
    final_state: dict[str, Any] = {}


class Failed(_Message):
    """The worker is about to end, since it cannot serve."""

    event: Literal["failed"] = "failed"
    error: str


Event = Ready | ToolCall | Told | Done | Failed
_ORDERS: TypeAdapter[Job | TimeUp] = TypeAdapter(Job | TimeUp)
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def event_of(line: bytes) -> Event | None:
    """The event that a line holds; None where it holds none, whatever a framework may have written there."""
    try:
        return _EVENTS.validate_python(json.loads(line))
    except (ValueError, RecursionError):
        return None


def order_of(line: str) -> Job | TimeUp | None:
    """What a line from the harness holds; None at the end. Raises `ValueError` where it holds nothing of that."""
    held = json.loads(line)
    return None if held is None else _ORDERS.validate_python(held)
