"""What is right: the user's fact stands in the later request, in nobody else's, and long conversations stay small."""

from tasks.capability import Check, Observed, Request, finished
from tasks.memory.spec import MOST_TOKENS, MemoryCase

SLACK = 1.3
"""By how much a request may be above the budget: frameworks count tokens each in their own way."""


def observe(case: MemoryCase, observed: Observed) -> list[Check]:
    """The checks of one run, over all its processes."""
    fact = case.fact.removesuffix(".")
    asked = [request for request in observed.requests if case.question in request.text]
    # The answer, and not what the framework asks the model afterwards about what was said.
    asked = [request for request in asked if case.answer in request.reply] or asked
    knows = bool(asked) and fact in asked[-1].text
    if not case.known:
        part = [request for request in observed.requests if request.part == len(case.users)]
        leaked = any(fact in request.text for request in part)
        return [
            Check(name="kept from others", held=not leaked, reason="another user's fact stands in the request"),
            finished(observed, case.answer),
        ]
    checks = [
        Check(name="remembered", held=knows, reason=observed.error or "the fact does not stand in the request"),
        finished(observed, case.answer),
    ]
    if case.chatter:
        largest = max((_tokens(request) for request in asked[-1:]), default=0)
        checks.append(
            Check(
                name="compacted",
                held=0 < largest <= MOST_TOKENS * SLACK,
                reason=f"the last request has {largest:,} tokens, where {MOST_TOKENS:,} were wanted",
            )
        )
    return checks


def _tokens(request: Request) -> int:
    return request.input_tokens or 0
