"""The labelled answers, graded: what a careful reader accepts and refuses, beside what the graders do."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import validate_call
from pydantic_core import to_jsonable_python

from tasks.base import Outcome, Tool, ToolCall, bound_arguments
from tasks.grading import Grade
from tasks.handoff import grade as handoff_grade
from tasks.handoff import spec as handoff_spec
from tasks.handoff.tools import AGENTS, Desk
from tasks.rag_qa import grade as rag_qa_grade
from tasks.rag_qa import spec as rag_qa_spec
from tasks.tool_calling import grade as tool_calling_grade
from tasks.tool_calling import spec as tool_calling_spec
from tasks.tool_calling.tools import Shop

Part = Literal["seen", "kept back"]

LABELLED = Path(__file__).parents[1] / "tasks" / "labelled"
TASKS = {
    "handoff": (handoff_spec, handoff_grade),
    "rag_qa": (rag_qa_spec, rag_qa_grade),
    "tool_calling": (tool_calling_spec, tool_calling_grade),
}


@dataclass(frozen=True)
class Labelled:
    """One answer to a case, with the calls that went with it ("gold": the expected ones), and the reader's verdict."""

    task: str
    case: str
    answer: str
    should_pass: bool
    note: str
    calls: Any = None

    @property
    def part(self) -> Part:
        """Which part of the set it is in, by its case: the graders were made on three quarters and measured on one."""
        quarter = int(hashlib.sha256(self.case.encode()).hexdigest(), 16) % 4
        return "kept back" if quarter == 3 else "seen"


def labelled() -> Iterator[Labelled]:
    """All labelled answers."""
    for path in sorted(LABELLED.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield Labelled(**json.loads(line))


@cache
def cases(task: str) -> dict[str, Any]:
    """The cases of a task by id."""
    return {case.id: case for case in TASKS[task][0].load()}


def played(tools: dict[str, tuple[str | None, Tool]], calls: list[list[Any]]) -> list[ToolCall]:
    """The calls as a worker records them; one that never reaches its function is none."""
    made: list[ToolCall] = []
    for name, arguments, *agent in calls:
        owner, tool = tools[name]
        record: dict[str, Any] = {}

        @wraps(tool)
        def recorded(*args: Any, tool: Tool = tool, record: dict[str, Any] = record, **kwargs: Any) -> Any:
            record["arguments"] = bound_arguments(tool, args, kwargs)
            try:
                result = tool(*args, **kwargs)
            except Exception as error:
                record["error"] = f"{type(error).__name__}: {error}"
                raise
            record["result"] = to_jsonable_python(result)
            return result

        try:
            validate_call(recorded)(**arguments)
        except Exception:
            if not record:
                continue
        made.append(ToolCall(agent=next((one for one in agent if one), owner), name=name, **record))
    return made


def outcome_of(answer: Labelled) -> Outcome:
    """What the run that gave the answer did."""
    case = cases(answer.task)[answer.case]
    if answer.task == "rag_qa":
        return Outcome(answer=answer.answer)
    world: Any = Shop(case.outages) if answer.task == "tool_calling" else Desk()
    tools: dict[str, tuple[str | None, Tool]] = (
        {tool.__name__: (None, tool) for tool in world.tools()}
        if answer.task == "tool_calling"
        else {tool.__name__: (agent, tool) for agent in AGENTS for tool in world.tools_of(agent)}
    )
    gold = [[step.tool, step.arguments, step.agent] for turn in case.turns for step in turn]
    calls = played(tools, gold if answer.calls == "gold" else answer.calls)
    return Outcome(answer=answer.answer, tool_calls=calls, final_state=world.state())


def graded(answer: Labelled) -> Grade:
    """The grade of a labelled answer."""
    grade: Grade = TASKS[answer.task][1].grade(cases(answer.task)[answer.case], outcome_of(answer))
    return grade


@dataclass(frozen=True)
class Judged:
    """How many of the answers with one verdict the graders judge as the reader did."""

    same: int
    of: int

    @property
    def share(self) -> float:
        """Of all."""
        return self.same / self.of


PARTS: tuple[Part, ...] = get_args(Part)


def confusion(answers: Iterable[Labelled]) -> dict[str, tuple[Judged, Judged]]:
    """Of each task and of all: the right answers that are accepted, and the wrong ones that are refused."""
    same: Counter[tuple[str, bool]] = Counter()
    every: Counter[tuple[str, bool]] = Counter()
    for answer in answers:
        for name in (answer.task, "all"):
            every[name, answer.should_pass] += 1
            same[name, answer.should_pass] += graded(answer).passed == answer.should_pass
    names = [*sorted({name for name, _ in every} - {"all"}), "all"]
    return {
        name: (Judged(same[name, True], every[name, True]), Judged(same[name, False], every[name, False]))
        for name in names
    }


def shown(table: dict[str, tuple[Judged, Judged]]) -> str:
    """The table in Markdown."""
    rows = [
        f"| {name} | {right.same} | {right.of - right.same} | {wrong.of - wrong.same} | {wrong.same} "
        f"| {right.share:.1%} | {wrong.share:.1%} |"
        for name, (right, wrong) in table.items()
    ]
    head = [
        "| task | right: accepted | refused | wrong: accepted | refused | right accepted | wrong refused |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*head, *rows])
