"""The floor: what an agent gets for doing nothing."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from tasks.base import Outcome
from tasks.cases import Case
from tasks.grading.checks import Check

CaseT = TypeVar("CaseT", bound=Case)
T = TypeVar("T")

REFUSAL = "Sorry, I cannot help with that. I don't know."

FLOORS: dict[str, Callable[[Case], str]] = {
    "refuses everything": lambda case: REFUSAL,
    "answers at once": lambda case: f"Done: {case.question}",
}
"""The answers of the agents that do nothing: one refuses, one says of whatever is asked that it is done."""


def floor_outcomes(case: Case, final_state: dict[str, Any]) -> dict[str, Outcome]:
    """What each of `FLOORS` does in a case: an answer, no call, no search, and the state as it was."""
    return {
        name: Outcome(answer=answer(case), final_state=final_state, retrieved=[]) for name, answer in FLOORS.items()
    }


def held_by_floors(
    case: CaseT, final_state: dict[str, Any], checks: Callable[[CaseT, Outcome], Iterable[Check]]
) -> frozenset[str]:
    """The names of the checks that hold for any of `FLOORS`; `checks` are those of a task's graders."""
    floors = floor_outcomes(case, final_state).values()
    return frozenset(check.name for floor in floors for check in checks(case, floor) if check.held)


def per_case(function: Callable[[CaseT], T]) -> Callable[[CaseT], T]:
    """Computes once for each case: thousands of runs of the same few are graded in a row."""

    @lru_cache(maxsize=1024)
    def of_json(case_type: type[CaseT], content: str) -> T:
        return function(case_type.model_validate_json(content))

    return lambda case: of_json(type(case), case.model_dump_json())
