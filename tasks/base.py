"""What all tasks share: the model handle, cases, expected tool calls, outcomes, grades, facts."""

import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, validate_call
from pydantic_core import to_jsonable_python

Tool = Callable[..., Any]
"""A plain, typed, documented Python function bound to the state of one run."""

Wrap = Callable[[Tool, str | None], Tool]
"""Puts a recorder around a tool; the second argument is the agent that owns the tool."""

Size = Literal["quick", "standard", "full"]
SIZES: tuple[Size, ...] = ("quick", "standard", "full")


class ToolError(Exception):
    """A tool says no, in words meant for the model: unknown id, forbidden refund, outage."""


class CasesError(ValueError):
    """A cases file cannot be used. The message names the file, the line and the field."""


class Data(BaseModel):
    """Base of everything read from JSON: unknown fields are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Data):
    """What an implementation needs to reach the model: an OpenAI-compatible endpoint and limits.

    `base_url` belongs to this run alone. `timeout_s` is in seconds of wall time for the whole run.
    """

    name: str
    base_url: str
    api_key: str
    embedding_name: str
    temperature: float
    max_model_calls: int
    timeout_s: float
    _reported_usage: tuple[int, int] | None = PrivateAttr(default=None)

    @property
    def reported_usage(self) -> tuple[int, int] | None:
        """Prompt and completion tokens of the whole run by the framework's own account; None if it gave none."""
        return self._reported_usage

    def report_usage(self, input_tokens: int | None, output_tokens: int | None) -> None:
        """Hand over what the framework itself shows its user as the tokens of this run.

        It is kept beside what the wire says, and never in its place. Does nothing where either is None.
        """
        if input_tokens is not None and output_tokens is not None:
            self._reported_usage = (input_tokens, output_tokens)


class Step(Data):
    """One expected tool call.

    `free` names arguments whose wording is not compared (a ticket's text, say). `needs` lists
    strings that must have been seen before the call can be made (an id from an earlier result).
    `error` is true where the tool is expected to refuse or fail.
    """

    tool: str
    arguments: dict[str, Any] = {}
    free: list[str] = []
    agent: str | None = None
    needs: list[str] = []
    error: bool = False


Fact = list[str]
"""Alternatives, any of which states the fact. In JSON a single string may stand for the list."""


class Case(Data):
    """One question of a task and what is expected. Tasks add their own fields.

    `facts` must stand in the answer *and* in what the model was sent; `must_say` must stand in the
    answer only (wording such as a refusal); `forbidden` must not stand in the answer. `answer` is
    a right answer in full.
    """

    expectation: ClassVar[frozenset[str]] = frozenset(
        {"id", "kind", "size", "facts", "must_say", "forbidden", "answer"}
    )
    """The fields that a run does not depend on, only its grade (and how the scripted model plays it)."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    kind: str
    size: Size
    question: str = Field(min_length=1)
    facts: list[Fact] = []
    must_say: list[Fact] = []
    forbidden: list[str] = []
    answer: str = Field(min_length=1)

    def inputs(self) -> dict[str, Any]:
        """The fields that a run depends on: the question and the starting state."""
        return self.model_dump(exclude=set(self.expectation))

    @field_validator("facts", "must_say", mode="before")
    @classmethod
    def _single_string_is_one_alternative(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [[fact] if isinstance(fact, str) else fact for fact in value]
        return value


class Script(Data):
    """How the scripted model plays a case. See `evaluator/upstreams/scripted.py`.

    `turns` are groups of tool calls that may be made together; `searches` are queries for whatever
    search tool is offered. `needs` are the facts that must stand in the messages before `answer`
    may be given.
    """

    turns: list[list[Step]] = []
    searches: list[str] = []
    needs: list[Fact] = []
    answer: str


class ToolCall(Data):
    """One call of a tool's Python function as it really happened.

    `arguments` are in canonical form: bound to the signature, defaults filled in, as JSON.
    """

    agent: str | None = None
    name: str
    arguments: dict[str, Any]
    result: Any = None
    error: str | None = None


class Outcome(Data):
    """What a run did: the answer, the tool calls in order of their start, the final state."""

    answer: str
    tool_calls: list[ToolCall] = []
    final_state: dict[str, Any] = {}


@dataclass(frozen=True)
class Prepared:
    """A run about to start: the brief for the implementation, and a reader of the final state."""

    brief: Any
    final_state: Callable[[], dict[str, Any]]


def unwrapped(tool: Tool, agent: str | None) -> Tool:
    """The `Wrap` that records nothing."""
    return tool


# --- cases -----------------------------------------------------------------------------------

CaseT = TypeVar("CaseT", bound=Case)


def load_cases(path: Path, case_type: type[CaseT]) -> list[CaseT]:
    """Read one case a line. Raises `CasesError` naming file, line and field of the first mistake."""
    cases: list[CaseT] = []
    lines_of: dict[str, int] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CasesError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            case = case_type.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the line"
            raise CasesError(f"{path}:{number}: {field}: {first['msg']}") from None
        if case.id in lines_of:
            raise CasesError(f"{path}:{number}: id: {case.id!r} is used in line {lines_of[case.id]} already")
        lines_of[case.id] = number
        cases.append(case)
    if not cases:
        raise CasesError(f"{path}: has no cases")
    return cases


def of_size(cases: Iterable[CaseT], size: Size) -> list[CaseT]:
    """The cases that belong to `size`: quick is part of standard, standard of full."""
    return [case for case in cases if SIZES.index(case.size) <= SIZES.index(size)]


# --- tool calls ------------------------------------------------------------------------------


def play(steps: Sequence[Step], tools: dict[str, Tool]) -> list[ToolCall]:
    """Make the expected calls on real tools, in order; used for gold outcomes and final states.

    Raises `ToolError` where a step should have worked, `AssertionError` where it should not have.
    """
    calls: list[ToolCall] = []
    for step in steps:
        result, error = None, None
        try:
            result = to_jsonable_python(validate_call(tools[step.tool])(**step.arguments))
        except ToolError as refusal:
            if not step.error:
                raise
            error = str(refusal)
        if step.error and error is None:
            raise AssertionError(f"{step.tool} should have failed")
        arguments = bound_arguments(tools[step.tool], (), step.arguments)
        calls.append(ToolCall(agent=step.agent, name=step.tool, arguments=arguments, result=result, error=error))
    return calls


def bound_arguments(tool: Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name with defaults filled in, as JSON values.

    Raises `TypeError` where they do not fit the signature.
    """
    bound = inspect.signature(tool).bind(*args, **kwargs)
    bound.apply_defaults()
    jsonable: dict[str, Any] = json.loads(json.dumps(to_jsonable_python(bound.arguments)))
    return jsonable
