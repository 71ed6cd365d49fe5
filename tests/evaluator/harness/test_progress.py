"""Progress: the estimate, and what is printed where there is no terminal."""

import io
from collections import Counter
from collections.abc import Callable

import pytest
from factories import key, trace
from fakes import MakeFramework
from rich.console import Console

from evaluator.harness import progress
from evaluator.harness.jobs import Job
from evaluator.harness.progress import Progress, time_left_s
from evaluator.trace import Ended

MakeJob = Callable[..., Job]


def test_time_left_takes_each_task_at_its_own_pace() -> None:
    assert time_left_s(Counter({"quick": 3}), {}, 1) is None
    durations = {"quick": [1.0, 3.0], "slow": [10.0]}
    assert time_left_s(Counter({"quick": 3, "slow": 2}), durations, 1) == 3 * 2.0 + 2 * 10.0
    assert time_left_s(Counter({"quick": 3, "slow": 2}), durations, 2) == (3 * 2.0 + 2 * 10.0) / 2
    assert time_left_s(Counter({"never made": 3}), durations, 1) == 3 * (14.0 / 3)
    assert time_left_s(Counter({"quick": 0}), durations, 1) == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (3600, "60 min"), (5400, "1.5 h"), (1e5, "27.8 h")],
)
def test_durations_are_said_in_a_fitting_unit(seconds: float, words: str) -> None:
    assert progress._duration(seconds) == words


def shown(console: Console, jobs: list[Job], ends: list[Ended], at_once: int = 1) -> list[str]:
    with Progress(console, {"scripted": (jobs, at_once)}) as bar:
        for job, ended in zip(jobs, ends, strict=True):
            bar.started("scripted", job)
            bar.finished("scripted", job, trace(key(job.case.id), ended=ended, wall_s=6.0))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_where_there_is_no_terminal_it_says_a_plain_line_now_and_then(
    make_framework: MakeFramework, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    framework = make_framework()
    jobs = [job(framework, trial=trial) for trial in range(1, 5)]
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.0)
    # More at once than there are frameworks does not make it faster.
    lines = shown(Console(file=io.StringIO()), jobs, ["answered", "timeout", "error", "answered"], at_once=8)
    assert lines == [
        "1 of 4 runs, about 18 s left",
        "2 of 4 runs, about 12 s left, 1 without an answer",
        "3 of 4 runs, about 6 s left, 2 without an answer",
        "4 of 4 runs, 2 without an answer",
    ]
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 600.0)
    lines = shown(Console(file=io.StringIO()), jobs, ["answered"] * 4)
    assert lines == ["1 of 4 runs, about 18 s left", "4 of 4 runs"]


def test_several_models_are_one_progress_at_the_pace_of_each(
    make_framework: MakeFramework, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    framework = make_framework()
    jobs = [job(framework, trial=trial) for trial in (1, 2)]
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.0)
    console = Console(file=io.StringIO())
    with Progress(console, {"slow": (jobs, 1), "fast": (jobs, 1)}) as bar:
        for model, wall_s in (("slow", 20.0), ("fast", 2.0)):
            for one in jobs:
                bar.finished(model, one, trace(key(one.case.id, model=model), wall_s=wall_s))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "1 of 4 runs, about 60 s left",  # nothing is known of the second model: as slow as the first
        "2 of 4 runs, about 40 s left",
        "3 of 4 runs, about 2 s left",
        "4 of 4 runs",
    ]


def test_on_a_terminal_it_is_a_bar(make_framework: MakeFramework, job: MakeJob) -> None:
    framework = make_framework()
    jobs = [job(framework, trial=trial) for trial in (1, 2)]
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    said = "\n".join(shown(console, jobs, ["answered", "error"]))
    assert "scripted fake tool_calling greeting" in said and "2/2" in said and "1 without an answer" in said
    assert "of 2 runs" not in said
