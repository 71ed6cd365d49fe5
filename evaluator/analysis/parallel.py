"""The same work on many things, over all cores."""

import gc
import multiprocessing
import multiprocessing.context
import multiprocessing.process
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """How many cores this process may use; macOS does not say, so all of them there."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of cycles, which looks at all that was read from traces over and over, and finds none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Workers:
    """Processes beside this one, one for each core unless given; used in a `with`, at the end of which they end.

    They are started when there is work for them first, and take what they are given in that order: what takes long is
    given first. With one process it is this one.
    """

    def __init__(self, processes: int | None = None) -> None:
        self._processes = cores() if processes is None else processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def each(self, work: Callable[[T], R], things: Sequence[T], *, worth: bool = True, at_once: int = 1) -> Iterator[R]:
        """What the work gives for each of the things, in their order; a process takes so many of them at once.

        Where it is `worth` it, `work` and what it gives are sent to the processes and back, which begin now; else this
        one does it as what it gives is asked for.
        """
        if self._processes == 1 or not worth:
            return map(work, things)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._processes, _context(), _prepare)
        return self._pool.map(work, things, chunksize=at_once)


def _context() -> multiprocessing.context.BaseContext:
    """How processes start: not forked from this one, which may have threads, but from one that has imported all."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["evaluator.analysis.forked"])
    return context


def _prepare() -> None:
    """Let a process that reads traces collect no cycles, and end when the one that it works for is killed; it would
    wait for work for ever."""
    gc.disable()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent,), daemon=True).start()


def _wait_and_end(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
