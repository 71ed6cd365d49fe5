"""What holds for the whole repository. What holds for each framework: `test_conformance.py`."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import tasks as tasks_package
from evaluator import ROOT
from evaluator.catalog.frameworks import BASELINE, framework_folders
from evaluator.catalog.tasks import all_tasks


def constants(path: Path) -> set[str]:
    """The texts that stand in a module's code."""
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_nothing_outside_its_folder_names_a_framework() -> None:
    names = {folder.name for folder in framework_folders()} - {BASELINE}
    sources = [*ROOT.glob("evaluator/**/*.py"), *ROOT.glob("tasks/*.py"), *ROOT.glob("tasks/*/*.py")]
    for path in [*sources, *ROOT.glob("tests/test_*.py")]:
        assert not names & constants(path), path


def test_nothing_outside_its_folder_names_a_task() -> None:
    names = {*all_tasks()} - {"handoff"}  # which is also a kind of tool
    for path in [*ROOT.glob("evaluator/**/*.py"), *ROOT.glob("tasks/*.py"), *ROOT.glob("tests/test_*.py")]:
        assert not names & constants(path), path


def test_tasks_need_only_the_standard_library_and_pydantic_and_nothing_of_ours() -> None:
    ours = {"numpy", "orjson", "aiohttp", "psutil", "rich", "yarl"}
    graders = {"babel", "dateutil", "text_to_num", "cn2an"}
    every = [module.name for module in pkgutil.walk_packages(tasks_package.__path__, "tasks.")]
    graded_with = [name for name in every if name.startswith("tasks.grading") or name.endswith(".grade")]
    in_a_suite_of_its_own = [name for name in every if name.endswith(".inside")]
    in_each_environment = sorted({*every} - {*graded_with, *in_a_suite_of_its_own})
    assert "tasks.base" in in_each_environment and len(in_each_environment) > 10 and len(graded_with) > 3
    assert not modules_loaded_with(*in_each_environment) & {*ours, *graders, "evaluator"}
    assert not modules_loaded_with(*graded_with) & {*ours, "evaluator"}
    assert not modules_loaded_with("evaluator.worker.watched", "evaluator.worker.main") & {*ours, *graders}


def modules_loaded_with(*names: str) -> set[str]:
    code = f"import sys, {', '.join(names)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(run.stdout.split())
