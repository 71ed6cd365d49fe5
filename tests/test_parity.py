"""Every framework × task: nothing differs on the wire from the spec that no deviation explains.

Which documents a search finds is in no spec: there the baseline's committed traces are the other side, so that the
tests of one framework need that one alone.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from evaluator import ROOT
from evaluator.analysis import parity
from evaluator.analysis.parity import report as parity_report
from evaluator.catalog.frameworks import BASELINE, Framework, all_frameworks, implements, numbered_deviations
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.harness.jobs import Job
from evaluator.pytest_plugin import TestedRuns, marks_of
from evaluator.trace import Key, Trace, read_trace, trace_path
from tasks.cases import Case, of_size

TRACES = ROOT / "traces"
FRAMEWORKS, TASKS = all_frameworks(), all_tasks()
DEVIATIONS = numbered_deviations(FRAMEWORKS.values())


def implemented(framework: Framework) -> list[Task]:
    return [task for task in TASKS.values() if implements(framework, task.name)]


def observed(path: Path, task: Task) -> parity.Observation:
    trace = read_trace(path)
    assert isinstance(trace, Trace)
    return parity.observe(trace, task)


def committed(job: Job) -> Path:
    """Where the committed trace of a scripted run is."""
    key = Key(model="scripted", framework=job.framework.name, task=job.task.name, case=job.case.id, trial=job.trial)
    return trace_path(TRACES, key)


def baseline(task: Task, case: Case, runs: TestedRuns) -> parity.Observation:
    """The baseline's committed run of a case."""
    job = Job(FRAMEWORKS[BASELINE], task, case, 1)
    if not runs.recorded(job, TRACES):
        again = f"uv run bakeoff run -f {BASELINE} -m scripted --cases full --traces traces"
        pytest.fail(f"traces/scripted/{BASELINE}: {task.name} {case.id} is out of date: `{again}`")
    return observed(committed(job), task)


@cache
def compared(framework: Framework, task: Task, runs: TestedRuns, option: pytest.Config) -> parity.Parity:
    """What differs in the runs of all chosen cases. They are those that `test_implementations.py` makes, too."""
    if option.getoption("model") != "scripted":
        pytest.skip("a real model goes its own way: compare its traces with `bakeoff parity -m MODEL`")
    jobs = [Job(framework, task, case, 1) for case in of_size(task.load(), option.getoption("cases"))]
    return summarised(framework, [(job, runs.make(job).trace) for job in jobs], runs)


def recorded(framework: Framework, task: Task, runs: TestedRuns, option: pytest.Config) -> parity.Parity:
    """What differs in the committed runs of the cases that were not chosen."""
    chosen = {case.id for case in of_size(task.load(), option.getoption("cases"))}
    jobs = [Job(framework, task, case, 1) for case in task.load() if case.id not in chosen]
    if not all(runs.recorded(job, TRACES) for job in jobs):
        pytest.skip("some differences show in a few cases only, and committed runs are out of date: needs --cases full")
    return summarised(framework, [(job, committed(job)) for job in jobs], runs)


def summarised(framework: Framework, made: Sequence[tuple[Job, Path]], runs: TestedRuns) -> parity.Parity:
    """What differs in these runs, whose traces are there."""
    comparisons = []
    for job, path in made:
        run = observed(path, job.task)
        comparisons.append(parity.compare(run, baseline(job.task, job.case, runs) if run.found else None))
    return parity.summarise(comparisons, DEVIATIONS[framework.name])


@pytest.mark.parametrize(
    ("framework", "task"),
    [
        pytest.param(framework, task, marks=marks_of(framework, task.name), id=f"{framework.name}/{task.name}")
        for framework in FRAMEWORKS.values()
        for task in implemented(framework)
    ],
)
def test_every_difference_is_explained(
    framework: Framework, task: Task, tested_runs: TestedRuns, pytestconfig: pytest.Config
) -> None:
    unexplained = compared(framework, task, tested_runs, pytestconfig).unexplained
    lines = [f"{finding.name}: {parity_report.one_line(finding.example, 200)}" for finding in unexplained]
    assert not lines, "\n".join(["no deviation explains", *lines])


@pytest.mark.parametrize(
    "framework",
    [pytest.param(framework, marks=marks_of(framework), id=framework.name) for framework in FRAMEWORKS.values()],
)
def test_every_deviation_explains_something(
    framework: Framework, tested_runs: TestedRuns, pytestconfig: pytest.Config
) -> None:
    tasks = implemented(framework)
    every_task = [of(framework, task, tested_runs, pytestconfig) for of in (compared, recorded) for task in tasks]
    found = parity.stale(every_task, DEVIATIONS[framework.name])
    stale = [f"deviation {number}: {pattern!r}" for number, pattern in found]
    assert not stale, "\n".join(["no such difference is left; take out", *stale])
