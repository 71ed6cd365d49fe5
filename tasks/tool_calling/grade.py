"""Grading of `tool_calling`: the right calls, the right final state, the right facts in the answer."""

from typing import Any

from tasks.base import Outcome, play
from tasks.grading import Check, Grade, call_checks, canonical, fact_checks
from tasks.tool_calling.spec import ToolCallingCase
from tasks.tool_calling.tools import READS, Shop


def gold(case: ToolCallingCase) -> Outcome:
    """What a perfect run of `case` does: the expected calls on a fresh shop, and the right answer."""
    shop = Shop(case.outages)
    steps = [step for turn in case.turns for step in turn]
    calls = play(steps, {tool.__name__: tool for tool in shop.tools()})
    return Outcome(answer=case.answer, tool_calls=calls, final_state=shop.state())


def grade(case: ToolCallingCase, outcome: Outcome) -> Grade:
    """Compare a run with the perfect one."""
    expected = gold(case)
    checks = call_checks(
        case.turns,
        expected.tool_calls,
        outcome.tool_calls,
        reads=READS,
        ordered=case.ordered,
        other_reads=case.other_reads,
    )
    differences = _differences(expected.final_state, outcome.final_state)
    checks.append(Check(held=not differences, reason=f"the final state differs: {'; '.join(differences)}"))
    return Grade.of(checks + fact_checks(case, outcome.answer))


def _differences(expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Each differing entry in words; an absent group and an empty one are the same."""
    wanted, found = _entries(expected), _entries(got)
    return [
        f"{name} is {_shown(found.get(name))} instead of {_shown(wanted.get(name))}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]


def _entries(state: dict[str, Any]) -> dict[str, Any]:
    """`{"refunds": {"R-1": ...}}` as `{"refunds R-1": ...}`, in canonical form."""
    return {
        f"{group} {entry_id}": canonical(entry)
        for group, entries in state.items()
        for entry_id, entry in (entries.items() if isinstance(entries, dict) else [("", entries)])
    }


def _shown(entry: Any) -> str:
    return "absent" if entry is None else repr(entry)
