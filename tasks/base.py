"""What all tasks share: the model handle, cases, expected tool calls, outcomes, grades, facts."""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator, validate_call
from pydantic_core import to_jsonable_python

Tool = Callable[..., Any]
"""A plain, typed, documented Python function bound to the state of one run."""

Wrap = Callable[[Tool, str | None], Tool]
"""Puts a recorder around a tool; the second argument is the agent that owns the tool."""

Size = Literal["quick", "standard", "full"]
SIZES: tuple[Size, ...] = ("quick", "standard", "full")

Level = Literal[1, 2, 3, 4]
"""How hard a case is: 1 one step with few tools, 2 one step in the full setting, 3 two steps of which the second
depends on the first, conflicting sources or an error to recover from, 4 long chains and several demands at once."""

Stance = Literal["answer", "refuse", "abstain", "missing", "denied"]
"""What a right answer does: it answers; it refuses, because nobody here can do it; it abstains, because the documents
do not say; it says that there is no such thing; it reports that a tool refused."""


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


_QUANTITY = re.compile(
    r"[€$£]?\s?(?P<low>\d[\d,]*(?:\.\d+)?)(?:\s?(?:-|–|to)\s?(?P<high>\d+(?:\.\d+)?))?\s?(?P<unit>[^\W\d][^\d]*|%|)"
)
_RANGE_WORDS = ("-", " - ", "–", " to ", " and ", " 到 ", "到", " 至 ", "至")


class Fact(Data):
    """One thing that an answer must state: any of `says`. In JSON a string or a list may stand for it.

    `about` names the subject that the value belongs to, in any of its names; it is given where two values of an
    answer could be swapped. A value carries its unit ("69.90 EUR", "94 Mbit/s", "2026-04-08"): the graders read
    numbers, units, currencies and dates, so that `says` lists alternatives for words only. `derived` is true where
    the model works the value out itself, so that it stands in nothing that it is sent.
    """

    says: list[str] = Field(min_length=1)
    about: list[str] = []
    derived: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            value = {"says": value}
        single = {name: [value[name]] for name in ("says", "about") if isinstance(value.get(name), str)}
        return {**value, **single}

    def needed(self) -> list[str]:
        """What must stand in the messages, in any of these spellings, before a model can know the fact.

        Of a quantity that is the number, as tools give it ("69.90", "69.9"), bare or with the unit. Empty where the
        fact is `derived`.
        """
        if self.derived:
            return []
        return list(dict.fromkeys(spelling for phrase in self.says for spelling in _spellings(phrase)))


def _spellings(phrase: str) -> list[str]:
    quantity = _QUANTITY.fullmatch(phrase.strip())
    if quantity is None:
        return [phrase]
    low, high, unit = quantity["low"].replace(",", ""), quantity["high"], quantity["unit"].strip()
    value = float(low)
    numbers = [f"{low}{to}{high}" for to in _RANGE_WORDS] if high else [low, f"{value:.2f}", str(value), f"{value:g}"]
    return [spelling for number in numbers for spelling in (number, f"{number} {unit}".strip(), f"{number}{unit}")]


class Case(Data):
    """One question of a task and what is expected. Tasks add their own fields.

    `facts` must be stated by the answer, and stand in what the model was sent. `stance` says what a right answer
    does. An answer may state values of the question, of the facts, of what the expected calls give, and those
    `allowed`; any other id, amount, date or count fails it, and so does what is `forbidden`. `answer` is a right
    answer in full. What older traces hold as `must_say` is read as facts.
    """

    expectation: ClassVar[frozenset[str]] = frozenset(
        {"id", "kind", "level", "size", "facts", "stance", "allowed", "forbidden", "answer"}
    )
    """The fields that a run does not depend on, only its grade (and how the scripted model plays it)."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    kind: str
    level: Level = 2
    size: Size
    question: str = Field(min_length=1)
    facts: list[Fact] = []
    stance: Stance = "answer"
    allowed: list[str] = []
    forbidden: list[str] = []
    answer: str = Field(min_length=1)

    def inputs(self) -> dict[str, Any]:
        """The fields that a run depends on: the question and the starting state."""
        return self.model_dump(exclude=set(self.expectation))

    def needs(self) -> list[list[str]]:
        """What must stand in the messages before the scripted model may give the answer, each in any spelling."""
        return [needed for fact in self.facts if (needed := fact.needed())]

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, value: Any) -> Any:
        if isinstance(value, dict) and "must_say" in value:
            phrases = [{"says": fact, "derived": True} for fact in value["must_say"]]
            rest = {name: field for name, field in value.items() if name != "must_say"}
            return {**rest, "facts": [*value.get("facts", []), *phrases]}
        return value


class Script(Data):
    """How the scripted model plays a case. See `evaluator/upstreams/scripted.py`.

    `turns` are groups of tool calls that may be made together; `searches` are queries for whatever
    search tool is offered. `needs` are what must stand in the messages, each in any of its spellings, before
    `answer` may be given.
    """

    turns: list[list[Step]] = []
    searches: list[str] = []
    needs: list[list[str]] = []
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
    """What a run did: the answer, the tool calls in order of their start, the final state.

    `retrieved` are the ids of the documents that stood in what the model was sent; None where that is not known.
    """

    answer: str
    tool_calls: list[ToolCall] = []
    final_state: dict[str, Any] = {}
    retrieved: list[str] | None = None


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
