"""The same work on many things, over all cores."""

import multiprocessing
import multiprocessing.context
import multiprocessing.process
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """How many cores this process may use; macOS does not say, so all of them there."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Callable[[T], R], things: Sequence[T], processes: int, at_once: int = 1) -> Iterator[R]:
    """What the work gives for each of the things, in their order; a process takes so many of them at once.

    With one process it is this one. Else `work` and what it gives are sent to others and back.
    """
    if processes == 1:
        yield from map(work, things)
        return
    with ProcessPoolExecutor(processes, _context(), _end_with_parent) as pool:
        yield from pool.map(work, things, chunksize=at_once)


def _context() -> multiprocessing.context.BaseContext:
    """How processes start: not forked from this one, which may have threads, but from one that has imported all."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["evaluator.analysis.forked"])
    return context


def _end_with_parent() -> None:
    """Let a process that reads traces end when the one that it works for is killed; it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent,), daemon=True).start()


def _wait_and_end(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
