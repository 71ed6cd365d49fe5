"""pytest plugin: the reference tasks as tests, with a marker for each framework and each task.

A test that takes the fixture `graded` is run once for every framework × task × case × trial.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from rich.console import Console

from evaluator import discovery, models, runner
from evaluator.environments import provision
from evaluator.metrics import GradedRun, grade_run
from evaluator.trace import trace_path, write_trace
from tasks.base import of_size

T = TypeVar("T")

TRACES = runner.WORK / "pytest"


@dataclass(frozen=True)
class TestedRun:
    """A run made by a test, its grade, and where its trace is."""

    __test__ = False

    run: GradedRun
    trace: Path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that say which model answers, and how often."""
    group = parser.getgroup("bakeoff")
    group.addoption("--model", default="scripted", help="'scripted' (default), 'local', or a name with --base-url")
    group.addoption("--base-url", default=None, help="OpenAI-compatible server that has the model")
    group.addoption("--key-variable", default=None, help="environment variable that holds its key")
    group.addoption("--trials", type=int, default=1, help="repetitions of each case")
    group.addoption("--cases", default="full", choices=("quick", "standard", "full"), help="which cases")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers: they are made from the folders."""
    for framework in discovery.frameworks().values():
        config.addinivalue_line("markers", f"{framework.name}: runs of {framework.title}")
    for task in discovery.tasks():
        config.addinivalue_line("markers", f"{task}: runs of the task {task}")
    config.addinivalue_line("markers", "live: needs a real model")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a real model unless that was asked for."""
    if config.option.model != "scripted" or "live" in config.option.markexpr:
        return
    live = [item for item in items if item.get_closest_marker("live")]
    if live:
        config.hook.pytest_deselected(items=live)
        items[:] = [item for item in items if not item.get_closest_marker("live")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each framework × task × case × trial."""
    if "graded" not in metafunc.fixturenames:
        return
    option = metafunc.config.option
    parameters = []
    for framework in discovery.frameworks().values():
        for task in discovery.tasks().values():
            for case in of_size(task.load(), option.cases):
                for trial in range(1, option.trials + 1):
                    marks = [getattr(pytest.mark, framework.name), getattr(pytest.mark, task.name)]
                    marks += [pytest.mark.live] if option.model != "scripted" else []
                    name = f"{framework.name}/{task.name}/{case.id}" + (f".{trial}" if option.trials > 1 else "")
                    parameters.append(pytest.param(runner.Job(framework, task, case, trial), marks=marks, id=name))
    metafunc.parametrize("graded", parameters, indirect=True)


class _Background:
    """An event loop in a thread of its own, which outlives single tests."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def make_run(request: pytest.FixtureRequest) -> Iterator[Callable[[runner.Job], TestedRun]]:
    """Makes one run; the model and the workers stay up for the whole session."""
    option = request.config.option
    say = request.config.get_terminal_writer().line
    try:
        spec = models.resolve(option.model, option.base_url, option.key_variable)
    except models.ModelError as mistake:
        raise pytest.UsageError(str(mistake)) from None
    settings = runner.Settings(model=spec, timeout_s=spec.timeout_s, jobs=1)
    background = _Background()
    opened = contextlib.AsyncExitStack()

    async def up() -> runner.Harness:
        return await opened.enter_async_context(runner.harness(settings, list(discovery.tasks()), Console(stderr=True)))

    async def make(job: runner.Job) -> TestedRun:
        await provision(job.framework, say)
        trace = await harness.run(job)
        write_trace(TRACES, trace)
        return TestedRun(grade_run(trace, job.task), trace_path(TRACES, trace.key))

    harness = background.run(up())
    try:
        yield lambda job: background.run(make(job))
    finally:
        background.run(opened.aclose())
        background.close()


@pytest.fixture
def graded(request: pytest.FixtureRequest, make_run: Callable[[runner.Job], TestedRun]) -> TestedRun:
    """The graded run of this test's framework, task, case and trial."""
    return make_run(request.param)
