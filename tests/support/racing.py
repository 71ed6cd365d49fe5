"""Writers of one run in processes of their own, who begin at the same moment."""

import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from evaluator import stores
from evaluator.trace import Trace

_barrier: Barrier


def _begin(barrier: Barrier, copies: Path) -> None:
    global _barrier
    _barrier = barrier
    stores.FOLDER = copies


def _write(work: tuple[str, Trace]) -> bool:
    where, trace = work
    store = stores.store_at(where)
    _barrier.wait(120)
    return store.write(trace)


def raced(where: str, races: Sequence[Sequence[Trace]], copies: Path) -> Iterator[list[bool]]:
    """What each writer was told in one race after the other, in the order of their traces."""
    context = multiprocessing.get_context("spawn")
    number = len(races[0])
    with context.Pool(number, _begin, (context.Barrier(number), copies)) as pool:
        for traces in races:
            yield pool.map(_write, [(where, trace) for trace in traces], chunksize=1)
