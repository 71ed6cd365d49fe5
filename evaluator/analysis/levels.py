"""How hard the case of a run is."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from evaluator.catalog.tasks import Task
from tasks.base import Case

LEVELS: dict[int, str] = {
    1: "one step, few tools or two agents, a short prompt",
    2: "one step in the full setting",
    3: "two dependent steps, sources that disagree, or an error to recover from",
    4: "long chains, three agents, several demands at once",
}
"""What each level is, in words."""


def level_of(task: Task, case: Mapping[str, Any]) -> int | None:
    """The level of a case as a trace holds it.

    Traces of before there were levels do not say it: then it is that of today's case with the same id and question,
    and None where there is none.
    """
    if "level" in case:
        return int(case["level"])
    today = _todays(task).get(str(case.get("id")))
    return today.level if today is not None and today.question == case.get("question") else None


@lru_cache(maxsize=16)
def _todays(task: Task) -> dict[str, Case]:
    return {case.id: case for case in task.load()}
