"""How hard the case of a run is."""

from collections.abc import Mapping
from typing import Any

from evaluator.catalog.tasks import Task
from tasks.cases import Case

LEVELS: dict[int, str] = {
    1: "one step, few tools or two agents, a short prompt",
    2: "one step in the full setting",
    3: "two dependent steps, sources that disagree, or an error to recover from",
    4: "long chains, three agents, several demands at once",
}
"""What each level is, in words."""


def level_of(task: Task, case: Mapping[str, Any]) -> int | None:
    """The level of a case as a trace holds it; None where nobody said it.

    Traces of before there were levels do not say it: then it is that of today's case, where that asks the same. Raises
    `pydantic.ValidationError` for a case that is none of this task.
    """
    read: Case = task.read_case(case)
    return read.level if "level" in read.model_fields_set else None
