"""Finds the tasks by their folders."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import orjson

from evaluator import ROOT
from evaluator.errors import Mistake
from tasks.base import Case, CasesError, Outcome, Prepared, Script, load_cases
from tasks.grading import Grade

TASKS = ROOT / "tasks"


@dataclass(frozen=True)
class Task:
    """One folder of `tasks/`: what its `spec.py` and `grade.py` define.

    `load_documents` is there where implementations index documents; each has its text in `passage`.
    """

    name: str
    folder: Path
    case_type: type[Case]
    load: Callable[[], list[Any]]
    prepare: Callable[..., Prepared]
    script: Callable[[Any], Script]
    grade: Callable[[Any, Outcome], Grade]
    load_documents: Callable[[], list[Any]] | None = None

    def read_case(self, case: Mapping[str, Any]) -> Any:
        """The case of this task that a trace holds. Raises `pydantic.ValidationError` for one that is none.

        Runs of the same case share it: cases cannot be changed, and reading one plays it through.
        """
        return _read_case(self.case_type, orjson.dumps(case))

    def load_file(self, path: Path) -> list[Any]:
        """The user's own cases for this task. Raises `Mistake`."""
        return _without_mistakes(lambda: load_cases(path, self.case_type))

    @property
    def cases(self) -> Path:
        """The file with the cases of this task."""
        return self.folder / "cases.jsonl"


def _without_mistakes(load: Callable[[], list[Any]]) -> list[Any]:
    """The cases that were loaded. What is wrong with a file of cases is a mistake of who wrote it."""
    try:
        return load()
    except CasesError as mistake:
        raise Mistake(str(mistake)) from None


@lru_cache(maxsize=256)
def _read_case(case_type: type[Case], content: bytes) -> Case:
    return case_type.model_validate(orjson.loads(content))


def all_tasks(folder: Path = TASKS) -> dict[str, Task]:
    """Every task by name, sorted: the folders of the package `tasks` that have a `spec.py`."""
    names = sorted(path.parent.name for path in folder.glob("*/spec.py"))
    return {name: _task(folder / name) for name in names}


def _task(folder: Path) -> Task:
    spec = importlib.import_module(f"tasks.{folder.name}.spec")
    return Task(
        name=folder.name,
        folder=folder,
        case_type=spec.CASE_TYPE,
        load=partial(_without_mistakes, spec.load),
        prepare=spec.prepare,
        script=spec.script,
        grade=importlib.import_module(f"tasks.{folder.name}.grade").grade,
        load_documents=getattr(spec, "load_documents", None),
    )
