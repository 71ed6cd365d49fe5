"""pytest plugin: the reference tasks as tests, with a marker for each framework and each task.

A test that takes the fixture `graded` is run once for every framework × task × case × trial; one that
takes `probed` once for every framework × task × probe; one that takes `replayed` once for every recorded run. One that
takes `faulted` is run, where the marker `faults` was asked for, once for every framework × task × fault; one that takes
`outside`, where the marker of an outside suite was, once for every framework × case of a sample.
"""

import asyncio
import contextlib
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest
import uvloop
from rich.console import Console

from evaluator import ROOT, WORK
from evaluator.analysis.faults.gather import gather
from evaluator.analysis.faults.judged import FaultRun, judged
from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.catalog.folders import capability_names, suite_names
from evaluator.catalog.frameworks import Framework, all_frameworks, implements
from evaluator.catalog.suites import all_suites, as_task, contracts
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.faults.table import BY_NAME
from evaluator.files import own_folder
from evaluator.harness.environments import provision, provision_extras
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.pool import Pool
from evaluator.harness.runner import Harness, harness
from evaluator.harness.watch import Watch
from evaluator.models import specs
from evaluator.packs import SUITES_FOLDER
from evaluator.probes.behaviours import Behaviour, behaviours, expected_failure
from evaluator.providers.names import FAULTS_NAME, REPLAY, is_real
from evaluator.suites import faulting, outside, probing, replays
from evaluator.trace import Key, Trace, trace_path, write_trace
from tasks.cases import of_size
from tasks.served import served
from tasks.suite import Verdict

T = TypeVar("T")

TRACES = WORK / "pytest"

_AT_ONCE = 2
"""How many runs of a framework are made at the same time where no model computes."""


@dataclass(frozen=True)
class TestedRun:
    """A run made by a test, its grade, and where its trace is."""

    __test__ = False

    run: GradedRun
    trace: Path


@dataclass(frozen=True)
class TestedProbe:
    """A probe made by a test: what it showed, and where its traces are."""

    __test__ = False

    behaviour: Behaviour
    traces: tuple[Path, ...]


@dataclass(frozen=True)
class TestedReplay:
    """A replay made by a test: what came out otherwise than recorded, in words, and where its trace is."""

    __test__ = False

    unlike: tuple[str, ...]
    trace: Path


@dataclass(frozen=True)
class TestedFault:
    """A run with a fault made by a test, what came of it, what came of it where it was recorded, and where its trace
    is. Nothing comes of a fault that did not come."""

    __test__ = False

    run: FaultRun | None
    recorded: FaultRun | None
    trace: Path


@dataclass(frozen=True)
class TestedSuite:
    """A run of an outside suite made by a test, what the suite's grader says of it, what it said where the run was
    recorded, if it was, and where its trace is."""

    __test__ = False

    verdict: Verdict
    recorded: Verdict | None
    trace: Path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that say which model answers, and how often."""
    group = parser.getgroup("bakeoff")
    group.addoption("--model", default="scripted", help="'scripted' (default), or what `bakeoff run -m` takes")
    group.addoption("--base-url", default=None, help="OpenAI-compatible server, in place of the endpoint's own")
    group.addoption("--key-variable", default=None, help="environment variable that holds its key")
    group.addoption("--trials", type=int, default=1, help="repetitions of each case")
    group.addoption(
        "--cases",
        default="standard",
        choices=("quick", "standard", "full"),
        help="which cases; four a level by default",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers: they are made from the folders."""
    for framework in all_frameworks().values():
        config.addinivalue_line("markers", f"{framework.name}: runs of {framework.title}")
    for task in all_tasks():
        config.addinivalue_line("markers", f"{task}: runs of the task {task}")
    for capability in capability_names():
        config.addinivalue_line(
            "markers", f"{capability}: runs of the capability task {capability}; only where asked for"
        )
    config.addinivalue_line("markers", "capabilities: runs of all capability tasks; only where asked for")
    for suite in suite_names():
        config.addinivalue_line("markers", f"{suite}: runs of the outside suite {suite}; only where asked for")
    for contract in contracts():
        config.addinivalue_line("markers", f"{contract}: modules that serve cases of outside suites alone")
    config.addinivalue_line("markers", "suites: runs of all outside suites; only where asked for")
    config.addinivalue_line("markers", "live: needs a real model")
    config.addinivalue_line("markers", "faults: runs with faults that are put in on purpose; only where asked for")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One process where a real model answers: it is brought up once, and its time is not shared."""
    return 0 if is_real(config.option.model) else None


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a real model unless that was asked for; keep what is of one framework on one process."""
    frameworks = all_frameworks()
    for item in items:
        if name := next((mark.name for mark in item.iter_markers() if mark.name in frameworks), None):
            item.add_marker(pytest.mark.xdist_group(name))
    unasked = [] if config.option.model != "scripted" or "live" in config.option.markexpr else ["live"]
    unasked += [] if _faults_asked_for(config) else ["faults"]
    if not any(name in config.option.markexpr for name in ("capabilities", *capability_names())):
        unasked.append("capabilities")
    unasked += [] if _suites_asked_for(config) else ["suites"]
    left_out = [item for item in items if any(map(item.get_closest_marker, unasked))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not any(map(item.get_closest_marker, unasked))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each framework × task × case × trial, for each framework × task × probe, or for each recording."""
    if "probed" in metafunc.fixturenames:
        metafunc.parametrize("probed", _probe_parameters(), indirect=True)
    if "replayed" in metafunc.fixturenames:
        metafunc.parametrize("replayed", _replay_parameters(), indirect=True)
    if "faulted" in metafunc.fixturenames and _faults_asked_for(metafunc.config):
        metafunc.parametrize("faulted", _fault_parameters(), indirect=True)
    if "outside" in metafunc.fixturenames and _suites_asked_for(metafunc.config):
        metafunc.parametrize("outside", _suite_parameters(_suites_asked_for(metafunc.config)), indirect=True)
    if "graded" not in metafunc.fixturenames:
        return
    option = metafunc.config.option
    parameters = []
    for framework in all_frameworks().values():
        for task in (one for one in all_tasks().values() if implements(framework, one.name)):
            for case in of_size(task.load(), option.cases):
                for trial in range(1, option.trials + 1):
                    marks = marks_of(framework, task.name)
                    marks += [pytest.mark.live] if option.model != "scripted" else []
                    name = f"{framework.name}/{task.name}/{case.id}" + (f".{trial}" if option.trials > 1 else "")
                    parameters.append(pytest.param(Job(framework, task, case, trial), marks=marks, id=name))
    metafunc.parametrize("graded", parameters, indirect=True)


def marks_of(framework: Framework, *tasks: str) -> list[pytest.MarkDecorator]:
    """The markers of a test that is about a framework, and about these of its tasks."""
    return [getattr(pytest.mark, name) for name in (framework.name, *tasks)]


def _probes_of(framework: Framework) -> dict[tuple[str, str], list[Job]]:
    """The jobs of each probe of a framework, by task and probe."""
    groups: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in probing.jobs([framework]):
        groups[job.task.name, job.case.kind].append(job)
    return groups


def _probe_parameters() -> list[Any]:
    """A test for each probe of each framework; a failure that a deviation explains must happen."""
    parameters = []
    for framework in all_frameworks().values():
        for (task, probe), jobs in _probes_of(framework).items():
            marks: list[pytest.MarkDecorator] = marks_of(framework, task)
            if (note := expected_failure(framework, probe, task)) is not None:
                marks.append(pytest.mark.xfail(reason=note, strict=True))
            parameters.append(pytest.param(jobs, marks=marks, id=f"{framework.name}/{task}/{probe}"))
    return parameters


def _replay_parameters() -> list[Any]:
    """A test for each run of `replays.FOLDER`."""
    recorded, _ = replays.recordings(replays.FOLDER)
    jobs = replays.jobs(recorded, list(all_frameworks().values()), list(all_tasks().values()))
    return [
        pytest.param(
            job,
            marks=marks_of(job.framework, job.task.name),
            id=f"{job.framework.name}/{job.task.name}/{job.case.id}.{job.trial}",
        )
        for job in jobs
    ]


def _faults_asked_for(config: pytest.Config) -> bool:
    """Whether `-m` names the marker: these runs take minutes, and what they gave is recorded."""
    return "faults" in config.option.markexpr


def _fault_parameters() -> list[Any]:
    """A test for each fault that comes once, at its first place, with each framework and task."""
    jobs = faulting.jobs(all_frameworks().values(), all_tasks())
    chosen = [job for job in jobs if job.injected and not job.hardened and job.injected.place == "first"]
    return [
        pytest.param(
            job,
            marks=marks_of(job.framework, job.task.name),
            id=f"{job.framework.name}/{job.task.name}/{job.name}",
        )
        for job in chosen
        if job.injected and (job.injected.strength == "once" or BY_NAME[job.injected.fault].lasts)
    ]


def _suites_asked_for(config: pytest.Config) -> list[str]:
    """The outside suites whose markers `-m` names, or all with `suites`: their packages must be installed first."""
    named = {*re.findall(r"\w+", config.option.markexpr)}
    return [name for name in suite_names() if named & {name, "suites"}]


def _suite_parameters(names: Sequence[str]) -> list[Any]:
    """A test for each case of a sample of these suites, with each framework that serves it."""
    parameters: list[Any] = []
    for one in outside.chosen(names):
        if not one.suite.is_imported:
            why = pytest.mark.skip(reason=f"{one.suite.name} is not imported: `uv run bakeoff import {one.suite.name}`")
            parameters.append(pytest.param(None, marks=[getattr(pytest.mark, one.suite.name), why], id=one.suite.name))
            continue
        task = as_task(one.suite)
        for framework in (each for each in all_frameworks().values() if implements(each, task.module)):
            for case in outside.drawn([one], outside.Limits.of())[task.name]:
                marks = marks_of(framework, task.name)
                name = f"{framework.name}/{task.name}/{case.id}"
                parameters.append(pytest.param(Job(framework, task, case, 1), marks=marks, id=name))
    return parameters


class _Background:
    """An event loop in a thread of its own, which outlives single tests."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()  # as in `bakeoff run`, so that both measure alike
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.begin(work).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _MadeAhead(Generic[T]):
    """Makes what tests will ask for: once one of a framework is wanted, all of that framework, in order, a few at once.

    So a test does not wait for its own run from beginning to end. `wanted` are groups of jobs that belong together.
    """

    def __init__(
        self,
        shared: "_Shared",
        make: Callable[[Sequence[Job]], Coroutine[Any, Any, T]],
        wanted: Iterable[Sequence[Job]],
        at_once: int,
    ) -> None:
        self._shared = shared
        self._make = make
        self._at_once = at_once
        self._wanted: dict[str, list[Sequence[Job]]] = defaultdict(list)
        for jobs in wanted:
            self._wanted[jobs[0].framework.name].append(jobs)
        self._begun: dict[tuple[Key, ...], Future[T]] = {}

    def get(self, jobs: Sequence[Job]) -> T:
        """What comes of these jobs, which are begun now if they were not yet."""
        if _names(jobs) not in self._begun:
            free = asyncio.Semaphore(self._at_once)
            for others in [jobs, *self._wanted.pop(jobs[0].framework.name, [])]:
                if _names(others) not in self._begun:
                    self._begun[_names(others)] = self._shared.background.begin(self._one(free, others))
        return self._begun[_names(jobs)].result()

    async def _one(self, free: asyncio.Semaphore, jobs: Sequence[Job]) -> T:
        async with free:
            await provision(jobs[0].framework, self._shared.say)
            return await self._make(jobs)

    def close(self) -> None:
        """Give up what nobody asked for, where a session ends early."""
        for future in self._begun.values():
            future.cancel()


def _names(jobs: Sequence[Job]) -> tuple[Key, ...]:
    return tuple(
        Key(model="any", framework=job.framework.name, task=job.task.name, case=job.name, trial=job.trial)
        for job in jobs
    )


def _wanted(request: pytest.FixtureRequest, fixture: str) -> list[Any]:
    """The parameters of a fixture in the tests that were chosen, in their order."""
    specs = (getattr(item, "callspec", None) for item in request.session.items)
    return [spec.params[fixture] for spec in specs if spec is not None and fixture in spec.params]


class TestedRuns:
    """The runs of one session: each is made once, whichever tests look at it."""

    __test__ = False

    def __init__(self, shared: "_Shared", harness: Harness, jobs: Iterable[Job]) -> None:
        self._harness = harness
        at_once = 1 if is_real(shared.settings.model.name) else _AT_ONCE
        self.made = _MadeAhead(shared, self._run, ([job] for job in jobs), at_once)

    def make(self, job: Job) -> TestedRun:
        """The graded run of `job`, made if it was not yet."""
        return self.made.get([job])

    def recorded(self, job: Job, traces: Path) -> bool:
        """Whether `traces` have this run as it would be made now."""
        return self._harness.records.has(job, traces)

    async def _run(self, jobs: Sequence[Job]) -> TestedRun:
        [job] = jobs
        trace = await self._harness.run(job)
        return TestedRun(grade_run(trace, job.task), write_trace(TRACES, trace))


class TestedProbes:
    """The probes of one session, each made once."""

    __test__ = False

    def __init__(self, shared: "_Shared", harness: Harness, wanted: Iterable[Sequence[Job]]) -> None:
        self._shared = shared
        self._harness = harness
        self.made = _MadeAhead(shared, self._run, wanted, _AT_ONCE)

    def make(self, jobs: Sequence[Job]) -> TestedProbe:
        """What one probe shows of one framework on one task, made if it was not yet."""
        traces = self.made.get(jobs)
        [behaviour] = behaviours(traces)
        return TestedProbe(behaviour, tuple(trace_path(TRACES, trace.key) for trace in traces))

    def make_all(self, framework: Framework) -> None:
        """Make all probes of the framework that were not made yet."""
        for jobs in _probes_of(framework).values():
            self.make(jobs)

    def outside(self, framework: Framework) -> list[str]:
        """What the framework has done outside its scratch folder so far, but for the calls of the gateway."""
        return self._shared.watch.findings(framework)

    def provision(self, framework: Framework, *, with_extras: bool = False) -> None:
        """Make the framework's environment if it is missing or out of date; `with_extras`, that of capabilities."""
        self._shared.background.run(provision(framework, self._shared.say))
        if with_extras:
            self._shared.background.run(provision_extras(framework, self._shared.say))

    async def _run(self, jobs: Sequence[Job]) -> list[Trace]:
        traces = await asyncio.gather(*(self._harness.run(job) for job in jobs))
        for trace in traces:
            write_trace(TRACES, trace)
        return traces


class TestedReplays:
    """Makes replays."""

    __test__ = False

    def __init__(self, shared: "_Shared", harness: Harness, jobs: Iterable[Job]) -> None:
        self._harness = harness
        self.made = _MadeAhead(shared, self._run, ([job] for job in jobs), _AT_ONCE)

    def make(self, job: Job) -> TestedReplay:
        """The recorded run of `job` once more, beside what was recorded."""
        return self.made.get([job])

    async def _run(self, jobs: Sequence[Job]) -> TestedReplay:
        [job] = jobs
        assert job.recording is not None
        trace = await self._harness.run(job)
        return TestedReplay(tuple(replays.unlike(job.recording, trace)), write_trace(TRACES, trace))


class TestedFaults:
    """Makes runs with faults."""

    __test__ = False

    def __init__(self, shared: "_Shared", harness: Harness, jobs: Iterable[Job]) -> None:
        self._harness = harness
        self.made = _MadeAhead(shared, self._run, ([job] for job in jobs), _AT_ONCE)
        self._recorded: dict[str, list[FaultRun]] = {}

    def make(self, job: Job) -> TestedFault:
        """What comes of the fault of `job`, beside what came of it where it was recorded."""
        name = job.framework.name
        if name not in self._recorded:
            self._recorded[name] = [run for of in gather(ROOT / "traces", [name], all_tasks()) for run in of.runs]
        trace = self.made.get([job])
        made = next((run for _, run in judged([trace], all_tasks())), None)
        wanted = (job.task.name, job.case.id, job.hardened, job.injected)
        same = (one for one in self._recorded[name] if (one.task, one.case, one.hardened, one.asked) == wanted)
        return TestedFault(made, next(same, None), trace_path(TRACES, trace.key))

    async def _run(self, jobs: Sequence[Job]) -> Trace:
        [job] = jobs
        trace = await self._harness.run(job)
        write_trace(TRACES, trace)
        return trace


class TestedSuites:
    """Makes runs of outside suites, and asks their graders."""

    __test__ = False

    def __init__(self, shared: "_Shared", jobs: Iterable[Job]) -> None:
        asked, suites = list(jobs), all_suites()
        self._harnesses = {
            name: shared.harness(outside.settings(shared.settings.model, suites[name], outside.Limits.of(jobs=1)))
            for name in {job.task.name for job in asked}
        }
        self.made = _MadeAhead(shared, self._run, ([job] for job in asked), _AT_ONCE)

    def make(self, job: Job) -> TestedSuite:
        """The run of `job`, and what the suite's own grader says of it, now and where it was recorded."""
        trace = self.made.get([job])
        recorded = self._harnesses[job.task.name].records.usable(job, ROOT / "traces" / SUITES_FOLDER)
        verdict = outside.verdict_on(trace, served(job.task.name))
        return TestedSuite(verdict, recorded.verdict if recorded else None, trace_path(TRACES, trace.key))

    async def _run(self, jobs: Sequence[Job]) -> Trace:
        [job] = jobs
        trace = await self._harnesses[job.task.name].run(job)
        write_trace(TRACES, trace)
        return trace


@dataclass(frozen=True)
class _Shared:
    """What all runs of the session share. The workers are watched."""

    background: _Background
    watch: Watch
    pool: Pool
    settings: Settings
    say: Callable[[str], None]
    opened: contextlib.AsyncExitStack

    def harness(self, settings: Settings) -> Harness:
        """A harness that is there until the session ends."""

        async def up() -> Harness:
            made = harness(settings, list(all_tasks()), Console(stderr=True), pool=self.pool)
            return await self.opened.enter_async_context(made)

        return self.background.run(up())


@pytest.fixture(scope="session")
def shared_workers(request: pytest.FixtureRequest) -> Iterator[_Shared]:
    """One worker for each framework, whatever model answers."""
    option = request.config.option
    say = request.config.get_terminal_writer().line
    try:
        spec = specs.resolve(option.model, option.base_url, option.key_variable)
    except Mistake as mistake:
        raise pytest.UsageError(str(mistake)) from None
    if spec.name == REPLAY:
        raise pytest.UsageError("--model replay: recordings are replayed in any case; leave it out")
    settings = Settings(model=spec, timeout_s=spec.timeout_s, jobs=1)
    background = _Background()
    opened = contextlib.AsyncExitStack()

    async def up() -> tuple[Watch, Pool]:
        watch = await opened.enter_async_context(Watch(opened.enter_context(own_folder(settings.logs / "watch"))))
        modules = [*all_tasks(), *(contracts() if _suites_asked_for(request.config) else ())]
        pool = Pool(settings, modules, Console(stderr=True), watch)
        return watch, await opened.enter_async_context(pool)

    try:
        watch, pool = background.run(up())
        yield _Shared(background, watch, pool, settings, say, opened)
    finally:
        background.run(opened.aclose())
        background.close()


@pytest.fixture(scope="session")
def tested_runs(shared_workers: _Shared, request: pytest.FixtureRequest) -> Iterator[TestedRuns]:
    """Makes runs; the model and the workers stay up for the whole session."""
    runs = TestedRuns(shared_workers, shared_workers.harness(shared_workers.settings), _wanted(request, "graded"))
    yield runs
    runs.made.close()


@pytest.fixture(scope="session")
def tested_probes(shared_workers: _Shared, request: pytest.FixtureRequest) -> Iterator[TestedProbes]:
    """Makes probes."""
    runs = TestedProbes(shared_workers, shared_workers.harness(probing.settings()), _wanted(request, "probed"))
    yield runs
    runs.made.close()


@pytest.fixture(scope="session")
def tested_replays(shared_workers: _Shared, request: pytest.FixtureRequest) -> Iterator[TestedReplays]:
    """Makes replays."""
    runs = TestedReplays(shared_workers, shared_workers.harness(replays.settings()), _wanted(request, "replayed"))
    yield runs
    runs.made.close()


@pytest.fixture(scope="session")
def tested_faults(shared_workers: _Shared, request: pytest.FixtureRequest) -> Iterator[TestedFaults]:
    """Makes runs with faults."""
    spec = specs.resolve(FAULTS_NAME, None, None)
    settings = Settings(model=spec, timeout_s=spec.timeout_s, jobs=faulting.AT_ONCE)
    runs = TestedFaults(shared_workers, shared_workers.harness(settings), _wanted(request, "faulted"))
    yield runs
    runs.made.close()


@pytest.fixture
def faulted(request: pytest.FixtureRequest, tested_faults: TestedFaults) -> TestedFault:
    """The run with this test's fault, framework and task."""
    return tested_faults.make(request.param)


@pytest.fixture(scope="session")
def tested_suites(shared_workers: _Shared, request: pytest.FixtureRequest) -> Iterator[TestedSuites]:
    """Makes runs of outside suites."""
    runs = TestedSuites(shared_workers, _wanted(request, "outside"))
    yield runs
    runs.made.close()


@pytest.fixture(name="outside")
def outside_(request: pytest.FixtureRequest, tested_suites: TestedSuites) -> TestedSuite:
    """The run of this test's framework and case of an outside suite."""
    return tested_suites.make(request.param)


@pytest.fixture
def replayed(request: pytest.FixtureRequest, tested_replays: TestedReplays) -> TestedReplay:
    """The replay of this test's recorded run."""
    return tested_replays.make(request.param)


@pytest.fixture
def probed(request: pytest.FixtureRequest, tested_probes: TestedProbes) -> TestedProbe:
    """What this test's probe shows of its framework and task."""
    return tested_probes.make(request.param)


@pytest.fixture
def graded(request: pytest.FixtureRequest, tested_runs: TestedRuns) -> TestedRun:
    """The graded run of this test's framework, task, case and trial."""
    return tested_runs.make(request.param)
