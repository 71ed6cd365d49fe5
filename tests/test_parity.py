"""Every framework × task: nothing differs on the wire from the spec that no deviation explains.

Which documents a search finds is in no spec: there the baseline's committed traces are the other side, so that the
tests of one framework need that one alone.
"""

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
from tasks.base import Case, of_size

TRACES = ROOT / "traces"
FRAMEWORKS, TASKS = all_frameworks(), all_tasks()
DEVIATIONS = numbered_deviations(FRAMEWORKS.values())


def implemented(framework: Framework) -> list[Task]:
    return [task for task in TASKS.values() if implements(framework, task.name)]


def observed(path: Path, task: Task) -> parity.Observation:
    trace = read_trace(path)
    assert isinstance(trace, Trace)
    return parity.observe(trace, task)


def baseline(task: Task, case: Case, runs: TestedRuns) -> parity.Observation:
    """The baseline's committed run of a case."""
    if not runs.recorded(Job(FRAMEWORKS[BASELINE], task, case, 1), TRACES):
        again = f"uv run bakeoff run -f {BASELINE} -m scripted --cases full --traces traces"
        pytest.fail(f"traces/scripted/{BASELINE}: {task.name} {case.id} is out of date: `{again}`")
    key = Key(model="scripted", framework=BASELINE, task=task.name, case=case.id, trial=1)
    return observed(trace_path(TRACES, key), task)


@cache
def compared(framework: Framework, task: Task, runs: TestedRuns, option: pytest.Config) -> parity.Parity:
    """What differs in the runs of all chosen cases. They are those that `test_implementations.py` makes, too."""
    if option.getoption("model") != "scripted":
        pytest.skip("a real model goes its own way: compare its traces with `bakeoff parity -m MODEL`")
    comparisons = []
    for case in of_size(task.load(), option.getoption("cases")):
        run = observed(runs.make(Job(framework, task, case, 1)).trace, task)
        comparisons.append(parity.compare(run, baseline(task, case, runs) if run.found else None))
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
    if pytestconfig.getoption("cases") != "full":
        pytest.skip("some differences show in a few cases only: needs --cases full")
    every_task = [compared(framework, task, tested_runs, pytestconfig) for task in implemented(framework)]
    found = parity.stale(every_task, DEVIATIONS[framework.name])
    stale = [f"deviation {number}: {pattern!r}" for number, pattern in found]
    assert not stale, "\n".join(["no such difference is left; take out", *stale])
