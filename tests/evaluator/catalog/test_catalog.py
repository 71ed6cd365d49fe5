import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from folders import LOCK, PYPROJECT, make_framework

import tasks as tasks_package
from evaluator.catalog.capabilities import all_capabilities
from evaluator.catalog.digests import MOVED, digest_of, implementation_digest, lock_digest, since, task_digest
from evaluator.catalog.frameworks import (
    all_frameworks,
    implements,
    lacking,
    lacking_in_words,
    numbered_deviations,
    read_framework,
)
from evaluator.catalog.suites import all_suites, contracts
from evaluator.catalog.suites import as_task as suite_as_task
from evaluator.catalog.tasks import TASKS, Task, all_tasks
from evaluator.errors import Mistake
from evaluator.models.upstreams.probes import probes_digest
from evaluator.models.upstreams.scripted import scripted_digest


def test_the_tasks_of_this_project() -> None:
    found = all_tasks()
    assert list(found) == sorted(found)
    assert "tool_calling" in found
    for name, task in found.items():
        assert task.name == task.folder.name == name
        assert task.cases.parent == task.folder
        assert len(task_digest(task)) == 16


def test_the_frameworks_of_this_project() -> None:
    found = all_frameworks()
    assert next(iter(found)) == "baseline"
    assert list(found)[1:] == sorted(list(found)[1:])
    for framework in found.values():
        assert framework.version
        named = {*framework.by_hand, *(deviation.task for deviation in framework.deviations if deviation.task)}
        assert named <= {*all_tasks(), *all_capabilities(), *all_suites()}


def test_frameworks_are_found_by_their_folders(tmp_path: Path) -> None:
    for name in ("zeta", "baseline", "alpha"):
        make_framework(tmp_path, name)
    (tmp_path / "implementations" / "no_framework").mkdir()
    found = all_frameworks(tmp_path / "implementations")
    assert list(found) == ["baseline", "alpha", "zeta"]
    alpha = found["alpha"]
    assert (alpha.title, alpha.package, alpha.version, alpha.by_hand) == ("X", "x-agents", "1.2.3", ("rag_qa",))
    assert alpha.env == {"X_TELEMETRY": "off"}
    assert [(d.task, d.note) for d in alpha.deviations] == [("handoff", "The specialist sees only one sentence.")]


def test_a_deviation_may_hold_for_all_tasks_and_names_the_differences_that_it_explains(tmp_path: Path) -> None:
    text = PYPROJECT.replace('task = "handoff"\n', 'differences = ["changed schema: *"]\n')
    [deviation] = read_framework(make_framework(tmp_path, "x", text)).deviations
    assert (deviation.task, deviation.differences) == (None, ("changed schema: *",))


def test_deviations_are_numbered_over_all_frameworks(tmp_path: Path) -> None:
    second = '[[tool.bakeoff.deviations]]\nnote = "Another."\n'
    for name, text in {"a": PYPROJECT + second, "b": PYPROJECT.partition("[[tool")[0], "c": PYPROJECT}.items():
        make_framework(tmp_path, name, text)
    numbered = numbered_deviations(all_frameworks(tmp_path / "implementations").values())
    numbers = {name: [number for number, _ in deviations] for name, deviations in numbered.items()}
    assert numbers == {"a": [1, 2], "b": [], "c": [3]}
    assert numbered["a"][1][1].note == "Another."


def test_implementations_are_never_imported(tmp_path: Path) -> None:
    folder = make_framework(tmp_path, "x")
    (folder / "tool_calling.py").write_text("raise SystemExit('imported')")
    all_frameworks(tmp_path / "implementations")
    assert not any(name.startswith("implementations") for name in sys.modules)


@pytest.mark.parametrize(
    ("pyproject", "lock", "message"),
    [
        (PYPROJECT.replace("title =", "titel ="), LOCK, "pyproject.toml: tool.bakeoff.title: Field required"),
        (PYPROJECT.replace("note =", "text ="), LOCK, "pyproject.toml: tool.bakeoff.deviations.0.note: Field"),
        (PYPROJECT.replace("https:", "ftp:"), LOCK, "pyproject.toml: tool.bakeoff.homepage: "),
        ("[project]", LOCK, "pyproject.toml: tool.bakeoff.title: Field required"),
        ("[project\n", LOCK, "pyproject.toml: is not valid TOML: .*line 1"),
        (PYPROJECT, LOCK.replace("x-agents", "y"), "uv.lock: package: 'x-agents' .* is not locked"),
        (PYPROJECT, None, "uv.lock: cannot be read: No such file"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, pyproject: str, lock: str | None, message: str) -> None:
    make_framework(tmp_path, "x", pyproject, lock)
    with pytest.raises(Mistake, match=f"^implementations/x/{message}") as caught:
        all_frameworks(tmp_path / "implementations")
    assert "\n" not in str(caught.value)


def test_digest_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    both = [tmp_path / "a", tmp_path / "b"]
    digest = digest_of(both, tmp_path)
    assert len(digest) == 16
    assert digest_of(reversed(both), tmp_path) == digest
    copy = shutil.copytree(tmp_path, tmp_path / "copy")
    assert digest_of([copy / "a", copy / "b"], copy) == digest
    (tmp_path / "b").write_text("3")
    changed = digest_of(both, tmp_path)
    (tmp_path / "b").rename(tmp_path / "c")
    renamed = digest_of([tmp_path / "a", tmp_path / "c"], tmp_path)
    assert len({digest, changed, renamed}) == 3


def test_what_a_framework_does_not_implement_is_said_with_the_reason_if_there_is_one(tmp_path: Path) -> None:
    folder = make_framework(tmp_path, "x", PYPROJECT + "[tool.bakeoff.not_implemented]\nrag_qa = 'it has no index'\n")
    (folder / "tool_calling.py").touch()
    framework = read_framework(folder)
    assert implements(framework, "tool_calling") and not implements(framework, "rag_qa")
    tasks = ["handoff", "rag_qa", "tool_calling"]
    assert lacking(framework, tasks) == {"handoff": None, "rag_qa": "it has no index"}
    other = read_framework(make_framework(tmp_path, "y"))
    assert lacking_in_words([framework, other], tasks) == [
        "handoff is not implemented by x, y",
        "rag_qa is not implemented by x (it has no index), y",
        "tool_calling is not implemented by y",
    ]


def test_implementation_digest_is_of_one_file(tmp_path: Path) -> None:
    folder = make_framework(tmp_path, "x")
    (folder / "tool_calling.py").write_text("1")
    framework = read_framework(folder)
    before = implementation_digest(framework, "tool_calling"), lock_digest(framework.environment)
    (folder / "handoff.py").write_text("2")
    assert before == (implementation_digest(framework, "tool_calling"), lock_digest(framework.environment))
    (folder / "tool_calling.py").write_text("2")
    (folder / "uv.lock").write_text(LOCK + "\n")
    assert before[0] != implementation_digest(framework, "tool_calling")
    assert before[1] != lock_digest(framework.environment)


def copied(name: str, tmp_path: Path) -> Task:
    """A task of this project whose files are a copy."""
    shutil.copytree(TASKS, tmp_path / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    return replace(all_tasks()[name], folder=tmp_path / "tasks" / name)


def test_task_digest_leaves_out_what_no_run_depends_on(tmp_path: Path) -> None:
    task = copied("tool_calling", tmp_path)
    digest = task_digest(task)
    assert digest == task_digest(all_tasks()["tool_calling"])
    for name in ("grade.py", "wire.py", "probes.py", "cases.jsonl", "README.md", ".swp", "__pycache__/spec.pyc"):
        (task.folder / name).parent.mkdir(exist_ok=True)
        (task.folder / name).write_text("changed")
    assert task_digest(task) == digest
    digests = {digest}
    for path in (task.folder / "spec.py", task.folder / "corpus.md", task.folder.parent / "base.py"):
        path.write_text("changed")
        digests.add(task_digest(task))
    assert len(digests) == 4


def test_where_nothing_changed_that_a_run_depends_on_what_is_recorded_is_that_of_today() -> None:
    tasks = all_tasks().values()
    today = {task_digest(one) for task in tasks for one in (task, task.probed())}
    today |= {task_digest(suite_as_task(suite)) for suite in all_suites().values()}
    today |= {scripted_digest(), probes_digest(), *(lock_digest(one.environment) for one in all_frameworks().values())}
    assert {since(digest) for digest in today} == today
    assert {since(digest) for digest in MOVED} <= today


def test_a_suite_depends_on_the_contract_and_on_what_it_takes_of_another() -> None:
    also = {one.name: {path.name for path in suite_as_task(one).also} for one in all_suites().values()}
    assert also["bfcl_multi_turn"] - also["bfcl"] == {"conversation.py", "inside.py"}
    assert also["bfcl"] == also["agentdojo"] == {"described.py", "served.py", "suite.py"}


def test_modules_that_serve_outside_suites_alone_are_of_no_task() -> None:
    assert contracts() == ["conversation"]
    assert not {*contracts()} & {*all_tasks(), *all_capabilities()}


def test_the_digest_of_a_probed_task_is_also_of_its_probes_and_of_no_other_task(tmp_path: Path) -> None:
    task = copied("tool_calling", tmp_path).probed()
    digests = {task_digest(task), task_digest(all_tasks()["tool_calling"])}
    for path in (task.folder / "probes.py", task.folder.parent / "probing.py"):
        path.write_text("changed")
        digests.add(task_digest(task))
    assert len(digests) == 4
    (task.folder.parent / "handoff" / "probes.py").write_text("changed")
    assert task_digest(task) in digests


@pytest.fixture
def own_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a task `own`, without the files of one."""
    monkeypatch.setattr(tasks_package, "__path__", [*tasks_package.__path__, str(tmp_path)])
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "__init__.py").touch()
    yield folder
    for name in [name for name in sys.modules if name.startswith("tasks.own")]:
        del sys.modules[name]


SPEC = "CASE_TYPE = load = prepare = script = None"


def test_what_a_task_lacks_is_named_in_one_line(own_task: Path) -> None:
    def complaint() -> str:
        with pytest.raises(Mistake) as raised:
            all_tasks(own_task.parent)
        sys.modules.pop("tasks.own.spec", None)
        return str(raised.value)

    (own_task / "spec.py").write_text("CASE_TYPE = load = prepare = None")
    assert complaint() == "tasks/own/spec.py: defines no script; see docs/adding-a-task.md"
    (own_task / "spec.py").write_text(SPEC)
    assert complaint() == "tasks/own/grade.py: there is no such file; see docs/adding-a-task.md"
    (own_task / "grade.py").write_text("def grade(case, outcome): ...")
    assert complaint() == "tasks/own/wire.py: there is no such file; see docs/adding-a-task.md"


def test_a_task_needs_no_probes(own_task: Path) -> None:
    (own_task / "spec.py").write_text(SPEC)
    (own_task / "grade.py").write_text("grade = None")
    (own_task / "wire.py").write_text("on_the_wire = None")
    assert all_tasks(own_task.parent)["own"].probes == ()
