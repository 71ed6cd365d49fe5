"""Makes the runs of capability tasks: each over one process or two, some of which are killed on the way."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import psutil
from pydantic import BaseModel

from evaluator import ROOT
from evaluator.catalog.frameworks import Framework
from evaluator.harness.environments import extra_packages, installed
from evaluator.harness.gateway import Gateway, GatewayRun
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.process import Worker, WorkerError, scratch_folder
from evaluator.harness.records import Records, case_as_data
from evaluator.harness.runner import GRACE_S, model_handle, reported, traced
from evaluator.models.upstreams.capabilities import CapabilitySession
from evaluator.trace import CapabilityRecord, Resources, RunOutcome, Trace, TracedPart, TracedTold
from evaluator.worker import protocol
from tasks.capability import FIRST_MODEL, Play, Setting

_TO_SAVE_S = 0.3
"""How long a framework has to save what it did before a call that is never answered."""

_LEFT_BEHIND_S = 3.0
"""How long after a run its processes may still take to end."""

_SETTLES_S = 1.5
"""How long after a part its calls to the model may still take to end."""

_LONGEST_RUN_S = 600.0
"""How long the gateway serves a run, over all of its processes and what is made between them."""


@dataclass
class _Run:
    """A run under way."""

    job: Job
    play: Play
    live: GatewayRun
    session: CapabilitySession
    store: Path
    calls: list[protocol.ToolCall] = field(default_factory=list)
    told: list[protocol.Told] = field(default_factory=list)
    parts: list[TracedPart] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    done: protocol.Done | None = None
    children: int = 0
    start: float = 0.0

    @property
    def is_killed(self) -> bool:
        """Whether its first process is killed."""
        return self.play.withheld is not None or self.play.killed_on is not None

    @property
    def goes_on(self) -> bool:
        """Whether another process is to come."""
        return len(self.parts) < self.play.parts and (not self.parts or self.parts[-1].ended in ("answered", "killed"))


class CapabilityHarness:
    """What makes the runs of capability tasks, behind a gateway that plays them."""

    def __init__(self, settings: Settings, records: Records, gateway: Gateway) -> None:
        self._settings = settings
        self._records = records
        self._gateway = gateway

    async def run_all(
        self,
        framework: Framework,
        jobs: Sequence[Job],
        on_start: Callable[[Job], None],
        on_trace: Callable[[Job, Trace], None],
    ) -> None:
        """Make the runs of one framework, one at a time.

        All share a process for their first part, and another one for their second; but for those whose first process
        is killed, which have one each for that, and one for their second parts: what resumes them may take hold of a
        whole process.
        """
        modules = list(dict.fromkeys(job.module for job in jobs))
        with scratch_folder() as scratch:
            runs = [self._begun(job, Path(scratch) / f"{number}") for number, job in enumerate(jobs)]
            together = [run for run in runs if not run.is_killed]
            for group in (together, *([run] for run in runs if run.is_killed)):
                await self._parts(framework, modules, group, on_start, on_trace)
            for killed in (False, True):
                group = [run for run in runs if run.goes_on and run.is_killed is killed]
                await self._parts(framework, modules, group, on_start, on_trace)

    def _begun(self, job: Job, store: Path) -> _Run:
        play = job.script()
        assert isinstance(play, Play)
        live = self._gateway.open_run(play, self._settings.max_model_calls, _LONGEST_RUN_S)
        assert isinstance(live.session, CapabilitySession)
        store.mkdir()
        return _Run(job, play, live, live.session, store)

    async def _parts(
        self,
        framework: Framework,
        modules: Sequence[str],
        runs: Sequence[_Run],
        on_start: Callable[[Job], None],
        on_trace: Callable[[Job, Trace], None],
    ) -> None:
        """The next part of each run, in a process that ends afterwards; a trace of each run that is over."""
        if not runs:
            return
        log = self._settings.logs / f"{framework.name}.capabilities.log"
        worker = Worker(framework, modules, log, self._settings.memory_limit_mb, with_extras=True)
        try:
            for run in runs:
                if not run.parts:
                    on_start(run.job)
                if not worker.alive:
                    await worker.start()
                await self._part(run, worker)
                if not run.goes_on:
                    on_trace(run.job, self._trace(run, worker))
            await worker.finish()
        finally:
            await worker.stop()

    async def _part(self, run: _Run, worker: Worker) -> None:
        """One process's part of a run."""
        number, start = len(run.parts) + 1, time.monotonic()
        run.start = run.start or start
        before = {child.pid for child in worker.children}
        killed = number == 1 and run.play.killed_on is not None
        async with _tool_server(run) as servers:
            setting = Setting(
                part=number,
                store=run.store,
                servers=servers,
                killed_on=run.play.killed_on if killed else None,
                killed_after=[step.tool for step in run.play.steps if step.tool != run.play.killed_on]
                if killed
                else [],
            )
            if worker.start_error:
                done, ended = protocol.Done(run=run.live.token, error=worker.start_error), "error"
            else:
                done, ended = await self._asked(run, worker, setting, killed)
            await _settled(run.live)
            if run.play.server is not None:
                run.children += await _left_behind(worker, before)
        run.done = done
        run.parts.append(
            TracedPart.model_validate(
                {
                    "ended": "call_limit" if run.live.refusal == "call_limit" else ended,
                    "answer": done.answer,
                    "error": None if ended == "killed" else done.error,
                    "start_s": round((done.start or start) - run.start, 6),
                    "end_s": round((done.end or time.monotonic()) - run.start, 6),
                }
            )
        )

    async def _asked(self, run: _Run, worker: Worker, setting: Setting, killed: bool) -> tuple[protocol.Done, str]:
        """What the worker says of its part, and how that ended."""
        job, token = run.job, run.live.token
        request = protocol.Job(
            run=token,
            module=job.module,
            spec=job.task.prepare.__module__,
            case=case_as_data(job.case),
            model=model_handle(FIRST_MODEL, self._gateway.base_url(run.live), self._settings),
            setting=setting,
        )
        asking = asyncio.create_task(
            worker.request(request, run.calls.append, self._settings.timeout_s + GRACE_S, run.told.append)
        )
        holding = asyncio.create_task(run.session.holding.wait())
        try:
            if run.play.withheld is not None and setting.part == 1:
                await asyncio.wait({asking, holding}, return_when=asyncio.FIRST_COMPLETED)
                if not asking.done():
                    killed = True
                    await asyncio.sleep(_TO_SAVE_S)
                    await worker.kill()
            done = await asking
            return done, "timeout" if done.error == "timeout" else "error" if done.error else "answered"
        except TimeoutError:
            return protocol.Done(run=token, error=f"no end after {self._settings.timeout_s:.0f} s"), "timeout"
        except WorkerError as error:
            return protocol.Done(run=token, error=str(error)), "killed" if killed else "error"
        finally:
            holding.cancel()
            run.session.released.set()

    def _trace(self, run: _Run, worker: Worker) -> Trace:
        """The trace of a run that is over."""
        self._gateway.close_run(run.live.token)
        assert run.done is not None
        last, found, shift = run.parts[-1], installed(run.job.framework), _shifts(run.parts)
        calls = [_earlier(call, shift(call.start_s)) for call in run.live.model_calls(run.start)]
        tool_calls = [traced(call, run.start, lambda value: value) for call in run.calls]
        told = [TracedTold(what=one.what, value=one.value, at_s=round(one.at - run.start, 6)) for one in run.told]
        return Trace(
            key=self._records.key(run.job),
            setup=self._records.setup(run.job, worker.python),
            case=case_as_data(run.job.case),
            model_calls=calls,
            tool_calls=[_earlier(call, shift(call.start_s)) for call in tool_calls],
            outcome=RunOutcome(
                ended="error" if last.ended == "killed" else last.ended,
                answer=last.answer,
                error=last.error,
                refused_calls=run.live.refused_calls,
                fault="harness" if run.live.gateway_failed else None,
            ),
            reported_usage=reported(run.done),
            resources=Resources(
                wall_s=round(sum(part.end_s - part.start_s for part in run.parts), 6),
                import_s=worker.import_s,
                packages=found.packages if found else None,
                installed_mb=found.installed_mb if found else None,
            ),
            capability=CapabilityRecord(
                parts=[_earlier(part, shift(part.start_s)) for part in run.parts],
                told=[_earlier(one, shift(one.at_s)) for one in told],
                frames=run.frames,
                children=run.children,
                extras=sorted(package.name for package in extra_packages(run.job.framework)),
            ),
        )


def _shifts(parts: Sequence[TracedPart]) -> Callable[[float], float]:
    """By how much a moment is earlier in a run without the time between its processes, in which others run."""
    pauses = [(after.start_s, after.start_s - before.end_s) for before, after in pairwise(parts)]
    return lambda moment_s: sum(pause for start_s, pause in pauses if start_s <= moment_s)


Timed = TypeVar("Timed", bound=BaseModel)


def _earlier(timed: Timed, by_s: float) -> Timed:
    """The same with all its times earlier."""
    times = {name: getattr(timed, name) for name in type(timed).model_fields if name.endswith("_s")}
    moved = {name: round(moment - by_s, 6) for name, moment in times.items() if moment is not None}
    return timed.model_copy(update=moved)


@contextlib.asynccontextmanager
async def _tool_server(run: _Run) -> AsyncIterator[dict[str, Any]]:
    """The server of tools that a run needs, if it does: its command, or, started here, its address.

    At the end its log is read.
    """
    if run.play.server is None:
        yield {}
        return
    transport, behaviour = run.play.server
    log = run.store / "server.jsonl"
    command = [sys.executable, "-m", f"tasks.{run.job.task.name}.server", "--behaviour", behaviour, "--log", str(log)]
    try:
        if transport == "stdio":
            yield {"command": command}
            return
        process = await asyncio.create_subprocess_exec(
            *command, "--http", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(30):
                address = (await process.stdout.readline()).decode().strip()
            yield {"url": address}
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        run.frames += _lines(log)


def _lines(log: Path) -> Iterable[dict[str, Any]]:
    """The messages that a server logged; none where it never began."""
    try:
        text = log.read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError):  # the last one of a server that was killed
            yield json.loads(line)


async def _settled(live: GatewayRun) -> None:
    """Wait until the calls of a part have ended, or the framework has left them: that takes a moment to be noticed."""
    latest = time.monotonic() + _SETTLES_S
    while live.under_way and time.monotonic() < latest:
        await asyncio.sleep(0.02)


async def _left_behind(worker: Worker, before: set[int]) -> int:
    """How many processes a part has left behind; they are ended."""
    latest = time.monotonic() + _LEFT_BEHIND_S
    while (left := [child for child in worker.children if child.pid not in before]) and time.monotonic() < latest:
        await asyncio.sleep(0.05)
    for child in left:
        with contextlib.suppress(psutil.Error):
            child.kill()
    return len(left)
