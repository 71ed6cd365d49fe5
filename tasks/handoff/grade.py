"""Whether the right agents did the right things, in order, and the customer was told."""

from typing import Any

from tasks.base import Outcome
from tasks.grading import Check, Grade, call_checks, canonical, fact_checks
from tasks.handoff.spec import HandoffCase, play_gold
from tasks.handoff.tools import READS


def grade(case: HandoffCase, outcome: Outcome) -> Grade:
    """The grade of one run. That an agent acted is read only from calls of its tools."""
    expected_calls, expected_state = play_gold(case.turns)
    calls = call_checks(
        case.turns,
        expected_calls,
        outcome.tool_calls,
        reads=READS,
        ordered=case.ordered,
        other_reads=case.other_reads,
    )
    return Grade.of([*calls, _state_check(expected_state, outcome.final_state), *fact_checks(case, outcome.answer)])


def _state_check(expected: dict[str, Any], state: dict[str, Any]) -> Check:
    differences = [
        f"{part} is {state.get(part)!r} instead of {expected.get(part)!r}"
        for part in sorted({*expected, *state})
        if canonical(state.get(part)) != canonical(expected.get(part))
    ]
    return Check(held=not differences, reason=f"the final state differs: {'; '.join(differences)}")
