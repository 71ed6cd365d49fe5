"""What is right: the three are asked at the same time, the join sees all, and one that fails takes nobody with it."""

from tasks.capability import Check, Observed, Request, finished
from tasks.parallel.spec import BRANCHES, FOUND, JOIN, ParallelCase


def observe(case: ParallelCase, observed: Observed) -> list[Check]:
    """The checks of one run."""
    of = {branch.name: [one for one in observed.requests if _is_from(one, branch.instructions)] for branch in BRANCHES}
    first = [requests[0] for requests in of.values() if requests]
    joins = [one for one in observed.requests if _is_from(one, JOIN.instructions)]
    overlap = len(first) == len(BRANCHES) and max(one.start_s for one in first) < min(one.end_s for one in first)
    checks = [
        Check(
            name="at the same time",
            held=overlap,
            reason="the three are asked one after the other"
            if len(first) == len(BRANCHES)
            else f"{len(first)} of the three are asked",
        )
    ]
    kept = [found for name, found in FOUND.items() if name != case.fails]
    sees = bool(joins) and all(found in joins[-1].text for found in kept)
    if case.fails is None:
        return [
            *checks,
            Check(name="the join sees all", held=sees, reason="the join does not see what all three said"),
            finished(observed, case.answer),
        ]
    said_which = (bool(joins) and _names(joins[-1].text, case)) or (
        observed.error is not None and _names(observed.error, case)
    )
    return [
        *checks,
        Check(
            name="the others are kept",
            held=sees,
            reason=f"what the others found is lost: {observed.error or 'the join does not see it'}",
        ),
        Check(name="it is said which failed", held=said_which, reason="nobody is told which of them failed"),
    ]


def _is_from(request: Request, instructions: str) -> bool:
    return instructions in request.text


def _names(text: str, case: ParallelCase) -> bool:
    """Whether a text says which branch failed: by the words of the server, or by the branch's name and a failure."""
    return f"{case.fails} analyst is refused" in text or (f"{case.fails}" in text and "fail" in text.lower())
