"""Commands in a narrow terminal: names stay whole, columns go."""

import re
from pathlib import Path

import pytest
from commands import TASK, Bakeoff
from factories import key, trace
from played import played

from evaluator.catalog.frameworks import all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.cli import options
from evaluator.doctor.report import Finding, Result, Verdict, print_result
from evaluator.providers import endpoints
from evaluator.trace import write_trace

NARROW = 40
FRAMEWORKS = ("agent_framework", "baseline", "openai_agents")


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.console, "width", NARROW)


@pytest.fixture
def runs(tmp_path: Path) -> None:
    for name in FRAMEWORKS:
        write_trace(tmp_path / "traces", played("tool_calling", "stock-and-quote", framework=name))
        write_trace(tmp_path / "traces", trace(key(framework=name, model="acme/long-model-name-7b"), answer="No."))


def shows(out: str, names: tuple[str, ...]) -> None:
    """Each name is in a line, nothing is cut, and what is no word longer than a line fits."""
    for name in names:
        assert re.search(rf"(?m)^.*{re.escape(name)}( |$)", out), name
    assert "…" not in out
    assert all(len(line) <= NARROW for line in out.splitlines() if not line.startswith("wrote "))
    assert "for a wider terminal: " in out


def test_list(bakeoff: Bakeoff) -> None:
    said = bakeoff("list")
    assert said.code == 0
    shows(said.out, (*all_frameworks(), *all_tasks(), *endpoints.shipped()))


@pytest.mark.usefixtures("runs")
def test_score(bakeoff: Bakeoff) -> None:
    titles = tuple(all_frameworks()[name].title for name in FRAMEWORKS)
    said = bakeoff("score", "--traces", "traces", "--out", "out", "--prices", "openai/gpt-5-mini")
    assert said.code == 0
    shows(said.out, (*titles, "acme/long-model-name-7b"))
    assert "1 × acme/long-model-name-7b" in said.out
    said = bakeoff("score", "--traces", "traces", "--weights", "correctness=3,cost=1")
    assert said.code == 0
    shows(said.out, titles)


@pytest.mark.usefixtures("runs")
def test_parity(bakeoff: Bakeoff) -> None:
    said = bakeoff("parity", "-f", "openai_agents,baseline", *TASK, "--traces", "traces")
    assert said.code in (0, 1)
    assert "…" not in said.out and all(len(line) <= NARROW for line in said.out.splitlines())


def test_a_dry_run(bakeoff: Bakeoff) -> None:
    said = bakeoff("run", "--dry-run", "-m", "scripted", "-f", "baseline")
    assert said.code == 0
    lines = said.out.splitlines()
    assert "runs  recorded  to be made" in lines[1] and lines[2].startswith("level 1 ")
    assert any(line.startswith("for a wider terminal: rounds, cases") for line in lines)


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    todo = "uv lock --project implementations/agent_framework"
    finding = Finding(Verdict.FAILS, "out of date: it does not fit pyproject.toml")
    print_result(options.console, Result("lock", "lock of agent_framework", finding, "It cannot be made.", todo))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lock of agent_framework: fails"
    assert lines[1] == "      out of date: it does not fit"
    assert all(len(line) <= NARROW for line in lines)


@pytest.mark.parametrize(("named", "width"), [("40", 40), ("", 100), ("0", 100), ("wide", 100), ("²", 100)])
def test_the_width_is_what_columns_says_or_100(monkeypatch: pytest.MonkeyPatch, named: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", named)
    assert options.console_width(is_terminal=False) == width


@pytest.mark.parametrize(("named", "width"), [("40", 40), ("", None)])
def test_a_terminal_has_its_own(monkeypatch: pytest.MonkeyPatch, named: str, width: int | None) -> None:
    monkeypatch.setenv("COLUMNS", named)
    assert options.console_width(is_terminal=True) == width
