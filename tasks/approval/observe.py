"""What is right: nothing gated happens before the decision, and afterwards exactly what was decided."""

from typing import Any

from tasks.approval.spec import GATED, ApprovalCase
from tasks.capability import Check, Observed, finished, shown, times


def observe(case: ApprovalCase, observed: Observed) -> list[Check]:
    """The checks of one run, over both processes."""
    [gated] = [step for step in case.turn if step.tool in GATED]
    waiting = [one for told in observed.said("waiting") for one in told.value]
    early = [effect for effect in observed.effects_of(gated.tool) if effect.part == 1]
    done = [effect.call.arguments for effect in observed.effects_of(gated.tool) if effect.part > 1]
    decided = _decided(case, gated.arguments)
    checks = [
        Check(
            name="waits",
            held=waiting == [{"tool": gated.tool, "arguments": gated.arguments}],
            reason=_how_it_waits(observed, waiting),
        ),
        Check(name="nothing before the decision", held=not early, reason="the tool ran before the decision"),
        Check(
            name="what was decided",
            held=done == decided,
            reason=f"decided was {_calls(decided)}, and what ran was {_calls(done)}",
        ),
    ]
    for step in case.turn:
        if step.tool not in GATED:
            ran = len(observed.effects_of(step.tool))
            checks.append(
                Check(
                    name="the other call once",
                    held=ran == 1,
                    reason=f"the call that needs no approval ran {times(ran)}",
                )
            )
    later = [request for request in observed.requests if request.part > 1]
    if case.decision.verdict == "deny":
        told = any(case.decision.reason in request.text for request in later)
        checks.append(Check(name="the reason", held=told, reason="the model is not told the reason"))
    again = sum(not _has_result(request.body) for request in later)
    checks.append(
        Check(
            name="not asked again",
            held=not again,
            reason="after the decision the first question to the model is asked again",
        )
    )
    return [*checks, finished(observed, case.answer)]


def _decided(case: ApprovalCase, asked: dict[str, Any]) -> list[dict[str, Any]]:
    return {"approve": [asked], "edit": [case.decision.arguments], "deny": []}[case.decision.verdict]


def _calls(calls: list[dict[str, Any]]) -> str:
    return " and ".join(map(shown, calls)) or "nothing"


def _how_it_waits(observed: Observed, waiting: list[Any]) -> str:
    if waiting:
        return f"the person is shown {shown({'waiting': waiting})}"
    return observed.parts[0].error or "it does not wait for a decision" if observed.parts else "it never began"


def _has_result(body: Any) -> bool:
    """Whether a request goes beyond the first: there is an answer of the model's in it."""
    return any(message.get("role") == "assistant" for message in body.get("messages") or [])
