"""Whether the right agents did the right things, in order, and the customer was told."""

from tasks.base import Outcome
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
from tasks.handoff.spec import HandoffCase, play_gold, prepare
from tasks.handoff.tools import READS

TOOLS = Tools(reads=READS)
VOCABULARY = Vocabulary(
    currency="EUR",
    opposites=(("paid", "unpaid"),),
    states=(("paid", "unpaid", "overdue"),),
    roles=(
        (("due",), ("paid", "payment", "received")),
        (("download",), ("upload",)),
    ),
)


def gold(case: HandoffCase) -> Outcome:
    """What a perfect run of `case` does: the expected calls on a fresh desk, and the right answer."""
    calls, state = play_gold(case.turns)
    return Outcome(answer=case.answer, tool_calls=calls, final_state=state)


def grade(case: HandoffCase, outcome: Outcome) -> Grade:
    """The grade of one run. That an agent acted is read only from calls of its tools."""
    return Grade.of(_checks(case, outcome), _floor(case))


def _checks(case: HandoffCase, outcome: Outcome) -> list[Check]:
    perfect, world = _perfect(case)
    calls = call_checks(
        case.turns,
        perfect.tool_calls,
        outcome.tool_calls,
        tools=TOOLS,
        ordered=case.ordered,
        other_reads=case.other_reads,
    )
    found = found_by_reads(case, perfect.tool_calls, outcome.tool_calls, TOOLS)
    state = state_check(perfect.final_state, outcome.final_state, TOOLS)
    return [*calls, state, *answer_checks(case, outcome.answer, world, found)]


@per_case
def _perfect(case: HandoffCase) -> tuple[Outcome, World]:
    perfect = gold(case)
    data = [part for call in perfect.tool_calls for part in (call.arguments, call.result, call.error)]
    return perfect, World(case, VOCABULARY, data=tuple(data), done=verbs_of(perfect.tool_calls, TOOLS))


@per_case
def _floor(case: HandoffCase) -> frozenset[str]:
    """The checks that hold for an agent that does nothing."""
    return held_by_floors(case, prepare(case).final_state(), _checks)
