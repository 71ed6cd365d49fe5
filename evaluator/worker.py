"""Runs implementations inside a framework's own environment. Needs the standard library and pydantic.

One process serves one framework. It reads one job a line from standard input and writes one event
a line to the descriptor that standard output was at the start; whatever the framework prints goes
to the log instead. Events: `ready`, then for each job any number of `tool_call` and one `done`.
Moments are readings of the monotonic clock that worker and gateway share.
"""

import asyncio
import contextlib
import functools
import importlib
import json
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from pydantic_core import to_jsonable_python

from tasks.base import Model, Tool, bound_arguments


class Channel:
    """Writes events, one JSON object a line, from any thread."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, event: str, **fields: Any) -> None:
        """Write one event."""
        line = json.dumps({"event": event, **fields}, ensure_ascii=True)
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


def recording(record: Callable[[dict[str, Any]], None]) -> Callable[[Tool, str | None], Tool]:
    """A `Wrap` that reports each call of a tool; the tools of one run are called one at a time."""
    lock = threading.Lock()

    def wrap(tool: Tool, agent: str | None) -> Tool:
        @functools.wraps(tool)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            start, result, error = time.monotonic(), None, None
            with lock:
                try:
                    result = tool(*args, **kwargs)
                    return result
                except Exception as raised:
                    error = f"{type(raised).__name__}: {raised}"
                    raise
                finally:
                    record(
                        {
                            "agent": agent,
                            "name": tool.__name__,
                            "arguments": _arguments(tool, args, kwargs),
                            "result": to_jsonable_python(result, fallback=repr),
                            "error": error,
                            "start": start,
                            "end": time.monotonic(),
                        }
                    )

        return recorded

    return wrap


def _arguments(tool: Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        return bound_arguments(tool, args, kwargs)
    except TypeError:
        arguments = {**{str(position): value for position, value in enumerate(args)}, **kwargs}
        jsonable: dict[str, Any] = to_jsonable_python(arguments, fallback=repr)
        return jsonable


def _peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


async def _run(job: dict[str, Any], implementation: Any, channel: Channel) -> None:
    spec = importlib.import_module(f"tasks.{job['task']}.spec")
    case = spec.CASE_TYPE.model_validate(job["case"])
    model = Model.model_validate(job["model"])

    def record(call: dict[str, Any]) -> None:
        channel.send("tool_call", run=job["run"], **call)

    prepared = spec.prepare(case, recording(record))
    answer, error = "", None
    cpu, start = time.process_time(), time.monotonic()
    try:
        answer = await implementation.run(prepared.brief, model)
        if not isinstance(answer, str):
            error, answer = f"the answer is not a text but {type(answer).__name__}", ""
    except BaseException as raised:
        if isinstance(raised, KeyboardInterrupt | SystemExit | GeneratorExit):
            raise
        traceback.print_exc()
        error = f"{type(raised).__name__}: {raised}"
    end = time.monotonic()
    channel.send(
        "done",
        run=job["run"],
        answer=answer,
        error=error,
        start=start,
        end=end,
        cpu_s=round(time.process_time() - cpu, 6),
        peak_memory_mb=_peak_memory_mb(),
        final_state=to_jsonable_python(prepared.final_state(), fallback=repr),
    )


async def _serve(folder: str, task_names: list[str], channel: Channel) -> None:
    import_s, implementations = {}, {}
    for name in task_names:
        start = time.monotonic()
        implementations[name] = importlib.import_module(f"implementations.{folder}.{name}")
        import_s[name] = round(time.monotonic() - start, 6)
    channel.send("ready", import_s=sum(import_s.values()), memory_mb=_peak_memory_mb(), python=sys.version.split()[0])

    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        os._exit(0)  # the harness is gone: nobody is left to report to

    threading.Thread(target=read, daemon=True).start()
    running: set[asyncio.Task[None]] = set()
    while True:
        job = json.loads(await lines.get())
        task = asyncio.create_task(_run(job, implementations[job["task"]], channel))
        running.add(task)
        task.add_done_callback(running.discard)


def main() -> None:
    """`python -m evaluator.worker FRAMEWORK TASK…` (started by the runner)."""
    folder, *task_names = sys.argv[1:]
    channel = Channel()
    try:
        asyncio.run(_serve(folder, task_names, channel))
    except Exception as error:
        traceback.print_exc()
        with contextlib.suppress(OSError):
            channel.send("failed", error=f"{type(error).__name__}: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
