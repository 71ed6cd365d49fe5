"""Finds the tasks by their folders."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson

from evaluator.catalog.folders import TASKS, task_names
from evaluator.errors import Mistake
from tasks.base import Outcome, Prepared, Tool
from tasks.cases import Case, CasesError, Script, load_cases
from tasks.grading import Grade
from tasks.probing import ProbeCase
from tasks.wire import OnTheWire, SearchTool


@dataclass(frozen=True)
class Task:
    """One folder of `tasks/`: what its `spec.py`, `grade.py`, `wire.py` and `probes.py` define.

    `load_documents` is there where implementations index documents; each has its text in `passage`. A
    task may have no probes. A run depends on the files `also`, too. A suite's cases are served by the modules of the
    task that it is `implemented_by`.
    """

    name: str
    folder: Path
    case_type: type[Case]
    load: Callable[[], list[Any]]
    prepare: Callable[..., Prepared]
    script: Callable[[Any], Script]
    grade: Callable[[Any, Outcome], Grade]
    on_the_wire: Callable[[Any], OnTheWire]
    load_documents: Callable[[], list[Any]] | None = None
    probes: tuple[ProbeCase, ...] = field(default=(), compare=False, repr=False)
    prepare_probe: Callable[..., Prepared] | None = None
    also: tuple[Path, ...] = ()
    implemented_by: str | None = None

    @property
    def module(self) -> str:
        """What a framework's module for it is called."""
        return self.implemented_by or self.name

    def read_case(self, case: Mapping[str, Any]) -> Any:
        """The case of this task that a trace holds. Raises `pydantic.ValidationError` for one that is none.

        Runs of the same case share it: cases cannot be changed, and reading one plays it through. A case without a
        level, as in traces of before there were any, is taken as the task has it today, if it asked the same: its own
        facts name no subjects.
        """
        read = _read_case(self.case_type, orjson.dumps(case))
        return (None if "level" in case else _as_of_today(self, read.id, orjson.dumps(read.inputs()))) or read

    def probed(self) -> "Task":
        """The task with its probes for cases: the implementation stays the same, the brief is another.

        The cases are judged by their traces, not graded, and played by `evaluator.suites.probing`. The task must have
        probes.
        """
        assert self.prepare_probe is not None
        return replace(
            self,
            case_type=ProbeCase,
            load=lambda: list(self.probes),
            prepare=self.prepare_probe,
            also=(self.folder.parent / "probing.py", self.folder / "probes.py"),
        )

    def tools_in(self, brief: Any) -> dict[str, Tool]:
        """The functions that a brief offers its agents, by name; a search that the framework brings is none."""
        tools = (tool for agent in self.on_the_wire(brief).agents for tool in agent.tools)
        return {tool.__name__: tool for tool in tools if not isinstance(tool, SearchTool)}

    def load_file(self, path: Path) -> list[Any]:
        """The user's own cases for this task. Raises `Mistake`."""
        return _without_mistakes(lambda: load_cases(path, self.case_type))

    @property
    def cases(self) -> Path:
        """The file with the cases of this task."""
        return self.folder / "cases.jsonl"


def _loaded(load: Callable[[], list[Any]]) -> list[Any]:
    """The cases, which cannot be changed, and are read once: that plays each of them through."""
    return list(_read(load))


@cache
def _read(load: Callable[[], list[Any]]) -> tuple[Any, ...]:
    return tuple(_without_mistakes(load))


def _without_mistakes(load: Callable[[], list[Any]]) -> list[Any]:
    """The cases that were loaded. What is wrong with a file of cases is a mistake of who wrote it."""
    try:
        return load()
    except CasesError as mistake:
        raise Mistake(str(mistake)) from None


@lru_cache(maxsize=256)
def _read_case(case_type: type[Case], content: bytes) -> Case:
    return case_type.model_validate(orjson.loads(content))


@lru_cache(maxsize=256)
def _as_of_today(task: Task, id: str, inputs: bytes) -> Any:
    """The case of today with that id, if it depends on the same; else None."""
    return next((case for case in task.load() if case.id == id and orjson.dumps(case.inputs()) == inputs), None)


def all_tasks(folder: Path = TASKS) -> dict[str, Task]:
    """Every reference task by name, sorted: the folders of the package `tasks` that have a `spec.py`, but for those of
    capabilities. Raises `Mistake`."""
    return {name: _task(folder / name) for name in task_names(folder)}


@cache
def _task(folder: Path) -> Task:
    spec = module(folder, "spec")
    probes = module(folder, "probes") if (folder / "probes.py").is_file() else None
    return Task(
        name=folder.name,
        folder=folder,
        case_type=defined(spec, "CASE_TYPE"),
        load=partial(_loaded, defined(spec, "load")),
        prepare=defined(spec, "prepare"),
        script=defined(spec, "script"),
        grade=defined(module(folder, "grade"), "grade"),
        on_the_wire=defined(module(folder, "wire"), "on_the_wire"),
        load_documents=getattr(spec, "load_documents", None),
        probes=defined(probes, "PROBES") if probes else (),
        prepare_probe=defined(probes, "prepare") if probes else None,
    )


def module(folder: Path, name: str) -> ModuleType:
    """A module of a task's folder. Raises `Mistake` where it is not there."""
    if not (folder / f"{name}.py").is_file():
        raise Mistake(f"tasks/{folder.name}/{name}.py: there is no such file; see docs/adding-a-task.md")
    return importlib.import_module(f"tasks.{folder.name}.{name}")


def defined(module: ModuleType, name: str) -> Any:
    """What a module of a task defines. Raises `Mistake` where it does not."""
    if not hasattr(module, name):
        where = "/".join(module.__name__.split("."))
        raise Mistake(f"{where}.py: defines no {name}; see docs/adding-a-task.md")
    return getattr(module, name)
