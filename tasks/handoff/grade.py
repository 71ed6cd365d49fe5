"""Whether the right agents did the right things, in order, and the customer was told."""

from tasks.base import Outcome
from tasks.grading import Grade, call_checks, fact_checks, state_check
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
    return Grade.of([*calls, state_check(expected_state, outcome.final_state), *fact_checks(case, outcome.answer)])
