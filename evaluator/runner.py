"""Makes runs: a small job in, one trace out; and the whole matrix, resumable."""

import asyncio
import contextlib
import json
import os
import platform
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError
from rich.console import Console

from evaluator import ROOT, discovery, models, upstream_errors
from evaluator.discovery import Framework, Task, implementation_digest, lock_digest, task_digest
from evaluator.embedding import MODEL_NAME as EMBEDDING_NAME
from evaluator.embedding import Embedder
from evaluator.environments import installed
from evaluator.gateway import Gateway, GatewayRun
from evaluator.models import ModelSpec
from evaluator.trace import (
    Ended,
    Key,
    ModelCall,
    ReportedUsage,
    Resources,
    RunOutcome,
    Setup,
    Trace,
    TracedToolCall,
    read_trace,
    trace_path,
    write_trace,
)
from evaluator.upstreams.replay import recorded_name, recorded_script, recording_digest
from evaluator.watch import Watch
from evaluator.workers import Worker, WorkerError
from tasks.base import Case, Model, Script

WORK = ROOT / ".bakeoff"
"""What a checkout keeps for itself: the user's traces, and the workers' logs."""

GRACE_S = 5.0
"""How long after its time limit a run may still report that it has ended."""


class BusyError(RuntimeError):
    """Another process is writing to the same traces."""


class ModelGoneError(RuntimeError):
    """The model's server was out of reach, broke off, or refuses every run alike: no framework's fault, so nothing
    is recorded."""


class TracesError(ValueError):
    """Traces cannot be written where the user wants them. The message says where and why."""


@dataclass(frozen=True)
class Job:
    """One run to make.

    `timeout_s` is there where its limit is not that of the settings. Jobs of a framework that share a
    `together` are made at the same time. A replay has the `recording` that it is answered from, whose
    limits it takes over.
    """

    framework: Framework
    task: Task
    case: Case
    trial: int
    timeout_s: float | None = None
    together: str | None = None
    recording: Trace | None = None

    def script(self) -> Script:
        """What decides how the model answers, where that is not a model of its own mind."""
        if self.recording is None:
            return self.task.script(self.case)
        return recorded_script(self.recording, given=repr(self.task.prepare(self.case).brief))


@dataclass(frozen=True)
class Settings:
    """The limits of every run. Times are in seconds, memory is in MB (10^6 bytes)."""

    model: ModelSpec
    timeout_s: float
    jobs: int
    temperature: float = 0.0
    max_model_calls: int = 10
    memory_limit_mb: float = 4000.0
    logs: Path = field(default=WORK / "logs")


@cache
def _git() -> tuple[str | None, bool | None]:
    """The commit of the checkout and whether anything but traces was changed since; `None` where there is no git."""

    def output(*command: str) -> str:
        run = subprocess.run(["git", "-C", str(ROOT), *command], capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        return output("rev-parse", "HEAD"), bool(
            output("status", "--porcelain", "--untracked-files=no", "--", ".", ":!traces")
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None


@cache
def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Pool:
    """What harnesses can share: one worker a framework, and the embedding model. An async context manager.

    `watch`, if given, sees what the workers do.
    """

    def __init__(
        self, settings: Settings, task_names: Sequence[str], console: Console, watch: Watch | None = None
    ) -> None:
        self._settings = settings
        self._task_names = list(task_names)
        self._console = console
        self.watch = watch
        self.embedder: Embedder | None = None
        self._workers: dict[str, Worker] = {}
        self._starting: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> "Pool":
        self.embedder = await asyncio.to_thread(_embedder, self._task_names, self._console)
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers.values():
            await worker.stop()

    async def worker(self, framework: Framework) -> Worker:
        """The framework's worker, started if need be; one that cannot start comes back dead."""
        worker = self._workers.get(framework.name)
        if worker is None:
            log = self._settings.logs / f"{framework.name}.log"
            worker = Worker(framework, self._task_names, log, self._settings.memory_limit_mb, self.watch)
            self._workers[framework.name] = worker
        async with self._starting.setdefault(framework.name, asyncio.Lock()):
            if not worker.alive and not worker.start_error:
                await worker.start()
        return worker


class Records:
    """Which runs are recorded, and what a record of a run holds. Nothing is started for it."""

    def __init__(self, settings: Settings, model_digest: str) -> None:
        self._settings = settings
        self._model_digest = model_digest
        self.knows_cases = models.knows_cases(settings.model)
        self._digests: dict[tuple[str, str], dict[str, str]] = {}

    def key(self, job: Job) -> Key:
        """What identifies the run."""
        return Key(
            model=self._settings.model.name,
            framework=job.framework.name,
            task=job.task.name,
            case=job.case.id,
            trial=job.trial,
        )

    def has(self, job: Job, traces: Path) -> bool:
        """Whether a usable trace of this run is there: same code, lock, task, model, limits and question.

        Where only the expectation of the case has changed since, the trace takes the new one.
        """
        trace = read_trace(trace_path(traces, self.key(job)))
        if not isinstance(trace, Trace) or trace.key != self.key(job):
            return False
        setup = self.setup(job, trace.setup.python)
        depends_on = {
            *("implementation_digest", "lock_digest", "task_digest", "model_digest"),
            *("temperature", "max_model_calls", "timeout_s"),
        }
        if setup.model_dump(include=depends_on) != trace.setup.model_dump(include=depends_on):
            return False
        try:
            asked = type(job.case).model_validate(trace.case)
        except ValidationError:
            return False
        if asked.inputs() != job.case.inputs():
            return False
        case = _case_as_data(job.case)
        if trace.case != case:
            if self.knows_cases:
                return False
            write_trace(traces, trace.model_copy(update={"case": case}))
        return True

    def setup(self, job: Job, python: str) -> Setup:
        """What the run's result depends on, and where it is made."""
        commit, dirty = _git()
        pair = (job.framework.name, job.task.name)
        if pair not in self._digests:
            self._digests[pair] = {
                "implementation_digest": implementation_digest(job.framework, job.task.name),
                "lock_digest": lock_digest(job.framework),
                "task_digest": task_digest(job.task),
            }
        recording = job.recording
        limits = recording.setup if recording else self._settings
        return Setup(
            framework_version=job.framework.version,
            harness_version=version("bakeoff"),
            **self._digests[pair],
            model_digest=recording_digest(recording) if recording else self._model_digest,
            git_commit=commit,
            git_dirty=dirty,
            python=python,
            platform=f"{platform.system()} {platform.machine()}",
            cpu=_cpu(),
            cpu_cores=os.cpu_count() or 1,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            temperature=limits.temperature,
            max_model_calls=limits.max_model_calls,
            timeout_s=limits.timeout_s if job.timeout_s is None else job.timeout_s,
            jobs=self._settings.jobs,
            replayed_model=recording.key.model if recording else None,
        )

    def missing(self, jobs: Sequence[Job], traces: Path) -> list[Job]:
        """The jobs that are not recorded already; of jobs that belong together all or none."""
        groups = [group for group in _groups(jobs) if not all(self.has(job, traces) for job in group)]
        return [job for group in groups for job in group]


class Harness:
    """A model behind a gateway, and workers. Use `harness()` to make one."""

    def __init__(self, settings: Settings, records: Records, gateway: Gateway, pool: Pool) -> None:
        self._settings = settings
        self.records = records
        self._gateway = gateway
        self._pool = pool

    async def run(self, job: Job) -> Trace:
        """Make one run. Whatever the framework does, this gives a trace of it.

        Raises `ModelGoneError` where the model's server fails.
        """
        worker = await self._pool.worker(job.framework)
        setup = self.records.setup(job, worker.python)
        live = self._gateway.open_run(job.script(), setup.max_model_calls, setup.timeout_s)
        calls: list[dict[str, Any]] = []
        asked = time.monotonic()
        try:
            done = await self._made(worker, live, job, setup, calls)
        finally:
            self._gateway.close_run(live.token)
        if live.upstream_failure:
            raise ModelGoneError(live.upstream_failure)
        start, end = done.get("start", asked), done.get("end", time.monotonic())
        model_calls = live.model_calls(start)
        chats = [call for call in model_calls if call.operation == "chat"]
        if why := upstream_errors.same_for_all(chats):
            raise ModelGoneError(why)
        ended = _ended(live, done, end - start, setup)
        if ended == "answered" and not done["answer"] and self._server_failure(chats):
            ended, done = "error", {**done, "error": "the framework took that for an empty answer"}
        error = None if ended == "answered" else self._error(_why(ended, done, setup), chats)
        if complaint := live.session.complaint():
            ended, error = "error", _also(complaint, done["error"])
        found = installed(job.framework)
        return Trace(
            key=self.records.key(job),
            setup=setup,
            case=_case_as_data(job.case),
            model_calls=live.session.annotated(model_calls),
            tool_calls=[_traced(call, start) for call in calls],
            outcome=RunOutcome(
                ended=ended,
                answer=done.get("answer") or "",
                error=error,
                refused_calls=live.refused_calls,
                final_state=done.get("final_state") or {},
            ),
            reported_usage=_reported(done.get("reported_usage")),
            resources=Resources(
                wall_s=round(end - start, 6),
                cpu_s=done.get("cpu_s"),
                import_s=worker.import_s,
                memory_after_import_mb=worker.memory_after_import_mb,
                peak_memory_mb=done.get("peak_memory_mb"),
                packages=found.packages if found else None,
                installed_mb=found.installed_mb if found else None,
            ),
        )

    def _error(self, why: str, chats: Sequence[ModelCall]) -> str:
        """Why the run ended, after what the model's server said if the last call failed there."""
        said = self._server_failure(chats)
        return f"{said}; {why}" if said else why

    def _server_failure(self, chats: Sequence[ModelCall]) -> str | None:
        """In one line what went wrong at the model's server with the last call, if anything did."""
        return upstream_errors.failure(chats[-1]) if chats and not self.records.knows_cases else None

    async def _made(
        self, worker: Worker, live: GatewayRun, job: Job, setup: Setup, calls: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """The worker's `done` event, or one in its place that says what became of the worker."""
        if worker.start_error:
            return {"error": worker.start_error}
        model = Model(
            name=recorded_name(job.recording) if job.recording else self._settings.model.sent_name,
            base_url=self._gateway.base_url(live),
            api_key="none-needed",
            embedding_name=EMBEDDING_NAME,
            temperature=setup.temperature,
            max_model_calls=setup.max_model_calls,
            timeout_s=setup.timeout_s,
        )
        if self._pool.watch is not None:
            self._pool.watch.allow(model.base_url)
        request = {
            "run": live.token,
            "task": job.task.name,
            "spec": job.task.prepare.__module__,
            "case": _case_as_data(job.case),
            "model": model.model_dump(),
        }
        try:
            return await worker.request(request, calls.append, model.timeout_s + GRACE_S)
        except TimeoutError:
            return {"error": "timeout"}
        except WorkerError as error:
            return {"error": str(error)}


def _ended(live: GatewayRun, done: dict[str, Any], wall_s: float, setup: Setup) -> Ended:
    """How the run ended. The limits count whatever the framework made of them."""
    if live.refusal is not None:
        return live.refusal
    if done["error"] == "timeout" or wall_s > setup.timeout_s:
        return "timeout"
    if done["error"] is None:
        return "answered"
    return "call_limit" if live.chat_calls >= setup.max_model_calls else "error"


def _why(ended: Ended, done: dict[str, Any], setup: Setup) -> str:
    if ended == "timeout":
        return f"no answer after {setup.timeout_s:.0f} s"
    if ended == "call_limit":
        return f"no answer after {setup.max_model_calls} model calls"
    return str(done["error"])


def _also(complaint: str, error: str | None) -> str:
    """What an upstream complains of, and the framework's own error where that is another one."""
    return complaint if error is None or complaint in error else f"{complaint}; it ended with {error}"


def _reported(usage: list[Any] | None) -> ReportedUsage | None:
    """The framework's own count, where it gave one that can be a count."""
    try:
        return ReportedUsage.model_validate({"input_tokens": usage[0], "output_tokens": usage[1]}) if usage else None
    except ValidationError:
        return None


def _traced(call: dict[str, Any], start: float) -> TracedToolCall:
    fields = {name: call[name] for name in ("agent", "name", "arguments", "result", "error")}
    return TracedToolCall(**fields, start_s=round(call["start"] - start, 6), end_s=round(call["end"] - start, 6))


def _case_as_data(case: Case) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(case.model_dump_json(exclude_defaults=True))
    return data


def _embedder(task_names: Sequence[str], console: Console) -> Embedder | None:
    """The embedding model, if a task has documents.

    It embeds them once before the first run and remembers them, so that no framework pays for coming first.
    """
    loaders = [task.load_documents for name, task in discovery.tasks().items() if name in task_names]
    passages = [document.passage for load in loaders if load for document in load()]
    if not passages:
        return None
    embedder = Embedder(console)
    embedder.embed(passages)
    return embedder


@contextlib.asynccontextmanager
async def harness(
    settings: Settings,
    task_names: Sequence[str],
    console: Console,
    *,
    pool: Pool | None = None,
    records: Records | None = None,
) -> AsyncIterator[Harness]:
    """Bring up the model and the gateway; whatever happens, nothing of it outlives this.

    With a `pool`, its workers and its embedding model are used, and live on.
    """
    async with contextlib.AsyncExitStack() as opened:
        if pool is None:
            pool = await opened.enter_async_context(Pool(settings, task_names, console))
        if records is None:
            records = Records(settings, await asyncio.to_thread(models.digest, settings.model, console))
        upstream = await opened.enter_async_context(models.running(settings.model, console))
        names = [settings.model.sent_name, EMBEDDING_NAME]
        gateway = await opened.enter_async_context(Gateway(upstream, pool.embedder, names))
        yield Harness(settings, records, gateway, pool)


def matrix(frameworks: Iterable[Framework], tasks: Iterable[tuple[Task, Sequence[Case]]], trials: int) -> list[Job]:
    """All runs, case by case. The frameworks take turns in coming first, so that none is always the
    one for which the model's prompt cache is cold."""
    order = list(frameworks)
    jobs: list[Job] = []
    for trial in range(1, trials + 1):
        for task, cases in tasks:
            for number, case in enumerate(cases):
                turn = number % len(order)
                jobs += [Job(framework, task, case, trial) for framework in order[turn:] + order[:turn]]
    return jobs


async def run_all(
    made_by: Harness,
    jobs: Sequence[Job],
    traces: Path,
    at_once: int,
    on_start: Callable[[Job], None] = lambda job: None,
    on_trace: Callable[[Job, Trace], None] = lambda job, trace: None,
) -> None:
    """Make the runs, up to `at_once` at a time and one at a time for each framework, and write the traces.

    Jobs that belong together count as one.
    """
    waiting = _groups(jobs)
    busy: set[str] = set()
    under_way: set[asyncio.Task[None]] = set()

    async def make(job: Job) -> None:
        on_start(job)
        trace = await made_by.run(job)
        await asyncio.to_thread(write_trace, traces, trace)
        on_trace(job, trace)

    async def make_group(group: list[Job]) -> None:
        await asyncio.gather(*(make(job) for job in group))
        busy.discard(group[0].framework.name)

    try:
        while waiting or under_way:
            while len(under_way) < at_once:
                position = next((i for i, group in enumerate(waiting) if group[0].framework.name not in busy), None)
                if position is None:
                    break
                group = waiting.pop(position)
                busy.add(group[0].framework.name)
                under_way.add(asyncio.create_task(make_group(group)))
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def _groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs in order; those that belong together stand where the first of them stood."""
    groups: dict[Any, list[Job]] = {}
    for number, job in enumerate(jobs):
        groups.setdefault((job.framework.name, job.together) if job.together else number, []).append(job)
    return list(groups.values())


@contextlib.contextmanager
def exclusive(traces: Path) -> Iterator[None]:
    """Keep other runs off these traces meanwhile.

    Raises `BusyError` where one is there already, `TracesError` where nothing can be written.
    """
    lock = FileLock(traces / ".lock")
    try:
        traces.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"{traces}: another `bakeoff run` is writing there; wait for it, or give --traces") from None
    except OSError as error:
        raise TracesError(f"--traces {traces}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
