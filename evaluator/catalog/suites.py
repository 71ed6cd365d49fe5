"""Finds the outside suites by their folders: cases and graders that nobody here wrote."""

import importlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from evaluator import WORK
from evaluator.catalog.digests import task_digest
from evaluator.catalog.folders import TASKS, suite_names, task_names
from evaluator.catalog.frameworks import Project, read_project
from evaluator.catalog.tasks import Task, defined, module
from evaluator.errors import Mistake
from tasks import conversation, described, served, suite
from tasks.cases import load_cases
from tasks.suite import SuiteCase

_SHARED = tuple(Path(str(one.__file__)) for one in (described, served, suite))


@dataclass(frozen=True)
class Suite:
    """One folder of `tasks/` with a `pyproject.toml`: the locked package that has the cases and their grader.

    Its cases are served by the modules of the task that it is `implemented_by`, or of a contract that is no task of
    ours, such as that of conversations. `max_model_calls` is how many calls a run of it may make, where that is another
    number than with the others. The fields `environment` and `at` are there as a framework has them, so that its
    packages are installed in the same way.
    """

    name: str
    title: str
    homepage: str
    licence: str
    package: str
    version: str
    implemented_by: str
    environment: Path
    max_model_calls: int | None = None
    at: None = None

    @property
    def holds_conversations(self) -> bool:
        """Whether the user says several things in its cases, each once the last one is answered."""
        return self.implemented_by == conversation.MODULE

    @property
    def cases(self) -> Path:
        """The file with the cases that were imported from the package as it is locked; it may not be there."""
        return WORK / "suites" / f"{self.name}-{task_digest(as_task(self))}.jsonl"

    @property
    def is_imported(self) -> bool:
        """Whether the cases were read from the package as it is locked."""
        return self.cases.is_file()

    @property
    def imported(self) -> int | None:
        """How many cases were imported, counted without reading them; None where they were not."""
        try:
            return self.cases.read_bytes().count(b"\n")
        except FileNotFoundError:
            return None


class _Metadata(Project):
    """The table `[tool.bakeoff]` of a suite's `pyproject.toml`."""

    licence: str = Field(min_length=1)
    implemented_by: str = Field(min_length=1)
    max_model_calls: int | None = Field(default=None, ge=1)


def all_suites(folder: Path = TASKS) -> dict[str, Suite]:
    """Every outside suite by name, sorted, whether installed or not. Raises `Mistake`."""
    return {name: _suite(folder / name) for name in suite_names(folder)}


def _suite(folder: Path) -> Suite:
    metadata, version = read_project(folder, _Metadata)
    return Suite(name=folder.name, version=version, environment=folder, **metadata.model_dump())


def as_task(suite: Suite) -> Task:
    """The suite as a task whose cases can be run. They are judged by the suite's own grader, in its own process."""
    spec = module(suite.environment, "spec")
    return Task(
        name=suite.name,
        folder=suite.environment,
        case_type=defined(spec, "CASE_TYPE"),
        load=partial(_imported, suite),
        prepare=defined(spec, "prepare"),
        script=defined(spec, "script"),
        grade=_not_graded,
        on_the_wire=defined(module(suite.environment, "wire"), "on_the_wire"),
        also=(*_SHARED, *getattr(spec, "ALSO", ())),
        implemented_by=suite.implemented_by,
    )


def contracts() -> list[str]:
    """What modules there are that serve cases of outside suites alone, sorted: they are of no task of ours."""
    return sorted({suite.implemented_by for suite in all_suites().values()} - {*task_names()})


def _imported(suite: Suite) -> list[SuiteCase]:
    """The cases that were imported. Raises `Mistake` where they were not."""
    if not suite.is_imported:
        raise Mistake(f"{suite.name} is not imported: `bakeoff import {suite.name}`")
    spec = importlib.import_module(f"tasks.{suite.name}.spec")
    return load_cases(suite.cases, spec.CASE_TYPE)


def _not_graded(*_: Any) -> Any:
    raise NotImplementedError("a run of an outside suite is judged by the suite's own grader")
