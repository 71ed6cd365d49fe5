"""How far a command has come: what counts, and what is said of it."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import CASE, trace
from rich.console import Console

from evaluator.catalog.frameworks import all_frameworks
from evaluator.catalog.tasks import Task
from evaluator.harness.jobs import Settings, in_rounds
from evaluator.harness.plans import Plan, Standing
from evaluator.models import specs
from evaluator.scorecard import build
from evaluator.suites.standing import WholeRounds, in_words, left_out
from evaluator.trace import Key, write_trace
from tasks.tool_calling.spec import ToolCallingCase

NAMES = ("baseline", "agno")


@pytest.fixture
def standing(tool_calling: Task) -> Standing:
    """Three rounds: two of level 2, and one of level 3."""
    cases = [
        ToolCallingCase.model_validate({**CASE, "id": f"case-{number}", "level": level})
        for number, level in enumerate((2, 2, 3))
    ]
    frameworks = [all_frameworks()[name] for name in NAMES]
    settings = Settings(specs.resolve("scripted", None, None), timeout_s=60, jobs=1)
    return Standing(Plan(settings, in_rounds(frameworks, [(tool_calling, cases)], 1), budget_s=600))


@pytest.fixture
def record(standing: Standing, tmp_path: Path) -> Callable[..., None]:
    """Writes the runs of a round, of all frameworks or of some, with an answer that is right or not."""

    def recorded(number: int, answer: str = "Hello.", *names: str) -> None:
        for job in standing.plan.rounds[number]:
            if job.framework.name in (names or NAMES):
                key = Key(
                    model="scripted", framework=job.framework.name, task="tool_calling", case=job.case.id, trial=1
                )
                write_trace(tmp_path, trace(key, answer=answer))

    return recorded


def shown(rounds: WholeRounds, standing: Standing) -> list[str]:
    table = rounds.table(standing)
    assert table is not None
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_table_counts_whole_rounds_only(standing: Standing, record: Callable[..., None], tmp_path: Path) -> None:
    record(0)
    record(1, "Goodbye.", "agno")
    rounds = WholeRounds(tmp_path)
    assert rounds.table(standing) is None
    standing.whole = {0}
    title, *_, last = shown(rounds, standing)
    assert title.rstrip() == "scripted · 1 of 3 rounds, 1 case, level 2"
    assert "only" in last.lower()
    assert sum("1/1 100%" in line for line in shown(rounds, standing)) == len(NAMES)

    record(1, "Goodbye.")
    record(2, "Goodbye.")
    standing.whole = {0, 1, 2}
    title, *rows = shown(rounds, standing)
    assert title.rstrip() == "scripted · 3 of 3 rounds, 3 cases, levels 2 and 3"
    assert sum("1/3" in line and "33%" in line for line in rows) == len(NAMES)


def test_what_is_said_at_the_end(standing: Standing, record: Callable[..., None], tmp_path: Path) -> None:
    record(0)
    record(1)
    record(2, "Goodbye.", "agno")
    standing.whole, standing.used_s = {0, 1}, 660.0
    not_whole = left_out([standing])
    assert {(key.framework, key.case) for key in not_whole} == {(name, "case-2") for name in NAMES}
    card = build(tmp_path, keep=lambda key: key not in not_whole)
    assert in_words(card, [standing], tmp_path) == [
        "scripted: 2 of 3 rounds, 2 cases (2 of level 2) with 2 frameworks; "
        "the budget of 10 min is spent: 11 min were used.",
        "  Over 2 cases every run passed, so no two frameworks can differ in pass rate.",
        "  Nothing is known yet of level 3.",
        "  Not counted here, as their rounds are not whole: 1 recorded run.",
        "The same command adds more.",
    ]
    record(2)
    standing.whole, standing.used_s = {0, 1, 2}, 0.0
    assert in_words(build(tmp_path), [standing], tmp_path) == [
        "scripted: 3 of 3 rounds, 3 cases (2 of level 2, 1 of level 3) with 2 frameworks.",
        "  Over 3 cases every run passed, so no two frameworks can differ in pass rate.",
    ]
    one_go = Standing(dataclasses.replace(standing.plan, rounds=[standing.plan.jobs]), whole={0})
    assert in_words(build(tmp_path), [one_go], tmp_path) == []
