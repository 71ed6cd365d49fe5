"""What runs are read against: agents that do nothing of use (the floors), and the gold outcome (the ceiling).

One floor refuses everything, the other says of whatever is asked that it is done; neither calls a tool or looks
anything up. The ceiling makes the calls that the case expects and gives the right answer. Nobody has to run them:
what they do with a case is known, and it is graded as any run is. They stand beside the frameworks on exactly the
cases that these ran, each case once, and are in no ranking, no pair and no tie. A pass rate at a floor says that an
agent that does nothing would have done as well; a ceiling below 100 % says that a case or its grader is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from evaluator.analysis.breakdown import Judged
from evaluator.analysis.levels import level_of
from evaluator.catalog.tasks import Task
from tasks.base import Outcome, play
from tasks.cases import Case
from tasks.grading import FLOORS, floor_outcomes

Kind = Literal["floor", "ceiling"]


@dataclass(frozen=True)
class Reference:
    """A row that is no framework: whether it is a floor or the ceiling, and what it does, in words."""

    kind: Kind
    meaning: str

    @property
    def title(self) -> str:
        """What it is called beside the frameworks."""
        return f"{self.kind}: {self.meaning}"


REFERENCES = (
    *(Reference("floor", meaning) for meaning in FLOORS),
    Reference("ceiling", "the gold outcome"),
)


def judged_references(task: Task, case: Mapping[str, Any]) -> tuple[Judged, ...]:
    """What each of `REFERENCES` gets for a case as a trace holds it.

    Raises what reading, playing or grading the case raises.
    """
    return _judged(task, orjson.dumps(case))


@lru_cache(maxsize=256)
def _judged(task: Task, content: bytes) -> tuple[Judged, ...]:
    read = orjson.loads(content)
    case, level = task.read_case(read), level_of(task, read)
    found = []
    untouched = task.prepare(case).final_state()
    for outcome in (*floor_outcomes(case, untouched).values(), _gold(task, case)):
        grade = task.grade(case, outcome)
        found.append(Judged(task.name, case.id, level, grade.passed, grade.score, grade.parts))
    return tuple(found)


def _gold(task: Task, case: Case) -> Outcome:
    """A perfect run: the calls of the task's script on a fresh state, all documents read, the right answer."""
    prepared = task.prepare(case)
    script = task.script(case)
    calls = play(script.steps, task.tools_in(prepared.brief))
    return Outcome(
        answer=script.answer,
        tool_calls=calls,
        final_state=prepared.final_state(),
        retrieved=list(task.on_the_wire(prepared.brief).passages),
    )
