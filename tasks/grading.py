"""What all graders share: checks and grades, facts in an answer, expected and real tool calls.

Apart from `tasks.base`, because no run depends on it: after a change here, traces are graded anew
but need not be recorded anew.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

from pydantic import Field
from pydantic_core import to_jsonable_python

from tasks.base import Case, Data, Step, ToolCall

FailureKind = Literal[
    "ended with an error",
    "ended by the time-out",
    "ended by the limit on model calls",
    "the answer is empty",
    "the answer lacks a fact",
    "the answer states something forbidden",
    "gives up although the documents answer",
    "answers although the documents do not",
    "a citation is missing",
    "a citation is wrong",
    "the final state differs",
    "a tool call is missing",
    "a tool call has a wrong argument",
    "a tool call came too early",
    "a tool call was not needed",
    "a tool call did harm",
    "a tool call failed or should have",
    "other",
]
"""Why a run fails, in a few words that can be counted. The first three are said of runs that did not end with an
answer; `other` is for a check that only one task has."""

KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


class Check(Data):
    """One thing that grading looks at, and what to say if it does not hold: its kind, and the reason in full."""

    held: bool
    kind: FailureKind
    reason: str


class Grade(Data):
    """`passed` only if every check held; `score` is the share of checks that held, in [0, 1].

    `reasons` and `kinds` are those of the checks that did not hold, in their order.
    """

    passed: bool
    score: float = Field(ge=0, le=1)
    reasons: list[str] = Field(default=[])
    kinds: list[FailureKind] = Field(default=[])

    @classmethod
    def of(cls, checks: Sequence[Check]) -> "Grade":
        """The grade of at least one check."""
        failed = [check for check in checks if not check.held]
        return cls(
            passed=not failed,
            score=1 - len(failed) / len(checks),
            reasons=[check.reason for check in failed],
            kinds=[check.kind for check in failed],
        )


# --- facts -----------------------------------------------------------------------------------


@lru_cache(maxsize=1024)  # an answer is looked at for each fact, a fact in each answer
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


def states_fact(text: str, spellings: Sequence[str]) -> bool:
    """Whether any of `spellings` stands in `text`."""
    return any(states(text, phrase) for phrase in spellings)


def fact_checks(case: Case, answer: str) -> list[Check]:
    """A check for the answer not being empty, each required fact and each forbidden one."""
    checks = [Check(held=bool(answer.strip()), kind="the answer is empty", reason="the answer is empty")]
    for fact in case.facts:
        reason = f"the answer lacks the fact {fact.says[0]!r}" + (" in any wording" if len(fact.says) > 1 else "")
        checks.append(Check(held=states_fact(answer, [*fact.says, *fact.needed()]), kind="the answer lacks a fact", reason=reason))
    for phrase in case.forbidden:
        reason = f"the answer states the forbidden {phrase!r}"
        held = not states(answer, phrase)
        checks.append(Check(held=held, kind="the answer states something forbidden", reason=reason))
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
            checks.append(_missing(gold, [calls[i] for i in unused], step.free))
            continue
        unused.remove(found)
        checks.append(Check(held=True, kind="a tool call is missing", reason=""))
        if turn != this_turn:
            earlier_turns_end, this_turn = this_turn_end, turn
        if ordered and found < earlier_turns_end:
            reason = f"{_shown(gold)} was called too early"
            checks.append(Check(held=False, kind="a tool call came too early", reason=reason))
        this_turn_end = max(this_turn_end, found)
    for call in (calls[i] for i in unused):
        if call.name in reads or call.error is not None:
            reason = f"{_shown(call)} was called, but no such call was needed"
            checks.append(Check(held=other_reads, kind="a tool call was not needed", reason=reason))
        else:
            reason = f"{_shown(call)} is a side effect that was not asked for"
            checks.append(Check(held=False, kind="a tool call did harm", reason=reason))
    return checks


def _shown(call: ToolCall) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items() if value is not None)
    return f"{call.agent + '.' if call.agent else ''}{call.name}({arguments})"


def _missing(gold: ToolCall, others: Sequence[ToolCall], free: Sequence[str]) -> Check:
    """The failed check of a call that was not made as expected: what became of it instead."""
    same_tool = [call for call in others if (call.name, call.agent) == (gold.name, gold.agent)]
    if not same_tool:
        return Check(held=False, kind="a tool call is missing", reason=f"the call {_shown(gold)} is missing")
    nearest = min(same_tool, key=lambda call: len(differing_arguments(gold, call, free)))
    differences = differing_arguments(gold, nearest, free)
    if differences:
        reason = f"{gold.name} was called with a wrong argument: {'; '.join(differences)}"
        return Check(held=False, kind="a tool call has a wrong argument", reason=reason)
    reason = f"{_shown(gold)} {'failed: ' + nearest.error if nearest.error else 'should have been refused'}"
    return Check(held=False, kind="a tool call failed or should have", reason=reason)


# --- the final state -------------------------------------------------------------------------


def state_check(expected: dict[str, Any], got: dict[str, Any]) -> Check:
    """A check that a run left the state that it should: groups of entries by id, such as `{"refunds": {"R-1": …}}`.

    An absent group and an empty one are the same.
    """
    wanted, found = _entries(expected), _entries(got)
    differences = [
        f"{name} is {_entry(found.get(name))} instead of {_entry(wanted.get(name))}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]
    reason = f"the final state differs: {'; '.join(differences)}"
    return Check(held=not differences, kind="the final state differs", reason=reason)


def _entries(state: dict[str, Any]) -> dict[str, Any]:
    """`{"refunds": {"R-1": …}}` as `{"refunds R-1": …}`, in canonical form; a group without ids stays one entry."""
    entries: dict[str, Any] = {}
    for group, content in state.items():
        if isinstance(content, dict):
            entries |= {f"{group} {entry_id}": canonical(entry) for entry_id, entry in content.items()}
        elif content:
            entries[group] = canonical(content)
    return entries


def _entry(entry: Any) -> str:
    return "absent" if entry is None else repr(entry)
