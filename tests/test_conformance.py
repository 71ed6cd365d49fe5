"""What every folder of `implementations/` must do, whatever the framework.

Where more than one behaviour is reasonable, each passes; the scorecard says which it is. A check that a
framework truly cannot pass is an expected failure: a deviation in its `pyproject.toml` has
`conformance: <check>` among its `differences`.
"""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from evaluator.catalog.folders import capability_names
from evaluator.catalog.frameworks import BASELINE, Framework, all_frameworks, hardened, implementation_path, implements
from evaluator.catalog.suites import all_suites, contracts
from evaluator.catalog.tasks import all_tasks
from evaluator.faults.table import BY_NAME
from evaluator.harness.environments import EXTRAS_GROUP, extras_of, find_uv, uv_environment
from evaluator.probes.behaviours import EXPECTED_FAILURE, expected_failure
from evaluator.pytest_plugin import TestedProbe, TestedProbes, marks_of

FRAMEWORKS, TASKS = all_frameworks(), all_tasks()
CONTRACTS = contracts()
"""What modules there are for cases of outside suites alone."""
EVERY_TASK = (*TASKS, *capability_names(), *CONTRACTS)
OUTSIDE = "outside"
"""The check that nothing is done outside, as a deviation names it."""

each_framework = pytest.mark.parametrize(
    "framework", [pytest.param(framework, marks=marks_of(framework), id=name) for name, framework in FRAMEWORKS.items()]
)
each_module = pytest.mark.parametrize(
    ("framework", "module"),
    [
        pytest.param(
            framework,
            module,
            # A capability module may need packages that are installed only where capabilities are asked for.
            marks=[*marks_of(framework, task), *([pytest.mark.capabilities] if task in capability_names() else [])],
            id=f"{name}/{module}",
        )
        for name, framework in FRAMEWORKS.items()
        for task in EVERY_TASK
        for module in (task, hardened(task))
        if implements(framework, module)
    ],
)


# --- the folder ------------------------------------------------------------------------------


@each_framework
def test_a_folder_is_a_project_and_one_module_for_each_task_that_it_implements(framework: Framework) -> None:
    files = {path.name for path in framework.folder.iterdir() if path.is_file()}
    modules = {f"{task}.py" for task in EVERY_TASK if implements(framework, task)}
    assert modules and files == {"pyproject.toml", "uv.lock", *modules}
    assert not modules & {f"{task}.py" for task in framework.not_implemented}
    assert {*framework.not_implemented} <= {*EVERY_TASK}
    folders = {
        path.name for path in framework.folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))
    }
    assert folders <= {"hardened"}
    assert {path.name for path in (framework.folder / "hardened").glob("*.*")} <= modules


@each_framework
def test_a_note_on_a_fault_is_of_one_that_there_is(framework: Framework) -> None:
    assert {fault for deviation in framework.deviations for fault in deviation.faults} <= {*BY_NAME}


def test_the_baseline_implements_every_task() -> None:
    assert all(implements(FRAMEWORKS[BASELINE], task) for task in EVERY_TASK)


@each_framework
def test_the_metadata_are_sound(framework: Framework) -> None:
    project = tomllib.loads((framework.folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["uv"]["package"] is False
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
    groups = project.get("dependency-groups", {})
    assert {*groups} <= {EXTRAS_GROUP}
    required = [*project["project"]["dependencies"], *groups.get(EXTRAS_GROUP, [])]
    without_floor = [line for line in required if not re.search(r">=|==", line)]
    assert not without_floor, "without a version floor uv may resolve years back"
    implemented = {task for task in EVERY_TASK if implements(framework, task)}
    assert {*framework.by_hand} <= implemented
    served = {suite.name for suite in all_suites().values() if suite.implemented_by in implemented}
    assert {deviation.task for deviation in framework.deviations} <= {None, *implemented, *served}


@each_framework
def test_an_expected_failure_is_of_a_check_that_there_is(framework: Framework) -> None:
    checks = {(case.kind, name) for name, task in TASKS.items() for case in task.probes}
    checks |= {(OUTSIDE, task) for task in TASKS}  # seen in any of them
    for deviation in framework.deviations:
        named = [name for name in deviation.differences if name.startswith(EXPECTED_FAILURE)]
        for name in (difference.removeprefix(EXPECTED_FAILURE) for difference in named):
            there_are = {task for check, task in checks if check == name}
            assert there_are, f"there is no check {name!r}"
            assert deviation.task in {None, *there_are}, f"{name} is not checked in {deviation.task}"


@each_framework
def test_the_lock_is_in_date(framework: Framework) -> None:
    command = [find_uv(), "lock", "--check", "--offline", "--no-config", "--project", str(framework.folder)]
    environment = uv_environment()
    check = subprocess.run(command, capture_output=True, text=True, cwd=framework.folder, env=environment, check=False)
    assert check.returncode == 0, check.stderr


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "tasks" else set()
            names.add(node.module or "")
    return names - {"tasks"}


@each_module
def test_an_implementation_imports_nothing_of_ours_but_its_task(framework: Framework, module: str) -> None:
    names = imported(implementation_path(framework.folder, module))
    ours = {name for name in names if name.split(".")[0] in ("tasks", "evaluator", "implementations")}
    task = module.rpartition("/")[2]
    assert ours <= {"tasks.base", f"tasks.{task}" if task in CONTRACTS else f"tasks.{task}.spec"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@each_module
def test_an_implementation_imports_nothing_beyond_its_framework(
    framework: Framework, module: str, tested_probes: TestedProbes
) -> None:
    is_extra = module in capability_names()
    tested_probes.provision(framework, with_extras=is_extra)
    locked = tomllib.loads((framework.folder / "uv.lock").read_text(encoding="utf-8"))["package"]
    names = {canonical(package["name"]) for package in locked}
    [site_packages] = (framework.folder / ".venv" / "lib").glob("python3*/site-packages")
    extras = [extras_of(framework)] if is_extra else []
    provided = set(sys.stdlib_module_names) | {"tasks"}
    for package in distributions(path=[str(path) for path in (site_packages, *extras)]):
        if canonical(package.metadata["Name"]) in names:
            provided |= {file.parts[0].removesuffix(".py") for file in package.files or [] if file.suffix == ".py"}
    foreign = {name.split(".")[0] for name in imported(implementation_path(framework.folder, module))} - provided
    assert not foreign


# --- runs ------------------------------------------------------------------------------------


def test_probe(probed: TestedProbe) -> None:
    behaviour = probed.behaviour
    assert behaviour.acceptable, "\n".join([behaviour.words, behaviour.quote, *map(str, probed.traces)])


def outside_parameters() -> list[Any]:
    parameters = []
    for framework in FRAMEWORKS.values():
        marks = marks_of(framework)
        if (note := expected_failure(framework, OUTSIDE)) is not None:
            marks.append(pytest.mark.xfail(reason=note, strict=True))
        parameters.append(pytest.param(framework, marks=marks, id=framework.name))
    return parameters


@pytest.mark.parametrize("framework", outside_parameters())
def test_calls_the_gateway_and_does_nothing_else_outside_its_scratch_folder(
    framework: Framework, tested_probes: TestedProbes
) -> None:
    tested_probes.make_all(framework)
    found = tested_probes.outside(framework)
    assert not found, "\n".join(found)
