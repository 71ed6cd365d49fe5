"""What runs are read against: agents that do nothing of use (the floors), and the gold outcome (the ceiling).

Nobody has to run them: what they do with a case is known, and it is graded as any run is. A pass rate at a floor says
that an agent that does nothing would have done as well; one at the ceiling cannot be bettered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from evaluator.analysis.breakdown import Judged
from evaluator.analysis.graded_run import parts_of
from evaluator.analysis.levels import level_of
from evaluator.catalog.tasks import Task
from tasks.base import Case, Outcome, Tool, play

Kind = Literal["floor", "ceiling"]


@dataclass(frozen=True)
class Reference:
    """A row that is no framework: its name, whether it is a floor or the ceiling, and what it does, in words."""

    name: str
    kind: Kind
    meaning: str

    @property
    def title(self) -> str:
        """What it is called beside the frameworks."""
        return f"{self.kind}: {self.meaning}"


REFERENCES = (
    Reference("refuses", "floor", "refuses all"),
    Reference("claims", "floor", "answers at once"),
    Reference("gold", "ceiling", "the gold outcome"),
)


def judged_references(task: Task, case: Mapping[str, Any]) -> tuple[Judged, ...]:
    """What each of `REFERENCES` gets for a case as a trace holds it.

    Raises what reading, playing or grading the case raises.
    """
    return _judged(task, orjson.dumps(case))


@lru_cache(maxsize=256)
def _judged(task: Task, content: bytes) -> tuple[Judged, ...]:
    read = orjson.loads(content)
    case: Case = task.read_case(read)
    level = level_of(task, read)
    found = []
    for outcome in (*_floors(task, case), _gold(task, case)):
        grade = task.grade(case, outcome)
        found.append(Judged(task.name, case.id, level, grade.passed, grade.score, parts_of(grade)))
    return tuple(found)


def _floors(task: Task, case: Case) -> list[Outcome]:
    """What the floors do: they leave everything as it was, and look nothing up."""
    untouched = task.prepare(case).final_state()
    return [
        Outcome(answer=answer, final_state=untouched, retrieved=[])
        for answer in ("Sorry, I cannot help with that. I don't know.", f"Done: {case.question}")
    ]


def _gold(task: Task, case: Case) -> Outcome:
    """A perfect run: the calls of the task's script on a fresh state, all documents read, the right answer."""
    tools: dict[str, Tool] = {}

    def kept(tool: Tool, _agent: str | None) -> Tool:
        return tools.setdefault(tool.__name__, tool)

    prepared = task.prepare(case, kept)
    script = task.script(case)
    calls = play([step for turn in script.turns for step in turn], tools)
    return Outcome(
        answer=script.answer,
        tool_calls=calls,
        final_state=prepared.final_state(),
        retrieved=list(task.on_the_wire(prepared.brief).passages),
    )
