"""Faults as runs: drawn by seed, put into a real run of a plain loop, and judged by the trace."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evaluator.analysis.faults.judged import FaultRun, judged
from evaluator.analysis.faults.rows import rows, sentence, totals
from evaluator.catalog.frameworks import all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.faults.table import FAULTS
from evaluator.harness.environments import provision
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.runner import harness
from evaluator.models import specs
from evaluator.suites import faulting
from evaluator.trace import Trace

pytestmark = pytest.mark.xdist_group("faulting")  # what is made for all is made once

BASELINE = all_frameworks()["baseline"]
TASKS = all_tasks()
MADE = ("broken_json", "status_500", "reset", "cut_in_text", "tool_raises", "search_fails", "empty_reply")


def drawn(*names: str, seed: int = 1) -> list[Job]:
    return faulting.jobs([BASELINE], TASKS, names, seed)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    names = [(job.task.name, job.name) for job in drawn()]
    assert names == [(job.task.name, job.name) for job in drawn()] and len(set(names)) == len(names)
    assert names != [(job.task.name, job.name) for job in drawn(seed=2)]
    assert {job.injected.fault for job in drawn() if job.injected} == {fault.name for fault in FAULTS}
    strengths = {(job.injected.fault, job.injected.strength) for job in drawn() if job.injected}
    assert len(strengths) == sum(1 if fault.lasts else 3 for fault in FAULTS)


def test_with_hardened_modules_the_same_is_run_once_more() -> None:
    jobs = drawn("reset")
    with_means = {(job.case.id, job.injected) for job in jobs if job.hardened}
    assert with_means == {(job.case.id, job.injected) for job in jobs if job.task.name == "tool_calling"}
    assert {job.module for job in jobs if job.hardened} == {"hardened/tool_calling"}
    assert all(job.name.endswith("--hardened") == job.hardened for job in jobs)


def test_each_case_with_a_fault_is_run_undisturbed_too() -> None:
    undisturbed = {(job.task.name, job.case.id) for job in drawn() if job.injected is None}
    assert {(job.task.name, job.case.id) for job in drawn()} == undisturbed


def test_a_fault_that_there_is_not_is_named() -> None:
    assert faulting.named(None) == () and faulting.named(" reset, stall") == ("reset", "stall")
    with pytest.raises(Mistake, match="--faults 'flood': there is no such fault; there are broken_json, "):
        faulting.named("reset,flood")


async def _made(folder: Path) -> list[Trace]:
    await provision(BASELINE, print)
    spec = specs.resolve("faults", None, None)
    settings = Settings(model=spec, timeout_s=20, jobs=1, logs=folder)
    jobs = [job for job in drawn(*MADE) if not job.hardened]
    jobs = [job for job in jobs if job.injected is None or job.injected.strength == "once"]
    jobs = [job for job in jobs if job.injected is None or job.injected.place == "first"]
    async with harness(settings, list(TASKS), Console(quiet=True)) as opened:
        return [await opened.run(job) for job in jobs]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Trace]]:
    yield asyncio.run(_made(tmp_path_factory.mktemp("logs")))


@pytest.fixture
def runs(traces: list[Trace]) -> list[FaultRun]:
    return [run for _, run in judged(traces, TASKS)]


def test_undisturbed_every_run_is_right(traces: list[Trace]) -> None:
    sound = [trace for trace in traces if trace.injected is None]
    assert sound and all(trace.outcome.ended == "answered" for trace in sound)


TIMES = ("wall_s", "cpu_s", "import_s", "memory_after_import_mb", "peak_memory_mb", "started_at")


def without_times(value: Any) -> Any:
    """Recorded data without what no two runs have in common."""
    if isinstance(value, dict):
        kept = {name: part for name, part in value.items() if name not in TIMES and not name.endswith("_s")}
        return {name: without_times(part) for name, part in kept.items()}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def test_the_same_seed_gives_the_same_traces_but_for_times(
    traces: list[Trace], tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = asyncio.run(_made(tmp_path_factory.mktemp("logs")))
    assert [without_times(one.model_dump()) for one in again] == [without_times(one.model_dump()) for one in traces]


def test_what_a_plain_loop_makes_of_faults(runs: list[FaultRun]) -> None:
    ends = {(run.injected.fault, run.end) for run in runs}
    recovered = set(MADE) - {"empty_reply"}
    assert ends == {*((fault, "right") for fault in recovered), ("empty_reply", "wrong")}
    assert not any(run.done_twice for run in runs)


def test_what_it_takes_and_what_the_model_is_told(runs: list[FaultRun]) -> None:
    for run in runs:
        if run.injected.fault in ("status_500", "reset", "cut_in_text"):
            assert run.calls == 1 and run.told == ""  # the client tries again by itself
        if run.injected.fault == "tool_raises":
            assert run.calls == 1 and "the connection to the database was lost" in run.told


def test_the_rows_and_the_sentence_add_up(runs: list[FaultRun]) -> None:
    found = rows(runs)
    assert [row.fault for row in found] == [fault.name for fault in FAULTS if fault.name in MADE]
    assert sum(row.figures.passing for row in found) == len(runs)
    [total] = totals(runs)
    assert total.figures.passing == sum(of.passing for of in total.layers.values()) == len(runs)
    wrong = sum(run.end == "wrong" for run in runs)
    assert sentence("It", total, found) == (
        f"It recovered from {len(runs) - wrong} of {len(runs)} faults that passed. {wrong} runs ended with a wrong "
        "answer, as if all were well. No side effect was done twice."
    )
