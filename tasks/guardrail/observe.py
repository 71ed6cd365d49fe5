"""What is right: what a rule blocks does not happen, and somebody is told why."""

from tasks.capability import Check, Observed, finished, times
from tasks.guardrail.spec import CALL_REASON, INPUT_REASON, OUTPUT_REASON, GuardrailCase


def observe(case: GuardrailCase, observed: Observed) -> list[Check]:
    """The checks of one run."""
    ran, asked = len(observed.effects), len(observed.requests)
    if case.blocks == "input":
        return [
            Check(
                name="the model is not asked", held=asked == 0, reason=f"the model is asked {times(asked)} all the same"
            ),
            Check(name="no effect", held=ran == 0, reason="the tool ran all the same"),
            _told(observed, INPUT_REASON),
        ]
    if case.blocks == "output":
        return [
            Check(
                name="the answer is kept back",
                held="DE89" not in observed.answer,
                reason="the answer comes out all the same",
            ),
            _told(observed, OUTPUT_REASON),
        ]
    if case.blocks == "call":
        told = any(CALL_REASON in request.text for request in observed.requests[1:]) or CALL_REASON in observed.answer
        return [
            Check(name="no effect", held=ran == 0, reason="the tool ran all the same"),
            Check(
                name="the reason is told",
                held=told,
                reason=observed.error or "neither the model nor the user is told the reason",
            ),
            Check(name="ends without an error", held=observed.error is None, reason=observed.error or ""),
        ]
    return [
        Check(name="the tool runs once", held=ran == 1, reason=f"the tool ran {times(ran)}"),
        finished(observed, case.answer),
    ]


def _told(observed: Observed, why: str) -> Check:
    return Check(
        name="the user is told why",
        held=why in observed.answer,
        reason=observed.error or f"the user is told {observed.answer[:200]!r}",
    )
