"""`bakeoff parity`: differences on the wire, explained or not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import TASK, Bakeoff
from folders import PYPROJECT, make_framework
from played import Change, changed, played, system

from evaluator.catalog import frameworks, tasks
from evaluator.catalog.frameworks import all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.trace import write_trace


@pytest.fixture
def compared_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the traces of one case: the baseline's, and a framework's that sends more than it should."""

    hurry = system(lambda text: f"{text}\n\n[bold]Hurry\x1b[31m")

    def write(deviations: str = "", change: Change = hurry) -> None:
        (tmp_path / "implementations").mkdir()
        for name, text in (("baseline", ""), ("x", deviations)):
            folder = make_framework(tmp_path, name, PYPROJECT.partition("[[tool")[0] + text)
            for task in all_tasks():
                (folder / f"{task}.py").touch()
            run = played("tool_calling", "stock-and-quote", framework=name)
            write_trace(tmp_path / "traces", changed(run, change) if name == "x" else run)
        monkeypatch.setattr(frameworks, "all_frameworks", lambda: found)
        found = read_all(tmp_path / "implementations")

    read_all = all_frameworks
    return write


PARITY = ("parity", "-f", "x", *TASK, "--traces", "traces")

EXPLAINED = '[[tool.bakeoff.deviations]]\nnote = "It is in a hurry."\ndifferences = ["added system text"]\n'


def test_parity_with_an_unexplained_difference(bakeoff: Bakeoff, compared_run: Callable[..., None]) -> None:
    compared_run()
    said = bakeoff(*PARITY)
    assert (said.code, said.err) == (1, "")
    [row] = [line for line in said.out.splitlines() if "added system text" in line]
    assert "1/1" in row and "UNEXPLAINED" in row and "[bold]Hurry" in row
    assert "\x1b" not in said.out
    assert said.out.endswith("0 differences explained, 1 unexplained, 0 explanations stale\n")
    data = json.loads(bakeoff(*PARITY, "--json").out)
    [parity] = data["parity"]
    assert (parity["framework"], parity["task"], parity["unexplained"]) == ("x", "tool_calling", 1)
    assert parity["differences"][0]["name"] == "added system text"
    assert parity["injected_tokens_per_call"] > 0


def test_parity_with_an_explained_difference(bakeoff: Bakeoff, compared_run: Callable[..., None]) -> None:
    compared_run(EXPLAINED)
    said = bakeoff(*PARITY)
    assert (said.code, said.err) == (0, "")
    assert "UNEXPLAINED" not in said.out
    assert "1. X, all tasks: It is in a hurry." in said.out
    assert said.out.endswith("1 differences explained, 0 unexplained, 0 explanations stale\n")
    said = bakeoff("parity", *TASK, "--traces", "traces")
    assert said.code == 0 and "no difference" in said.out  # the baseline's


def test_a_stale_explanation_is_said_where_all_cases_are_there(
    bakeoff: Bakeoff, compared_run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared_run(EXPLAINED.replace("differences", "task = 'tool_calling'\ndifferences"), change=lambda request: None)
    assert bakeoff(*PARITY).code == 0  # other cases may have it
    task = all_tasks()["tool_calling"]
    cases = [case for case in task.load() if case.id == "stock-and-quote"]
    monkeypatch.setattr(tasks, "all_tasks", lambda: {"tool_calling": replace(task, load=lambda: cases)})
    said = bakeoff(*PARITY)
    assert said.code == 1
    assert "deviation 1: 'added system text' explains nothing" in said.out
    assert said.out.endswith("0 differences explained, 0 unexplained, 1 explanations stale\n")


def test_parity_says_which_traces_are_missing_and_shows_the_rest(
    bakeoff: Bakeoff, compared_run: Callable[..., None]
) -> None:
    compared_run(EXPLAINED)
    others = ",".join(name for name in all_tasks() if name not in TASK)
    said = bakeoff("parity", "-f", "x", "--traces", "traces")
    assert said.code == 2
    assert "X · tool_calling" in said.out
    assert said.err.startswith(f"bakeoff: traces/scripted: x has no traces of {others}; make them with ")


def test_parity_leaves_out_damaged_traces(bakeoff: Bakeoff, compared_run: Callable[..., None], tmp_path: Path) -> None:
    compared_run(EXPLAINED)
    (tmp_path / "traces/scripted/x/tool_calling/z.1.json").write_text("{")
    said = bakeoff(*PARITY)
    assert said.code == 0
    assert "left out: traces/scripted/x/tool_calling/z.1.json: line 1: not valid JSON" in said.out
