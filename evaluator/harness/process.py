"""The process that serves one framework, seen from the harness: started, fed, watched, killed."""

import asyncio
import contextlib
import os
import re
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from evaluator import ROOT
from evaluator.catalog.frameworks import Framework
from evaluator.files import sweep
from evaluator.harness.environments import extras_of, python_of
from evaluator.harness.watch import Watch
from evaluator.models.upstreams.redaction import CleanedBytes, Redactor
from evaluator.worker import protocol

START_TIMEOUT_S = 180.0
_STARTS = 2
"""How often a worker is started that is killed before it is ready."""

WATCH_INTERVAL_S = 0.5
LOG_LIMIT_BYTES = 10_000_000
LOG_GRACE_S = 1.0
FINISH_S = 10.0
"""How long a process may take to end by itself."""

LINE_LIMIT_BYTES = 64_000_000

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")


class WorkerError(Exception):
    """The worker died, was killed, or could not start. The message is for people."""


class KilledError(WorkerError):
    """Somebody ended the worker from without: the system, for lack of memory say, or the user."""


_FROM_WITHOUT = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that end a process from without; what it does wrong itself has others, such as SIGSEGV."""


def worker_environment(framework: Framework, scratch: Path, *, with_extras: bool = False) -> dict[str, str]:
    """The environment variables of a worker: no keys, no `.env` file, every home and cache folder in `scratch`.

    It finds the packages for capabilities only `with_extras`.

    It speaks to the loopback alone, so it gets no proxy and no certificates either. The framework's own switches
    (telemetry off, and the like) come from its metadata.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    folders = {
        "HOME": "home",
        "TMPDIR": "tmp",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
        "XDG_STATE_HOME": "state",
    }
    for variable, name in folders.items():
        (scratch / name).mkdir(exist_ok=True)
        environment[variable] = str(scratch / name)
    extras = [str(extras_of(framework))] if with_extras else []
    environment |= {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([str(framework.root), str(ROOT), *extras])),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "DO_NOT_TRACK": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHON_DOTENV_DISABLED": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    return environment | framework.env


_SCRATCH = "bakeoff-worker-"
"""How the names of scratch folders begin, before the process that made them."""


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A new scratch folder of this process."""
    return tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", ignore_cleanup_errors=True)


_OF_A_PROCESS = re.compile(rf"{_SCRATCH}(?P<pid>\d{{1,9}})-.*")


def sweep_scratch() -> None:
    """Remove the scratch folders of harnesses that were killed before they could."""
    sweep(filter(_is_own_folder, Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*")), _OF_A_PROCESS)


def _is_own_folder(path: Path) -> bool:
    """Whether it is a folder of this user's: others have their temporary files in the same place."""
    with contextlib.suppress(OSError):
        return path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.getuid()
    return False


@dataclass(frozen=True)
class _LiveRun:
    """A run that the worker is making: who hears of its tool calls and what it tells, and how it ends, once it has."""

    on_tool_call: Callable[[protocol.ToolCall], None]
    on_told: Callable[[protocol.Told], None]
    done: asyncio.Future[protocol.Done]


class Worker:
    """One worker process. `start` before `request`; `stop` always. It can make several runs at once."""

    def __init__(
        self,
        framework: Framework,
        modules: Sequence[str],
        log: Path,
        memory_limit_mb: float,
        watch: Watch | None = None,
        redactor: Redactor | None = None,
        *,
        with_extras: bool = False,
    ) -> None:
        """`redactor` takes out of the log what must not stand there: a server may show a key to the framework. The
        packages for capabilities are there only `with_extras`."""
        self._with_extras = with_extras
        self.framework = framework
        self._redactor = redactor or Redactor()
        self._modules = list(modules)
        self._log = log
        self._memory_limit_mb = memory_limit_mb
        self._watch = watch
        self._process: asyncio.subprocess.Process | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._logging: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._runs: dict[str, _LiveRun] = {}
        self._lost: WorkerError | None = None
        self._killed_because: str | None = None
        self._ended_by_signal = False
        self._log_started = False
        self.start_error: str | None = None
        self.killed_at_start = False
        self.import_s: float | None = None
        self.memory_after_import_mb: float | None = None
        self.python = ""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def busy(self) -> bool:
        """Whether the process is importing the implementations or making a run."""
        return self._reading is None or bool(self._runs)

    async def start(self) -> None:
        """Start the process and wait until the implementations are imported.

        Where that fails, `start_error` says why, and the worker stays dead. A process that a signal ends before it is
        ready is started once more; if that ends in the same way, it is `killed_at_start`, and may be started again.
        """
        for _ in range(_STARTS):
            try:
                await self._start()
            except WorkerError as error:
                self.start_error = str(error)
                self.killed_at_start = isinstance(error, KilledError) or self._ended_by_signal
                await self.stop()
                if self.killed_at_start:
                    continue
            else:
                self.start_error, self.killed_at_start = None, False
            return

    async def _start(self) -> None:
        await self.stop()  # what is left of a process that died by itself
        self._killed_because = self._lost = None
        self._ended_by_signal = False
        self._scratch = scratch_folder()
        scratch = Path(self._scratch.name)
        environment = worker_environment(self.framework, scratch, with_extras=self._with_extras)
        module = ["evaluator.worker.main"]
        if self._watch is not None:
            module = ["evaluator.worker.watched", str(self._watch.begin(self.framework)), str(scratch)]
        try:
            self._process = await asyncio.create_subprocess_exec(
                str(python_of(self.framework)),
                *("-m", *module, self.framework.import_name, *self._modules),
                cwd=scratch,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LINE_LIMIT_BYTES,
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerError(f"{python_of(self.framework)} cannot be started: {error.strerror}") from None
        if self._watch is not None:
            self._watch.follow(self.framework, self._process.pid, scratch, busy=lambda: self.busy)
        self._logging = asyncio.create_task(self._keep_log())
        self._watching = asyncio.create_task(self._watch_memory())
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                event = await self._event()
        except TimeoutError:
            raise WorkerError(f"importing the implementations took more than {START_TIMEOUT_S:.0f} s") from None
        if not isinstance(event, protocol.Ready):
            why = event.error if isinstance(event, protocol.Failed) else f"the worker says {event.event!r} too early"
            raise WorkerError(f"the implementations cannot be imported: {why} (see {self._log})")
        self.import_s, self.memory_after_import_mb = event.import_s, event.memory_mb
        self.python = event.python
        self._reading = asyncio.create_task(self._read(self._process))

    async def request(
        self,
        job: protocol.Job,
        on_tool_call: Callable[[protocol.ToolCall], None],
        timeout_s: float | None = None,
        on_told: Callable[[protocol.Told], None] = lambda told: None,
        time_left_s: Callable[[], float] | None = None,
    ) -> protocol.Done:
        """Have one run made; gives how it ended.

        Raises `WorkerError` if the process ends before that, and `TimeoutError` after `timeout_s`, with
        which the process and every other run in it end. With `time_left_s`, the run is told to end as soon as that is
        not positive, and `timeout_s` count from there.
        """
        process = self._process
        assert process is not None and process.stdin is not None
        if self._lost is not None:
            raise self._lost
        run = _LiveRun(on_tool_call, on_told, asyncio.get_running_loop().create_future())
        self._runs[job.run] = run
        telling: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(None if time_left_s else timeout_s) as clock:
                # The end of the process's output says why it takes no more.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    process.stdin.write(job.line())
                    await process.stdin.drain()
                if time_left_s is not None:
                    telling = asyncio.create_task(_end_in_time(process.stdin, job.run, time_left_s, clock, timeout_s))
                return await run.done
        except TimeoutError:
            self._killed_because = "the worker was stopped: another run in it took too long"
            await _kill(process)
            raise
        finally:
            if telling is not None:
                telling.cancel()
            del self._runs[job.run]

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand each event to the run that it belongs to, until the process ends."""
        try:
            while True:
                event = await self._event()
                if isinstance(event, protocol.Ready | protocol.Failed) or event.run not in self._runs:
                    continue
                run = self._runs[event.run]
                if isinstance(event, protocol.ToolCall):
                    run.on_tool_call(event)
                elif isinstance(event, protocol.Told):
                    run.on_told(event)
                elif not run.done.done():
                    run.done.set_result(event)
        except WorkerError as error:
            self._lost = error
            await _kill(process)
            for run in self._runs.values():
                if not run.done.done():
                    run.done.set_exception(error)

    @property
    def children(self) -> list[psutil.Process]:
        """The processes that the worker has started, and that are still there."""
        with contextlib.suppress(psutil.Error):
            if self._process is not None:
                return psutil.Process(self._process.pid).children(recursive=True)
        return []

    async def finish(self) -> None:
        """Let the process end by itself, as a program does at its end; one that does not is stopped."""
        process = self._process
        if process is not None and process.stdin is not None and process.returncode is None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                process.stdin.write(protocol.END)
                await process.stdin.drain()
                async with asyncio.timeout(FINISH_S):
                    await _exit_code(process)
        await self.stop()

    async def kill(self) -> None:
        """End the process at once, as a machine does that fails."""
        if self._process is not None:
            await _kill(self._process)

    async def stop(self) -> None:
        """End the process and all that it started, and remove its scratch folder."""
        if self._process is not None:
            self._killed_because = self._killed_because or "the worker was stopped"
            await _kill(self._process)
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=LOG_GRACE_S)  # so that runs under way hear of the end
            self._reading.cancel()
            self._reading = None
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._logging is not None:
            await asyncio.wait([self._logging], timeout=LOG_GRACE_S)  # for its last words
            self._logging.cancel()
            self._logging = None
        if self._process is not None:
            # A process that outlived the worker may hold the pipes; nothing public closes this end.
            self._process._transport.close()  # type: ignore[attr-defined]
            self._process = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    async def _event(self) -> protocol.Event:
        """The next event. Lines that are none are passed over. Raises `WorkerError` at the end of output."""
        assert self._process is not None and self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                raise WorkerError(f"an event was longer than {LINE_LIMIT_BYTES // 1_000_000} MB") from None
            if not line:
                code = await _exit_code(self._process)
                self._ended_by_signal = code < 0 and self._killed_because is None
                from_without = self._ended_by_signal and -code in _FROM_WITHOUT
                why = self._killed_because or f"the worker {_how_it_ended(code)} (see {self._log})"
                raise KilledError(why) if from_without else WorkerError(why)
            if (event := protocol.event_of(line)) is not None:
                return event

    async def _keep_log(self) -> None:
        """Copy what the framework prints to the log, up to a limit; the rest is dropped."""
        assert self._process is not None and self._process.stderr is not None
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab" if self._log_started else "wb") as log:
            self._log_started = True
            cleaned = CleanedBytes(self._redactor)
            try:
                while piece := await self._process.stderr.read(65536):
                    if room := max(0, LOG_LIMIT_BYTES - log.tell()):
                        log.write(cleaned.add(piece)[:room])
                        log.flush()
            finally:
                log.write(cleaned.rest())

    async def _watch_memory(self) -> None:
        assert self._process is not None
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            while True:
                used_mb = process.memory_info().rss / 1e6
                if used_mb > self._memory_limit_mb:
                    self._killed_because = f"the worker used more than {self._memory_limit_mb:.0f} MB of memory"
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(self._process.pid, signal.SIGKILL)
                    return
                await asyncio.sleep(WATCH_INTERVAL_S)


async def _end_in_time(
    orders: asyncio.StreamWriter,
    run: str,
    time_left_s: Callable[[], float],
    clock: asyncio.Timeout,
    grace_s: float | None,
) -> None:
    """Once a run has no time left, tell it so, and let the clock run out after the grace."""
    while (left_s := time_left_s()) > 0:
        await asyncio.sleep(left_s)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        orders.write(protocol.TimeUp(over=run).line())
        await orders.drain()
    clock.reschedule(None if grace_s is None else asyncio.get_running_loop().time() + grace_s)


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End the process and its children, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await _exit_code(process)


async def _exit_code(process: asyncio.subprocess.Process) -> int:
    """Waits for the process alone; its own `wait` may also wait for its children to close the pipes."""
    while process.returncode is None:
        await asyncio.sleep(0.01)
    return process.returncode


def _how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended by itself with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
