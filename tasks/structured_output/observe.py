"""What is right: the answer is a value of the type, and a model that gives another is told what is wrong with it."""

from typing import Any

from tasks.capability import Check, Observed, shown, times
from tasks.structured_output.spec import TYPES, StructuredOutputCase


def observe(case: StructuredOutputCase, observed: Observed) -> list[Check]:
    """The checks of one run."""
    told = observed.said("value")
    value = told[-1].value if told else {"typed": False, "type": "nothing", "value": None}
    expected = TYPES[case.type].model_validate(case.output).model_dump(mode="json")
    checks = [
        Check(
            name="typed",
            held=bool(value["typed"]),
            reason=observed.error or f"what comes back is a {value['type']} and not a {case.type}",
        ),
        Check(
            name="as expected",
            held=value["value"] == expected,
            reason=observed.error or f"the value is {shown({'value': value['value']})}",
        ),
    ]
    for step in (step for turn in case.turns for step in turn):
        ran = len(observed.effects_of(step.tool))
        checks.append(Check(name=f"{step.tool} once", held=ran == 1, reason=f"{step.tool} ran {times(ran)}"))
    if case.spoiled is not None:
        checks.append(_told_what_is_wrong(case, observed))
    return checks


def _told_what_is_wrong(case: StructuredOutputCase, observed: Observed) -> Check:
    """Whether the request after the invalid value says more of the field than the value and its schema did."""
    if len(observed.requests) < 2:
        return Check(
            name="told what is wrong", held=False, reason="the model is not asked again after an invalid value"
        )
    messages = observed.requests[1].body.get("messages") or []
    last: dict[str, Any] = next((message for message in reversed(messages) if message.get("role") != "assistant"), {})
    said = str(last.get("content"))
    asked_before = observed.requests[0].body.get("messages") or []
    is_new = last not in asked_before
    return Check(
        name="told what is wrong",
        held=is_new and case.wrong in said,
        reason="the model is asked again, but not told what is wrong",
    )
