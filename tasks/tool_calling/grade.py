"""Grading of `tool_calling`: the right calls, the right final state, the right facts in the answer."""

from tasks.base import Outcome, play
from tasks.grading import Grade, call_checks, fact_checks, state_check
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
    state = state_check(expected.final_state, outcome.final_state)
    return Grade.of([*checks, state, *fact_checks(case, outcome.answer)])
