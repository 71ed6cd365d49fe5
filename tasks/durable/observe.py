"""What is right: over both processes each effect happens once, and no answer that came is asked for again."""

from tasks.capability import Check, Observed, finished, times
from tasks.durable.spec import DurableCase


def observe(case: DurableCase, observed: Observed) -> list[Check]:
    """The checks of one run, over both processes."""
    checks = []
    for step in (step for turn in case.turns for step in turn):
        ran = len(observed.effects_of(step.tool))
        checks.append(Check(name=f"{step.tool} once", held=ran == 1, reason=f"{step.tool} ran {times(ran)}"))
    answered = sum(request.part == 1 and request.answered for request in observed.requests)
    needed = len(case.turns) + 1 - answered
    made = sum(request.part > 1 for request in observed.requests)
    checks.append(
        Check(
            name="no answer asked for again",
            held=made <= needed,
            reason=f"{made} calls to the model after the kill where {needed} would do",
        )
    )
    return [*checks, finished(observed, case.answer)]
