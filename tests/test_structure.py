"""Import directions of the implementations: their framework, `tasks`, and nothing else of ours."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from evaluator import ROOT, discovery

FILES = sorted(
    path
    for folder in discovery.framework_folders()
    for path in folder.glob("*.py")  # not below: the environment lies there
)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_implementation_imports_nothing_of_ours_but_tasks(path: Path) -> None:
    own_task = f"tasks.{path.stem}.spec"
    ours = {name for name in imported(path) if name.split(".")[0] in ("tasks", "evaluator", "implementations")}
    assert ours <= {"tasks.base", own_task}


@pytest.mark.parametrize("folder", discovery.framework_folders(), ids=lambda folder: folder.name)
def test_a_framework_is_a_project_and_one_module_for_each_task(folder: Path) -> None:
    assert {path.name for path in folder.glob("*.py")} == {f"{task}.py" for task in discovery.tasks()}
    assert (folder / "uv.lock").exists()


def test_nothing_outside_its_folder_names_a_framework() -> None:
    names = {folder.name for folder in discovery.framework_folders()} - {discovery.BASELINE}
    for path in [*ROOT.glob("evaluator/**/*.py"), *ROOT.glob("tasks/*.py"), *ROOT.glob("tasks/*/*.py")]:
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not names & strings, path


def test_tasks_need_only_the_standard_library_and_pydantic() -> None:
    foreign = "set(m.split('.')[0] for m in sys.modules) & {'numpy', 'orjson', 'aiohttp', 'evaluator', 'rich'}"
    code = f"import sys, tasks.rag_qa.spec, tasks.tool_calling.spec, tasks.handoff.spec; print({foreign} or 'none')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "none"
