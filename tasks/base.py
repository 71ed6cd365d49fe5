"""What all tasks share: the model handle, cases, expected tool calls, outcomes, grades, facts."""

import inspect
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, validate_call
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


class Check(Data):
    """One thing that grading looks at, and what to say if it does not hold."""

    held: bool
    reason: str


class Grade(Data):
    """`passed` only if every check held; `score` is the share of checks that held, in [0, 1]."""

    passed: bool
    score: float = Field(ge=0, le=1)
    reasons: list[str] = []

    @classmethod
    def of(cls, checks: Sequence[Check]) -> "Grade":
        """The grade of at least one check."""
        failed = [check.reason for check in checks if not check.held]
        return cls(passed=not failed, score=1 - len(failed) / len(checks), reasons=failed)


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


# --- facts -----------------------------------------------------------------------------------


def normalise(text: str) -> str:
    """One spelling for comparison: NFKC, lower case, one hyphen, single spaces, no thousands separators."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("\u2010", "-").replace("**", "")
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return re.sub(r"\s+", " ", text).strip()


def states(text: str, phrase: str) -> bool:
    """Whether `phrase` stands in `text` as whole words and whole numbers.

    "8 GB" is not in "18 GB" and "1.1" is not in "1.15". Only Latin letters and digits make a
    word boundary, so that Chinese text needs no spaces.
    """
    wanted = re.escape(normalise(phrase))
    if re.match(r"\\?[a-z0-9]", wanted):
        wanted = r"(?<![a-z0-9])(?<!\d\.)" + wanted
    if re.search(r"[a-z0-9]$", wanted):
        wanted += r"(?![a-z0-9])(?!\.\d)"
    return re.search(wanted, normalise(text)) is not None


def states_fact(text: str, fact: Fact) -> bool:
    """Whether any alternative of `fact` stands in `text`."""
    return any(states(text, phrase) for phrase in fact)


def fact_checks(case: Case, answer: str) -> list[Check]:
    """A check for the answer not being empty, each required fact and each forbidden one."""
    checks = [Check(held=bool(answer.strip()), reason="the answer is empty")]
    for fact in (*case.facts, *case.must_say):
        reason = f"the answer lacks the fact {fact[0]!r}" + (" in any wording" if len(fact) > 1 else "")
        checks.append(Check(held=states_fact(answer, fact), reason=reason))
    for phrase in case.forbidden:
        checks.append(Check(held=not states(answer, phrase), reason=f"the answer states the forbidden {phrase!r}"))
    return checks


# --- tool calls ------------------------------------------------------------------------------


def canonical(value: Any) -> Any:
    """A value in the form in which arguments are compared: trimmed text, one kind of number."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        return unicodedata.normalize("NFKC", value).strip()
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in sorted(value.items()) if item is not None}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return canonical(to_jsonable_python(value))


def matches(expected: ToolCall, call: ToolCall, free: Sequence[str] = ()) -> bool:
    """Whether `call` is the expected one: tool, owner, refusal, and every argument that is not free."""
    return (expected.name, expected.agent, expected.error is None) == (
        call.name,
        call.agent,
        call.error is None,
    ) and not differing_arguments(expected, call, free)


def differing_arguments(expected: ToolCall, call: ToolCall, free: Sequence[str] = ()) -> list[str]:
    """Each differing argument in words; null and absent are the same."""
    differences = []
    for name in sorted({*expected.arguments, *call.arguments} - set(free)):
        wanted, got = canonical(expected.arguments.get(name)), canonical(call.arguments.get(name))
        if wanted != got:
            differences.append(f"{name} is {got!r} instead of {wanted!r}")
    return differences


def call_checks(
    turns: Sequence[Sequence[Step]],
    expected: Sequence[ToolCall],
    calls: Sequence[ToolCall],
    *,
    reads: frozenset[str],
    ordered: bool = False,
    other_reads: bool = True,
) -> list[Check]:
    """A check for each expected call, for their order, and for calls that nobody asked for.

    `expected` are the gold calls of `turns`, flattened. `reads` names the tools that change
    nothing; a call outside the expected ones may only be such a read (where `other_reads`) or a
    call that the tool refused. `ordered` demands that the turns happen one after the other.
    """
    checks: list[Check] = []
    unused = list(range(len(calls)))
    steps = [(turn, step) for turn, group in enumerate(turns) for step in group]
    earlier_turns_end, this_turn_end, this_turn = -1, -1, 0
    for (turn, step), gold in zip(steps, expected, strict=True):
        found = next((i for i in unused if matches(gold, calls[i], step.free)), None)
        if found is None:
            checks.append(Check(held=False, reason=_missing(gold, [calls[i] for i in unused], step.free)))
            continue
        unused.remove(found)
        checks.append(Check(held=True, reason=""))
        if turn != this_turn:
            earlier_turns_end, this_turn = this_turn_end, turn
        if ordered and found < earlier_turns_end:
            checks.append(Check(held=False, reason=f"{_shown(gold)} was called too early"))
        this_turn_end = max(this_turn_end, found)
    for call in (calls[i] for i in unused):
        if call.name in reads or call.error is not None:
            checks.append(Check(held=other_reads, reason=f"{_shown(call)} was called, but no such call was needed"))
        else:
            checks.append(Check(held=False, reason=f"{_shown(call)} is a side effect that was not asked for"))
    return checks


def _shown(call: ToolCall) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items() if value is not None)
    return f"{call.agent + '.' if call.agent else ''}{call.name}({arguments})"


def _missing(gold: ToolCall, others: Sequence[ToolCall], free: Sequence[str]) -> str:
    same_tool = [call for call in others if (call.name, call.agent) == (gold.name, gold.agent)]
    if not same_tool:
        return f"the call {_shown(gold)} is missing"
    nearest = min(same_tool, key=lambda call: len(differing_arguments(gold, call, free)))
    differences = differing_arguments(gold, nearest, free)
    if differences:
        return f"{gold.name} was called with a wrong argument: {'; '.join(differences)}"
    return f"{_shown(gold)} {'failed: ' + nearest.error if nearest.error else 'should have been refused'}"


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
