"""The grid of releases, made with a framework of a test's own whose package breaks and grows."""

from datetime import date
from pathlib import Path

import pytest
from fakes import PYPROJECT, MakeFramework
from registry import Registry
from rich.console import Console

from evaluator import ROOT
from evaluator.analysis.history import ALL_TASKS, HistoryOf, of_framework
from evaluator.catalog import releases
from evaluator.catalog.frameworks import BASELINE, Framework
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Failure
from evaluator.history import LOCKED, Cell, read_cells
from evaluator.scorecard.history import back_to, further_back, still_runs, why
from evaluator.suites import history

TASKS = all_tasks()
PLAIN = (ROOT / "implementations" / "baseline" / "tool_calling.py").read_text(encoding="utf-8")
BREAKS = """\
import os
if os.environ.get("FAKE_VERSION") == "1.0.0":
    raise ImportError("cannot import name 'Agent' from 'fake'")
"""
"""What comes after the docstring of a module that needs what 1.0.0 does not have."""

GROWS = """
_plain_run = run


async def run(brief, model):
    if os.environ.get("FAKE_VERSION") == "2.0.0":
        brief = dataclasses.replace(brief, instructions=brief.instructions + " Be thorough.")
    return await _plain_run(brief, model)
"""
SINCE, TODAY = date(2026, 1, 1), date(2026, 4, 1)


@pytest.fixture
def fake(make_framework: MakeFramework) -> Framework:
    head, rest = PLAIN.split('"""\n', 2)[1:] if PLAIN.startswith('"""\n') else PLAIN.split("\n", 1)
    framework = make_framework(tool_calling=f"{head}\nimport dataclasses\n{BREAKS}{rest}{GROWS}")
    text = '[project]\ndependencies = ["fake"]\n' + PYPROJECT.partition('version = "0"\n')[2]
    (framework.folder / "pyproject.toml").write_text(text)
    lock = '[[package]]\nname = "fake"\nversion = "1.2.3"\nsdist = { upload-time = "2026-04-01T00:00:00Z" }\n'
    (framework.folder / "uv.lock").write_text(lock)
    return framework


@pytest.fixture
def grid(make_framework: MakeFramework) -> history.Grid:
    task = TASKS["tool_calling"]
    return history.Grid({task.name: (task, task.load()[:2])}, make_framework(BASELINE, tool_calling=PLAIN))


def made(wanted: list[history.Wanted], grid: history.Grid, traces: Path) -> list[str]:
    """The cells that are made."""
    cells: list[str] = []
    history.make(
        wanted, grid, traces, False, False, Console(quiet=True), lambda line: None, lambda cell: cells.append(cell.at)
    )
    return cells


def test_a_year_of_releases(fake: Framework, grid: history.Grid, index: Registry, tmp_path: Path) -> None:
    (fake.folder / "@2026-02").mkdir()
    (fake.folder / "@2026-02" / "tool_calling.py").write_text("import gone\n")
    wanted = [*history.every_month(fake, SINCE, TODAY), *history.of_today(fake)]
    assert made(wanted, grid, tmp_path) == [
        *("2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", LOCKED, "code-2026-02")
    ]
    found = of_framework(tmp_path, "fake")
    assert [(cell.at, cell.version, cell.standing) for cell in found.cells] == [
        ("2026-01-01", None, "not installed"),
        ("2026-02-01", "1.0.0", "fails"),
        ("2026-03-01", "1.1.0", "runs"),
        ("2026-04-01", "2.0.0", "runs"),
        ("code-2026-02", "1.2.3", "fails"),
        (LOCKED, "1.2.3", "runs"),
    ]
    _says_so_in_words(found)
    _costs_what_it_sends(found)
    cells = [one for one in read_cells(tmp_path, "fake") if isinstance(one, Cell)]
    names = {trace.key.framework for trace in cells[2].traces}
    assert names == {"fake@2026-03-01", "baseline"} and len({trace.setup.sitting for trace in cells[2].traces}) == 1
    assert not (releases.ENVIRONMENTS / "fake@2026-03-01" / ".venv").exists()
    assert (releases.ENVIRONMENTS / "fake@2026-03-01" / "uv.lock").exists()

    assert made(wanted, grid, tmp_path) == []  # all of it is recorded
    with (fake.folder / "@2026-02" / "tool_calling.py").open("a") as code:
        code.write("# changed\n")
    assert made(wanted, grid, tmp_path) == ["code-2026-02"]


def _says_so_in_words(found: HistoryOf) -> None:
    first, second = found.cells[:2]
    assert why(first) == "there are no versions of fake and your project depends on it."
    assert why(second) == "ImportError: cannot import name 'Agent' from 'fake'"
    words = "runs unchanged on releases back to 1.1.0 of 2026-03-01, and not on 1.0.0 of 2026-02-01: ImportError: "
    assert back_to(found).startswith(words) and further_back(found) == ""
    assert still_runs(found, "2026-04") == "code of 2026-04 still runs today"
    assert why(found.cells[4]) == "ModuleNotFoundError: No module named 'gone'"


def _costs_what_it_sends(found: HistoryOf) -> None:
    before, after = (found.cells[number].figures[ALL_TASKS] for number in (2, 3))
    assert before.injected["system text"] == 0 and after.injected["system text"] == 3  # " Be thorough."
    tokens = (one.metrics["injected_tokens_per_call"] or 0 for one in (after, before))
    assert next(tokens) - next(tokens) == 3
    grown, shrunk = found.changes
    assert [(one.before.at, one.after.at) for one in found.changes] == [
        ("2026-03-01", "2026-04-01"),
        ("2026-04-01", LOCKED),
    ]
    [change] = grown.drift.changes
    assert (change.part, change.runs, round(change.tokens or 0)) == ("system text", {"tool_calling": 2}, 3)
    assert grown.drift.after.a_call - grown.drift.before.a_call == 3
    assert grown.packages == "Packages: the same." and shrunk.drift.after.a_call == grown.drift.before.a_call
    assert before.metrics["model_calls_mean"] == before.baseline["model_calls_mean"]
    assert (before.ratio("overhead_s_p50") or 0) > 0 and (found.cells[2].import_times or 0) > 0


def test_what_the_network_prevents_is_no_result(
    fake: Framework, grid: history.Grid, index: Registry, tmp_path: Path
) -> None:
    works = index.uv.rename(index.uv.with_name("uv-that-works"))
    fails = 'echo "error: Request failed after 3 retries" >&2; exit 2'
    index.uv.write_text(f'#!/bin/sh\nif [ "$1" = lock ]; then {fails}; fi\nexec {works} "$@"\n')
    index.uv.chmod(0o755)
    said: list[str] = []
    asked = history.every_month(fake, date(2026, 1, 1), date(2026, 2, 1))
    with pytest.raises(Failure, match="2 cells could not be made, see above; the same command tries again"):
        history.make(asked, grid, tmp_path, False, False, Console(quiet=True), said.append, lambda cell: None)
    assert said[-1].startswith("fake 2026-02-01: not made: ") and "Request failed after 3 retries" in said[-1]
    assert list(read_cells(tmp_path, "fake")) == []
    works.rename(index.uv)
    assert made(asked, grid, tmp_path) == ["2026-01-01", "2026-02-01"]


def test_the_first_of_twelve_months() -> None:
    assert history.since_default(date(2026, 11, 27)) == date(2025, 12, 1)
    assert history.since_default(date(2026, 12, 1)) == date(2026, 1, 1)


def test_what_uv_says_is_one_line() -> None:
    said = (
        "/x/fake@1: uv lock failed: No solution found when resolving dependencies for split (markers: y): Because a "
        "needs b and\n b is not there, we can conclude that your project's requirements are unsatisfiable."
    )
    assert history.in_a_line(said) == "a needs b and b is not there."
    assert history.in_a_line("/x: uv sync failed: Failed to build `z`") == "Failed to build `z`"
