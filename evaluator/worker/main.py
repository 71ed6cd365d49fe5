"""Runs implementations inside a framework's own environment. Needs the standard library and pydantic.

One process serves one framework. It reads one job a line from what standard input was at the
start, and writes one event a line to what standard output was; `protocol.py` says what stands in
them. The framework finds standard input empty, and what it prints goes to the log.
"""

import asyncio
import contextlib
import functools
import gc
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

from pydantic_core import to_jsonable_python

from evaluator.worker import protocol
from evaluator.worker.faulty import Breaker, Faulty, searched
from evaluator.worker.killing import Killer
from tasks import capability
from tasks.base import Prepared, Tool, bound_arguments
from tasks.served import SuiteGoneError


class Channel:
    """Writes events, from any thread."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, event: protocol.Event) -> None:
        """Write one event."""
        line = event.line()
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


def _jobs() -> TextIO:
    """The lines that come in, out of the framework's reach: `input()` would take a job away."""
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return lines


def recording(run: str, record: Callable[[protocol.ToolCall], None]) -> Callable[[Tool, str | None], Tool]:
    """A `Wrap` that reports each call of a tool; the tools of one run are called one at a time."""
    lock = threading.Lock()

    def wrap(tool: Tool, agent: str | None) -> Tool:
        @functools.wraps(tool)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            result, error = None, None
            with lock:
                start = time.monotonic()
                try:
                    result = tool(*args, **kwargs)
                    return result
                except SuiteGoneError as gone:
                    end_at_once(gone)
                except BaseException as raised:
                    error = f"{type(raised).__name__}: {raised}"
                    raise
                finally:
                    record(
                        protocol.ToolCall(
                            run=run,
                            agent=agent,
                            name=tool.__name__,
                            arguments=_arguments(tool, args, kwargs),
                            result=_recordable(result),
                            error=error,
                            start=start,
                            end=time.monotonic(),
                        )
                    )

        return recorded

    return wrap


def end_at_once(why: SuiteGoneError) -> NoReturn:
    """End this process as a machine does that fails: the tools of this run, and of all others here, work no more, which
    is no fault of a framework's or a model's."""
    print(why, file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    raise why


def _arguments(tool: Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        return bound_arguments(tool, args, kwargs)
    except (TypeError, ValueError):  # they do not fit the signature, or are no JSON values
        named = {**{str(position): value for position, value in enumerate(args)}, **kwargs}
        return {name: _recordable(value) for name, value in named.items()}


def _recordable(value: Any) -> Any:
    """The value as JSON has it; of what JSON cannot have, the type."""
    try:
        jsonable = to_jsonable_python(value, fallback=repr)
        json.dumps(jsonable)
        return jsonable
    except Exception:
        return f"<{type(value).__name__} that is no JSON value>"


def _peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in MB (10^6 bytes).

    On Linux `ru_maxrss` starts with that of the process that started this one.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


async def _run(
    job: protocol.Job, implementation: Any, channel: Channel, serving: asyncio.Task[None], clock: asyncio.Timeout
) -> None:
    spec, model = importlib.import_module(job.spec), job.model
    case = spec.CASE_TYPE.model_validate(job.case)
    make, prepared = _made(job, spec, case, implementation, channel)
    answer, error = "", None
    cpu, start = time.process_time(), time.monotonic()
    try:
        async with clock:
            clock.reschedule(asyncio.get_running_loop().time() + model.timeout_s)
            answer = await make()
        if not isinstance(answer, str):
            error, answer = f"the answer is not a text but {type(answer).__name__}", ""
    except BaseException as raised:  # SystemExit too: it is this run that ends, not the worker
        if serving.cancelling():  # it is the worker that ends
            raise
        traceback.print_exc()
        error = "timeout" if clock.expired() else f"{type(raised).__name__}: {raised}"
    end = time.monotonic()
    try:
        usage, state = model.reported_usage, _recordable(prepared.final_state())
    except SuiteGoneError as gone:
        end_at_once(gone)
    channel.send(
        protocol.Done(
            run=job.run,
            answer=answer,
            error=error,
            start=start,
            end=end,
            cpu_s=round(time.process_time() - cpu, 6),
            peak_memory_mb=_peak_memory_mb(),
            reported_usage=(_recordable(usage[0]), _recordable(usage[1])) if usage else None,
            final_state=state if isinstance(state, dict) else {"state": state},
        )
    )


def _made(
    job: protocol.Job, spec: Any, case: Any, implementation: Any, channel: Channel
) -> tuple[Callable[[], Awaitable[Any]], Prepared]:
    """What makes the run, and what it was given."""
    record, setting = recording(job.run, channel.send), job.setting
    if setting is None:
        faulty = job.faulty or Faulty()
        breaker = Breaker(faulty)
        prepared = spec.prepare(case, lambda tool, agent: record(breaker.wrap(tool), agent))
        return partial(implementation.run, searched(prepared.brief, faulty.retrieval), job.model), prepared

    def tell(what: str, value: Any) -> None:
        channel.send(protocol.Told(run=job.run, what=what, value=_recordable(value), at=time.monotonic()))

    killer = Killer(setting)
    prepared = spec.prepare(case, setting, lambda tool, agent: killer.wrap(record(tool, agent)))
    drive = getattr(spec, "drive", capability.drive)
    return partial(drive, implementation, case, prepared.brief, job.model, setting, tell), prepared


async def _serve(folder: str, modules: list[str], jobs: TextIO, channel: Channel) -> None:
    loop, serving = asyncio.get_running_loop(), asyncio.current_task()
    assert serving is not None
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in jobs:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        os._exit(0)  # the harness is gone, before the imports are done perhaps: nobody is left to report to

    threading.Thread(target=read, daemon=True).start()

    implementations, broken = {}, {}
    start = time.monotonic()
    for name in modules:
        try:
            implementations[name] = importlib.import_module(f"implementations.{folder}.{name.replace('/', '.')}")
        except BaseException as error:  # the others can be run all the same
            traceback.print_exc()
            broken[name] = f"the implementation cannot be imported: {type(error).__name__}: {error}"
    import_s = round(time.monotonic() - start, 6)
    channel.send(protocol.Ready(import_s=import_s, memory_mb=_peak_memory_mb(), python=sys.version.split()[0]))
    running: set[asyncio.Task[None]] = set()
    clocks: dict[str, asyncio.Timeout] = {}
    while True:
        job = protocol.order_of(await lines.get())
        if isinstance(job, protocol.TimeUp):
            with contextlib.suppress(KeyError, RuntimeError):  # it has not begun, or has ended
                clocks[job.over].reschedule(loop.time())
            continue
        if job is None:
            await asyncio.gather(*running, return_exceptions=True)
            return
        if job.module in broken:
            channel.send(protocol.Done(run=job.run, error=broken[job.module]))
            continue
        if not running:
            await _clear_away()
        clocks[job.run] = asyncio.timeout(None)
        task = asyncio.create_task(_run(job, implementations[job.module], channel, serving, clocks[job.run]))
        running.add(task)
        task.add_done_callback(running.discard)
        task.add_done_callback(partial(_forget, clocks, job.run))


def _forget(clocks: dict[str, asyncio.Timeout], run: str, _: asyncio.Task[None]) -> None:
    del clocks[run]


_CLEARING_S = 2.0


async def _clear_away() -> None:
    """Collect the garbage of earlier runs, and wait for what its finalizers begin.

    A client that nobody closed closes itself when it is collected, some moments later, by file descriptors that belong
    to another connection by then: collected in the middle of the next run, it cuts off what that run is opening.
    """
    before = asyncio.all_tasks()
    gc.collect()
    if begun := asyncio.all_tasks() - before:
        await asyncio.wait(begun, timeout=_CLEARING_S)


def main() -> None:
    """`python -m evaluator.worker.main FRAMEWORK MODULE…` (started by the runner)."""
    folder, *modules = sys.argv[1:]
    jobs, channel = _jobs(), Channel()
    try:
        asyncio.run(_serve(folder, modules, jobs, channel))
    except Exception as error:
        traceback.print_exc()
        with contextlib.suppress(OSError):
            channel.send(protocol.Failed(error=f"{type(error).__name__}: {error}"))
        sys.exit(1)


if __name__ == "__main__":
    main()
