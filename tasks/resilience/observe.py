"""What is right: a server that refuses is asked again, when it said, and another model is asked when that is over."""

from tasks.capability import Check, Observed, finished
from tasks.resilience.spec import ATTEMPTS, FALLBACK, REQUEST_TIMEOUT_S, ResilienceCase

LATE_S = 1.0
"""Seconds by which a time limit for one request may be missed."""


def observe(case: ResilienceCase, observed: Observed) -> list[Check]:
    """The checks of one run."""
    requests = observed.requests
    checks = [finished(observed, case.answer)]
    waits = [refusal.retry_after_s for refusal in case.refusals if refusal.retry_after_s]
    if waits and len(requests) > 1:
        waited = requests[1].start_s - requests[0].end_s
        checks.append(
            Check(
                name="waits as told",
                held=waited >= waits[0] * 0.95,
                reason=f"it is asked again after {waited:.1f} s, and said to come back after {waits[0]} s",
            )
        )
    if case.answers:
        last = requests[-1].model if requests else "no model"
        checks.append(Check(name="the second model", held=last == FALLBACK, reason=f"{last} was asked last"))
        first = sum(request.model != FALLBACK for request in requests)
        checks.append(
            Check(
                name="asked as often as told",
                held=first <= ATTEMPTS,
                reason=f"the first model was asked {first} times, where {ATTEMPTS} were wanted",
            )
        )
    if case.stalled_s and requests:
        left = requests[0].left_s
        in_time = left is not None and left - requests[0].start_s <= REQUEST_TIMEOUT_S + LATE_S
        checks.append(
            Check(
                name="gives up in time",
                held=in_time,
                reason="it waits on"
                if left is None
                else f"it gives up after {left - requests[0].start_s:.1f} s, not after {REQUEST_TIMEOUT_S:.0f} s",
            )
        )
    most = case.asked * 3
    checks.append(
        Check(name="no storm", held=len(requests) <= most, reason=f"{len(requests)} calls where {case.asked} would do")
    )
    return checks
