"""The checks of tool calls and of the state that they leave: what was expected, in any way of asking for it.

A read is the expected one if it gives at least what that gives. Which tools read, and which arguments may be written
in several ways, the task says.
"""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import to_jsonable_python

from tasks.base import Step, ToolCall
from tasks.cases import Case
from tasks.grading.checks import Check, FailureKind
from tasks.grading.text import readable
from tasks.grading.values import Value, values_in, values_of_data

MOST_CALLS = 1_000
"""Tool calls of a run that are read. No agent that does well makes as many."""


@dataclass(frozen=True)
class Tools:
    """What graders must know of a task's tools.

    `reads` name the tools that change nothing. The rest are names of arguments (or of fields within them): of
    `any_case` the letter case means nothing, of `any_order` the order of a list; `narrowing` ones of a read only leave
    things out of its result where they are given; a read with a list `one_by_one` may be made in several calls.
    """

    reads: frozenset[str]
    any_case: frozenset[str] = frozenset()
    any_order: frozenset[str] = frozenset()
    narrowing: frozenset[str] = frozenset()
    one_by_one: frozenset[str] = frozenset()


def canonical(value: Any, tools: Tools | None = None, name: str = "") -> Any:
    """A value in the form in which arguments are compared: trimmed text, one kind of number, and as `tools` allow.

    `name` is that of the argument or field.
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        text = " ".join(unicodedata.normalize("NFKC", value).split())
        return text.casefold() if tools and name in tools.any_case else text
    if isinstance(value, dict):
        return {key: canonical(item, tools, key) for key, item in sorted(value.items()) if item is not None}
    if isinstance(value, list | tuple):
        items = [canonical(item, tools, name) for item in value]
        return sorted(items, key=json.dumps) if tools and name in tools.any_order else items
    return canonical(to_jsonable_python(value), tools, name)


def differing_arguments(
    expected: ToolCall, call: ToolCall, free: Sequence[str] = (), tools: Tools | None = None
) -> list[str]:
    """Each differing argument in words; null and absent are the same."""
    differences = []
    reads = tools is not None and expected.name in tools.reads
    for name in sorted({*expected.arguments, *call.arguments} - set(free)):
        wanted = canonical(expected.arguments.get(name), tools, name)
        got = canonical(call.arguments.get(name), tools, name)
        if wanted != got and not (reads and tools and _gives_more(name, wanted, got, tools)):
            differences.append(f"{name} is {got!r} instead of {wanted!r}")
    return differences


def _gives_more(name: str, wanted: Any, got: Any, tools: Tools) -> bool:
    """Whether a read asks for more than it was to: without what narrows it, or for more of a list."""
    if name in tools.narrowing:
        return got is None
    return name in tools.one_by_one and isinstance(got, list) and all(item in got for item in wanted or [])


def matches(expected: ToolCall, call: ToolCall, free: Sequence[str] = (), tools: Tools | None = None) -> bool:
    """Whether `call` is the expected one: tool, owner, refusal, and every argument that is not free."""
    return _same_tool(expected, call) and not differing_arguments(expected, call, free, tools)


def _same_tool(expected: ToolCall, call: ToolCall) -> bool:
    return (expected.name, expected.agent, expected.error is None) == (call.name, call.agent, call.error is None)


def _one_by_one(gold: ToolCall, calls: Sequence[ToolCall], unused: Sequence[int], tools: Tools) -> list[int]:
    """The calls that together give what the expected read with a list gives; none where they do not."""
    for name in tools.one_by_one & gold.arguments.keys() if gold.name in tools.reads else ():
        wanted = canonical(gold.arguments[name], tools, name)
        parts = [
            index
            for index in unused
            if _same_tool(gold, calls[index]) and not differing_arguments(gold, calls[index], [name], tools)
        ]
        got = [item for index in parts for item in canonical(calls[index].arguments.get(name) or [], tools, name)]
        if all(item in got for item in wanted or []):
            return parts
    return []


def call_checks(
    turns: Sequence[Sequence[Step]],
    expected: Sequence[ToolCall],
    calls: Sequence[ToolCall],
    *,
    tools: Tools,
    ordered: bool = False,
    other_reads: bool = True,
) -> list[Check]:
    """A check for each expected call, for their order, and for calls that nobody asked for.

    `expected` are the gold calls of `turns`, flattened. A call outside the expected ones may only be a read (where
    `other_reads`) or a call that the tool refused. `ordered` demands that the turns happen one after the other. Of more
    than `MOST_CALLS` calls the first are read, and one more check fails.
    """
    checks: list[Check] = []
    made, calls = len(calls), calls[:MOST_CALLS]
    unused = list(range(len(calls)))
    steps = [(turn, step) for turn, group in enumerate(turns) for step in group]
    earlier_turns_end, this_turn_end, this_turn = -1, -1, 0
    for number, ((turn, step), gold) in enumerate(zip(steps, expected, strict=True)):
        name = f"call {number}"
        found = [i for i in unused if matches(gold, calls[i], step.free, tools)][:1]
        found = found or _one_by_one(gold, calls, unused, tools)
        if not found:
            checks.append(_missing(name, gold, [calls[i] for i in unused], step.free, tools))
            continue
        used = set(found)
        unused = [i for i in unused if i not in used]
        checks.append(_check(name, True, "a tool call is missing", ""))
        if turn != this_turn:
            earlier_turns_end, this_turn = this_turn_end, turn
        if ordered and found[0] < earlier_turns_end:
            checks.append(
                _check(f"order {number}", False, "a tool call came too early", f"{_shown(gold)} was called too early")
            )
        this_turn_end = max(this_turn_end, *found)
    for call in (calls[i] for i in unused):
        if call.name in tools.reads or call.error is not None:
            reason = f"{_shown(call)} was called, but no such call was needed"
            checks.append(_check("other reads", other_reads, "a tool call was not needed", reason))
        else:
            reason = f"{_shown(call)} is a side effect that was not asked for"
            checks.append(_check("side effects", False, "a tool call did harm", reason))
    if made > len(calls):
        reason = f"{made:,} tool calls were made, of which the first {len(calls):,} were read"
        checks.append(_check("number of calls", False, "a tool call was not needed", reason))
    return checks


def _check(name: str, held: bool, kind: FailureKind, reason: str) -> Check:
    return Check(name=name, part="calls", held=held, kind=kind, reason=reason)


def _shown(call: ToolCall) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items() if value is not None)
    return f"{call.agent + '.' if call.agent else ''}{call.name}({arguments})"


def _missing(name: str, gold: ToolCall, others: Sequence[ToolCall], free: Sequence[str], tools: Tools) -> Check:
    """The failed check of a call that was not made as expected: what became of it instead."""
    same_tool = [call for call in others if (call.name, call.agent) == (gold.name, gold.agent)]
    if not same_tool:
        return _check(name, False, "a tool call is missing", f"the call {_shown(gold)} is missing")
    nearest = min(same_tool, key=lambda call: len(differing_arguments(gold, call, free, tools)))
    differences = differing_arguments(gold, nearest, free, tools)
    if differences:
        reason = f"{gold.name} was called with a wrong argument: {'; '.join(differences)}"
        return _check(name, False, "a tool call has a wrong argument", reason)
    reason = f"{_shown(gold)} {'failed: ' + nearest.error if nearest.error else 'should have been refused'}"
    return _check(name, False, "a tool call failed or should have", reason)


def verbs_of(gold: Sequence[ToolCall], tools: Tools) -> frozenset[str]:
    """The verbs of the changes that the expected calls make, by the tools' names; not of one that is also to fail."""
    changes = [call for call in gold if call.name not in tools.reads]
    failing = {call.name for call in changes if call.error is not None}
    return frozenset(call.name.partition("_")[0] for call in changes if call.name not in failing)


def found_by_reads(case: Case, gold: Sequence[ToolCall], calls: Sequence[ToolCall], tools: Tools) -> list[Value]:
    """The values of reads beyond the expected ones, as far as they are about what the question is about.

    Such a read has only ids that stand in the question, in the gold calls and their results, or in a read like it. Ids
    of the kinds that the facts have (the letters before the number) are left out: to list more of them is another
    answer.
    """
    others = [
        call for call in calls[:MOST_CALLS] if call not in gold and call.name in tools.reads and call.error is None
    ]
    if not others:
        return []
    asked = {_letters(value.name) for fact in case.facts for phrase in fact.says for value in _values_of(phrase)}
    known = {value.name for value in _values_of(case.question)}
    known.update(value.name for call in gold for value in _values_of_call(call))
    found: list[Value] = []
    for call in others:
        inputs = {value.name for value in values_of_data(call.arguments, readable=readable)}
        if inputs <= known | {""}:
            values = list(_values_of_call(call))
            known.update(value.name for value in values)
            found += [value for value in values if value.kind != "id" or _letters(value.name) not in asked]
    return list(dict.fromkeys(found))


def _letters(name: str) -> str:
    return name.rstrip("0123456789")


@lru_cache(maxsize=2048)
def _values_of(text: str) -> tuple[Value, ...]:
    return values_in(readable(text))


def _values_of_call(call: ToolCall) -> Iterator[Value]:
    yield from values_of_data([call.arguments, call.result, call.error], readable=readable)


# --- the final state -------------------------------------------------------------------------


def state_check(expected: dict[str, Any], got: dict[str, Any], tools: Tools | None = None) -> Check:
    """A check that a run left the state that it should: groups of entries by id, such as `{"refunds": {"R-1": …}}`.

    An absent group and an empty one are the same.
    """
    wanted, found = _entries(expected, tools), _entries(got, tools)
    differences = [
        f"{name} is {_entry(found.get(name))} instead of {_entry(wanted.get(name))}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]
    reason = f"the final state differs: {'; '.join(differences)}"
    return Check(name="state", part="state", held=not differences, kind="the final state differs", reason=reason)


def _entries(state: dict[str, Any], tools: Tools | None) -> dict[str, Any]:
    """`{"refunds": {"R-1": …}}` as `{"refunds R-1": …}`, in canonical form; a group without ids stays one entry."""
    entries: dict[str, Any] = {}
    for group, content in state.items():
        if isinstance(content, dict):
            entries |= {f"{group} {entry_id}": canonical(entry, tools, entry_id) for entry_id, entry in content.items()}
        elif content:
            entries[group] = canonical(content, tools, group)
    return entries


def _entry(entry: Any) -> str:
    return "absent" if entry is None else repr(entry)
