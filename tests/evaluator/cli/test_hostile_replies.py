"""Whatever a model's server replies, the run ends, and every command copes with the record of it.

The kinds of tens of megabytes, and real frameworks, are played by `tests/benchmarks/hostile_replies.py`.
"""

import asyncio
import csv
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import TASK, Bakeoff
from hostile import KINDS, Server, serving
from hostile_runs import Played, agent, expected, play
from rich.console import Console

from evaluator.catalog import frameworks
from evaluator.catalog.frameworks import Framework
from evaluator.harness import engine
from evaluator.harness.jobs import Settings
from evaluator.harness.runner import harness
from evaluator.models import specs
from evaluator.text import visible

pytestmark = pytest.mark.xdist_group("hostile")  # all is played once

LIGHT = [kind for kind in KINDS if not kind.heavy]


@dataclass(frozen=True)
class Recorded:
    """What was played, where its traces are, and with which frameworks."""

    url: str
    agents: dict[str, Framework]
    traces: Path
    played: list[Played]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("hostile")
    agents = {name: agent(folder, name, Path(sys.executable), retries=False) for name in ("plain", "streaming")}
    played: list[Played] = []

    async def play_all(server: Server) -> None:
        settings = Settings(
            model=specs.resolve("hostile", server.url, None), timeout_s=60, jobs=1, logs=folder / "logs"
        )
        async with harness(settings, ["tool_calling"], Console(quiet=True)) as made:
            for one in agents.values():
                kinds = [kind for kind in LIGHT if kind.streams == (one.name == "streaming")]
                await play(made, one, server, kinds, folder / "traces", played.append)

    with serving() as server:
        asyncio.run(play_all(server))
        yield Recorded(server.url, agents, folder / "traces", played)


@pytest.fixture
def known(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Commands know the frameworks that played, and no others."""
    monkeypatch.setattr(frameworks, "all_frameworks", lambda: recorded.agents)
    folders = [one.folder for one in recorded.agents.values()]
    for name in ("export.runs", "export.run_table", "scorecard.build", "site.build"):
        monkeypatch.setattr(importlib.import_module(f"evaluator.{name}"), "framework_folders", lambda *_: folders)

    async def provided(*_: object) -> None:
        """The environments are there."""

    monkeypatch.setattr(engine, "provision_all", provided)
    return recorded


def test_every_run_ends_as_it_should(recorded: Recorded) -> None:
    ends = {one.kind.name: one.ended for one in recorded.played}
    assert ends == {kind.name: expected(kind) for kind in LIGHT}


def test_commands_cope_with_what_was_recorded(bakeoff: Bakeoff, known: Recorded, tmp_path: Path) -> None:
    for command, *options in (
        ("score", "--out", "scores"),
        ("report", "--out", "site"),
        ("export", "--format", "csv", "--out", "runs.csv"),
        ("export", "--format", "openai", "--failed", "--out", "runs.jsonl"),
        ("export", "--format", "otlp", "--out", "spans.jsonl"),
    ):
        said = bakeoff(command, *options, "--traces", str(known.traces))
        text = said.out + said.err
        assert said.code == 0, text
        assert visible(text) == text
        assert "Traceback" not in text and "cannot be" not in text
    for page in [*(tmp_path / "site").rglob("*.html"), *(tmp_path / "scores").glob("*.md")]:
        content = page.read_text(encoding="utf-8")
        assert visible(content) == content
        assert "window.pwned=1</script>" not in content and "<img src=x" not in content
    with (tmp_path / "runs.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "\t"))]


def test_what_a_server_says_is_never_raw_on_the_terminal(bakeoff: Bakeoff, known: Recorded, tmp_path: Path) -> None:
    names = ("unseen characters", "status 400", "an error with status 200", "half a surrogate pair")
    cases = [
        {"id": f"kind-{number}", "kind": "no_call", "size": "quick", "question": name, "answer": "Hello."}
        for number, name in enumerate(names)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    said = bakeoff(
        *("run", "-m", "hostile", "--base-url", known.url, "-f", "plain", *TASK),
        *("--cases", "mine.jsonl", "--traces", "traces"),
    )
    text = said.out + said.err
    assert said.code == 1 and "1 run ended by no fault of framework or model" in text
    assert visible(text) == text
