"""Grading of `tool_calling`: the right calls, the right final state, the right facts in the answer."""

from tasks.base import Outcome, play
from tasks.grading import (
    Check,
    Grade,
    Tools,
    Vocabulary,
    World,
    answer_checks,
    call_checks,
    found_by_reads,
    held_by_floors,
    per_case,
    state_check,
    verbs_of,
)
from tasks.tool_calling.spec import ToolCallingCase, prepare
from tasks.tool_calling.tools import READS, Shop

TOOLS = Tools(
    reads=READS,
    any_case=frozenset({"email", "country_code"}),
    any_order=frozenset({"lines", "product_ids"}),
    narrowing=frozenset({"status", "since", "warehouse"}),
    one_by_one=frozenset({"product_ids"}),
)
VOCABULARY = Vocabulary(
    currency="EUR",
    opposites=(("refundable", "non-refundable"),),
    states=(("shipped", "delivered", "cancelled", "canceled", "returned", "processing", "being processed"),),
    roles=((("placed", "ordered", "order date", "purchase"), ("delivery", "delivered", "receipt", "arrival")),),
)


def gold(case: ToolCallingCase) -> Outcome:
    """What a perfect run of `case` does: the expected calls on a fresh shop, and the right answer."""
    shop = Shop(case.outages)
    steps = [step for turn in case.turns for step in turn]
    calls = play(steps, {tool.__name__: tool for tool in shop.tools()})
    return Outcome(answer=case.answer, tool_calls=calls, final_state=shop.state())


def grade(case: ToolCallingCase, outcome: Outcome) -> Grade:
    """Compare a run with the perfect one."""
    return Grade.of(_checks(case, outcome), _floor(case))


def _checks(case: ToolCallingCase, outcome: Outcome) -> list[Check]:
    perfect, world = _perfect(case)
    checks = call_checks(
        case.turns,
        perfect.tool_calls,
        outcome.tool_calls,
        tools=TOOLS,
        ordered=case.ordered,
        other_reads=case.other_reads,
    )
    found = found_by_reads(case, perfect.tool_calls, outcome.tool_calls, TOOLS)
    state = state_check(perfect.final_state, outcome.final_state, TOOLS)
    return [*checks, state, *answer_checks(case, outcome.answer, world, found)]


@per_case
def _perfect(case: ToolCallingCase) -> tuple[Outcome, World]:
    perfect = gold(case)
    data = [part for call in perfect.tool_calls for part in (call.arguments, call.result, call.error)]
    return perfect, World(case, VOCABULARY, data=tuple(data), done=verbs_of(perfect.tool_calls, TOOLS))


@per_case
def _floor(case: ToolCallingCase) -> frozenset[str]:
    """The checks that hold for an agent that does nothing."""
    return held_by_floors(case, prepare(case).final_state(), _checks)
