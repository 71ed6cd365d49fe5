"""What the page `Side by side` shows: every implementation, and the rows of every pair of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from markupsafe import Markup

from evaluator.catalog.frameworks import Framework, numbered_deviations
from evaluator.catalog.tasks import Task
from evaluator.compare import Side, read_side, sections
from evaluator.errors import Mistake
from evaluator.scorecard import Cell, Scorecard
from evaluator.site.render import highlighted


@dataclass(frozen=True)
class Implementation:
    """One framework's implementation of a task, and what was measured of it, a cell for each model."""

    task: str
    side: Side
    lines: list[Markup]
    cells: list[Cell]


def implementations(
    frameworks: Mapping[str, Framework], tasks: Mapping[str, Task], card: Scorecard
) -> tuple[list[Implementation], list[str]]:
    """Every implementation, by task and framework; and in words those that cannot be shown."""
    numbered = numbered_deviations(frameworks.values())
    found, complaints = [], []
    for task in tasks.values():
        for framework in frameworks.values():
            try:
                side = read_side(framework, task, numbered[framework.name])
            except Mistake as error:
                complaints.append(str(error))
                continue
            cells = [cell for cell in card.cells if (cell.framework, cell.task) == (framework.name, task.name)]
            found.append(Implementation(task.name, side, highlighted(side.source), cells))
    return found, complaints


def pairs(found: Sequence[Implementation]) -> dict[str, Any]:
    """The rows of every pair, by `left,right/task`: for each part its name and `[left, right, same]` of each row.

    A line that has none opposite has 0 there. Of the two orders of a pair only one is there.
    """
    return {
        f"{left.side.framework.name},{right.side.framework.name}/{left.task}": [
            [section.name, [[row.left or 0, row.right or 0, int(row.same)] for row in section.rows]]
            for section in sections(left.side.source, right.side.source)
        ]
        for left, right in combinations(found, 2)
        if left.task == right.task
    }
