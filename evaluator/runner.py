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

from evaluator import ROOT, discovery
from evaluator.discovery import Framework, Task, implementation_digest, lock_digest, task_digest
from evaluator.embedding import MODEL_NAME as EMBEDDING_NAME
from evaluator.embedding import Embedder
from evaluator.gateway import Gateway, GatewayRun
from evaluator.models import ModelSpec, RunningModel, running
from evaluator.trace import (
    Ended,
    Key,
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
from evaluator.workers import Worker, WorkerError
from tasks.base import Case, Model

WORK = ROOT / ".bakeoff"
"""What a checkout keeps for itself: the user's traces, and the workers' logs."""

GRACE_S = 5.0
"""How long after its time limit a run may still report that it has ended."""


class BusyError(RuntimeError):
    """Another process is writing to the same traces."""


class ModelGoneError(RuntimeError):
    """The model's server was out of reach or broke off. That is no framework's fault, so nothing is recorded."""


class TracesError(ValueError):
    """Traces cannot be written where the user wants them. The message says where and why."""


@dataclass(frozen=True)
class Job:
    """One run to make."""

    framework: Framework
    task: Task
    case: Case
    trial: int


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
    """The commit of the checkout and whether it was changed since; `None` where there is no git."""

    def output(*command: str) -> str:
        run = subprocess.run(["git", "-C", str(ROOT), *command], capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        return output("rev-parse", "HEAD"), bool(output("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


@cache
def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Harness:
    """A model behind a gateway, and one worker a framework. Use `harness()` to make one."""

    def __init__(self, settings: Settings, model: RunningModel, gateway: Gateway, task_names: Sequence[str]) -> None:
        self._settings = settings
        self._model = model
        self._gateway = gateway
        self._task_names = list(task_names)
        self._workers: dict[str, Worker] = {}
        self._digests: dict[tuple[str, str], dict[str, str]] = {}

    async def stop(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            await worker.stop()

    def key(self, job: Job) -> Key:
        """What identifies the run."""
        return Key(
            model=self._settings.model.name,
            framework=job.framework.name,
            task=job.task.name,
            case=job.case.id,
            trial=job.trial,
        )

    def recorded(self, job: Job, traces: Path) -> bool:
        """Whether a usable trace of this run is there: same code, lock, task, model, limits and question.

        Where only the expectation of the case has changed since, the trace takes the new one.
        """
        trace = read_trace(trace_path(traces, self.key(job)))
        if not isinstance(trace, Trace) or trace.key != self.key(job):
            return False
        setup = self._setup(job, trace.setup.python)
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
            if self._model.knows_cases:
                return False
            write_trace(traces, trace.model_copy(update={"case": case}))
        return True

    def _setup(self, job: Job, python: str) -> Setup:
        commit, dirty = _git()
        pair = (job.framework.name, job.task.name)
        if pair not in self._digests:
            self._digests[pair] = {
                "implementation_digest": implementation_digest(job.framework, job.task.name),
                "lock_digest": lock_digest(job.framework),
                "task_digest": task_digest(job.task),
            }
        return Setup(
            framework_version=job.framework.version,
            harness_version=version("bakeoff"),
            **self._digests[pair],
            model_digest=self._model.digest,
            git_commit=commit,
            git_dirty=dirty,
            python=python,
            platform=f"{platform.system()} {platform.machine()}",
            cpu=_cpu(),
            cpu_cores=os.cpu_count() or 1,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            temperature=self._settings.temperature,
            max_model_calls=self._settings.max_model_calls,
            timeout_s=self._settings.timeout_s,
            jobs=self._settings.jobs,
        )

    async def run(self, job: Job) -> Trace:
        """Make one run. Whatever the framework does, this gives a trace of it.

        Raises `ModelGoneError` where the model's server fails.
        """
        worker = await self._worker(job.framework)
        setup = self._setup(job, worker.python)
        script = job.task.script(job.case)
        live = self._gateway.open_run(script, self._settings.max_model_calls, self._settings.timeout_s)
        calls: list[dict[str, Any]] = []
        asked = time.monotonic()
        try:
            done = await self._made(worker, live, job, calls)
        finally:
            self._gateway.close_run(live.token)
        if live.upstream_failure:
            raise ModelGoneError(live.upstream_failure)
        start, end = done.get("start", asked), done.get("end", time.monotonic())
        ended = _ended(live, done, end - start, self._settings.timeout_s)
        return Trace(
            key=self.key(job),
            setup=setup,
            case=_case_as_data(job.case),
            model_calls=live.model_calls(start),
            tool_calls=[_traced(call, start) for call in calls],
            outcome=RunOutcome(
                ended=ended,
                answer=done.get("answer") or "",
                error=None if ended == "answered" else _why(ended, done, self._settings),
                final_state=done.get("final_state") or {},
            ),
            reported_usage=_reported(done.get("reported_usage")),
            resources=Resources(
                wall_s=round(end - start, 6),
                cpu_s=done.get("cpu_s"),
                import_s=worker.import_s,
                memory_after_import_mb=worker.memory_after_import_mb,
                peak_memory_mb=done.get("peak_memory_mb"),
            ),
        )

    async def _worker(self, framework: Framework) -> Worker:
        """The framework's worker, started if need be; one that cannot start comes back dead."""
        worker = self._workers.get(framework.name)
        if worker is None:
            log = self._settings.logs / f"{framework.name}.log"
            worker = Worker(framework, self._task_names, log, self._settings.memory_limit_mb)
            self._workers[framework.name] = worker
        if not worker.alive and not worker.start_error:
            await worker.start()
        return worker

    async def _made(self, worker: Worker, live: GatewayRun, job: Job, calls: list[dict[str, Any]]) -> dict[str, Any]:
        """The worker's `done` event, or one in its place that says what became of the worker."""
        if worker.start_error:
            return {"error": worker.start_error}
        model = Model(
            name=self._settings.model.name,
            base_url=self._gateway.base_url(live),
            api_key="none-needed",
            embedding_name=EMBEDDING_NAME,
            temperature=self._settings.temperature,
            max_model_calls=self._settings.max_model_calls,
            timeout_s=self._settings.timeout_s,
        )
        request = {
            "run": live.token,
            "task": job.task.name,
            "case": _case_as_data(job.case),
            "model": model.model_dump(),
        }
        try:
            async with asyncio.timeout(self._settings.timeout_s + GRACE_S):
                return await worker.request(request, calls.append)
        except TimeoutError:
            await worker.stop()
            return {"error": "timeout"}
        except WorkerError as error:
            await worker.stop()
            return {"error": str(error)}


def _ended(live: GatewayRun, done: dict[str, Any], wall_s: float, timeout_s: float) -> Ended:
    """How the run ended. The limits count whatever the framework made of them."""
    if live.refusal is not None:
        return live.refusal
    if done["error"] == "timeout" or wall_s > timeout_s:
        return "timeout"
    if done["error"] is None:
        return "answered"
    return "call_limit" if live.chat_calls >= live.max_model_calls else "error"


def _why(ended: Ended, done: dict[str, Any], settings: Settings) -> str:
    if ended == "timeout":
        return f"no answer after {settings.timeout_s:.0f} s"
    if ended == "call_limit":
        return f"no answer after {settings.max_model_calls} model calls"
    return str(done["error"])


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
async def harness(settings: Settings, task_names: Sequence[str], console: Console) -> AsyncIterator[Harness]:
    """Bring up the model and the gateway; whatever happens, nothing of it outlives this."""
    embedder = await asyncio.to_thread(_embedder, task_names, console)
    async with (
        running(settings.model, console) as model,
        Gateway(model.upstream, embedder, [settings.model.name, EMBEDDING_NAME]) as gateway,
    ):
        made = Harness(settings, model, gateway, task_names)
        try:
            yield made
        finally:
            await made.stop()


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
    """Make the runs, up to `at_once` at a time and one at a time for each framework, and write the traces."""
    waiting = list(jobs)
    busy: set[str] = set()
    under_way: set[asyncio.Task[None]] = set()

    async def make(job: Job) -> None:
        on_start(job)
        trace = await made_by.run(job)
        await asyncio.to_thread(write_trace, traces, trace)
        busy.discard(job.framework.name)
        on_trace(job, trace)

    try:
        while waiting or under_way:
            while len(under_way) < at_once:
                position = next((i for i, job in enumerate(waiting) if job.framework.name not in busy), None)
                if position is None:
                    break
                job = waiting.pop(position)
                busy.add(job.framework.name)
                under_way.add(asyncio.create_task(make(job)))
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


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
