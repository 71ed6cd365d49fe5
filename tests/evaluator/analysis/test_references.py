"""The floors and the ceiling, for every case of every task."""

import pytest

from evaluator.analysis.breakdown import Judged
from evaluator.analysis.references import REFERENCES, judged_references
from evaluator.catalog.tasks import all_tasks
from tasks.cases import Case

TASKS = all_tasks()
CASES = [(name, case) for name, task in TASKS.items() for case in task.load()]


def judged(task: str, case: Case) -> dict[str, list[Judged]]:
    found = judged_references(TASKS[task], case.model_dump(mode="json"))
    kinds: dict[str, list[Judged]] = {"floor": [], "ceiling": []}
    for reference, one in zip(REFERENCES, found, strict=True):
        kinds[reference.kind].append(one)
    return kinds


@pytest.mark.parametrize(("task", "case"), [pytest.param(*one, id=f"{one[0]}-{one[1].id}") for one in CASES])
def test_the_gold_outcome_passes_and_doing_nothing_earns_nothing(task: str, case: Case) -> None:
    found = judged(task, case)
    [gold] = found["ceiling"]
    assert gold.passed and gold.score in (1, None) and all(gold.parts.values())
    assert (gold.task, gold.case, gold.level) == (task, case.id, case.level)
    assert len(found["floor"]) == 2
    assert {one.score for one in found["floor"]} <= {0, None}
