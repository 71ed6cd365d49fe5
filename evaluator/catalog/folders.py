"""Where the tasks are, and of which kind each is. Nothing is imported for it."""

from pathlib import Path

from evaluator import ROOT

TASKS = ROOT / "tasks"


def task_names(folder: Path = TASKS) -> list[str]:
    """The names of the reference tasks, sorted: the folders that have a `spec.py`, but for those of capabilities and
    outside suites."""
    apart = {*capability_names(folder), *suite_names(folder)}
    return sorted({path.parent.name for path in folder.glob("*/spec.py")} - apart)


def capability_names(folder: Path = TASKS) -> list[str]:
    """The names of the capability tasks, sorted: the folders that have an `observe.py`."""
    return sorted(path.parent.name for path in folder.glob("*/observe.py"))


def suite_names(folder: Path = TASKS) -> list[str]:
    """The names of the outside suites, sorted: the folders that have a `pyproject.toml`, for packages of their own."""
    return sorted(path.parent.name for path in folder.glob("*/pyproject.toml"))
