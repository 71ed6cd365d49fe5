"""Which node makes which run: all frameworks of a case and trial on the same one, and never more than its share."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from evaluator.cluster.node import Result
from evaluator.errors import Failure
from evaluator.harness.engine import NOT_YET, Begin, Round, RoundUnderWay
from evaluator.harness.jobs import Job
from evaluator.harness.runner import ModelGoneError

AHEAD = 2
"""How many runs are with a node for each that it makes at once: the next is there when one is made."""

ATTEMPTS = 3
"""How often a run is given to a node that is lost with it."""


class LostError(Exception):
    """A node, or what is asked there, is no more. What became of its runs is not known."""


class Member(Protocol):
    """A node as the driver sees it."""

    @property
    def name(self) -> str:
        """What it is called in traces."""

    async def run(self, job: Job, again: bool) -> Result:
        """Make a run there; `again` where another node may have made it. Raises `LostError`."""


M = TypeVar("M", bound=Member)

_END: Round = (-1, ())
"""What comes after the last round."""


@dataclass
class _Place(Generic[M]):
    """A node that takes part. Its load is of runs that it was chosen for and that are not made, of which `room` lets
    only its share be with it."""

    member: M
    room: asyncio.Semaphore
    load: int = 0
    is_lost: bool = False


@dataclass
class Placing(Generic[M]):
    """Gives runs to nodes, which may come and go meanwhile. Each makes `slots` at once; `lost` is told when one is no
    more. `written` has the runs that were made, with the digests
    of their traces."""

    slots: int
    lost: Callable[[M], Awaitable[None]]
    written: list[tuple[Job, str | None]] = field(default_factory=list)
    _places: dict[str, _Place[M]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _failed: Failure | None = None

    def join(self, member: M) -> None:
        """From now on this node gets runs."""
        self._places[member.name] = _Place(member, asyncio.Semaphore(AHEAD * self.slots))
        self._changed.set()

    def fail(self, failure: Failure) -> None:
        """There will be no nodes any more: `make` raises this."""
        self._failed = failure
        self._changed.set()

    async def make(self, rounds: Iterator[Round | None], begin: Begin) -> None:
        """Make the runs of all rounds. One is taken as soon as a node has less than its share.

        Raises `ModelGoneError`, `Failure`, and what hears of the runs raises.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._room()
                    one = next(rounds, _END)
                    if one is NOT_YET:
                        await self._change()
                        continue
                    if one is _END:
                        break
                    given = asyncio.Event()
                    tasks.create_task(self._round(one, begin, given))
                    await given.wait()
        except BaseExceptionGroup as group:
            raise _first(group) from None

    async def _round(self, one: Round, begin: Begin, given: asyncio.Event) -> None:
        """`given` is set once each run of it was given to a node."""
        with begin(one) as hears:
            async with asyncio.TaskGroup() as tasks:
                for jobs in pairable(one[1]):
                    place = await self._room()
                    place.load += len(jobs)
                    tasks.create_task(self._pairable(jobs, place, hears))
                given.set()
        self._changed.set()

    async def _pairable(self, jobs: Sequence[Job], place: _Place[M], hears: RoundUnderWay) -> None:
        """Make these runs on one node, and what is left of them on another where that is lost."""
        losses: Counter[tuple[str, bool]] = Counter()
        while True:
            async with asyncio.TaskGroup() as tasks:
                made = [tasks.create_task(self._one(job, place, hears, losses)) for job in jobs]
            left = [job for job, one in zip(jobs, made, strict=True) if not one.result()]
            if not left:
                return
            await self._leave(place)
            for job in left:
                if losses[_who(job)] >= ATTEMPTS:
                    hears.not_made(job, f"{job.framework.name}: the node was lost {ATTEMPTS} times that made the run")
            jobs = [job for job in left if losses[_who(job)] < ATTEMPTS]
            if not jobs:
                return
            place = await self._room()
            place.load += len(jobs)

    async def _one(self, job: Job, place: _Place[M], hears: RoundUnderWay, losses: Counter[tuple[str, bool]]) -> bool:
        """Whether the run was made, or could not be by what its node said; False where the node was lost."""
        try:
            async with place.room:
                if place.is_lost:
                    return False
                hears.started(job)
                result = await place.member.run(job, again=losses[_who(job)] > 0)
        except LostError:
            place.is_lost = True
            losses[_who(job)] += 1
            hears.lost(job)
            return False
        finally:
            place.load -= 1
            self._changed.set()
        if result.gone is not None:
            raise ModelGoneError(result.gone)
        if result.made is not None:
            self.written.append((job, result.digest))
            hears.finished(job, result.made)
        else:
            hears.not_made(job, str(result.not_made))
        return True

    async def _leave(self, place: _Place[M]) -> None:
        if self._places.get(place.member.name) is place:
            del self._places[place.member.name]
            await self.lost(place.member)

    async def _room(self) -> _Place[M]:
        """The node that has the least to do, once there is one with less than its share."""
        while True:
            if self._failed is not None:
                raise self._failed
            if free := [place for place in self._places.values() if place.load < AHEAD * self.slots]:
                return min(free, key=lambda place: place.load)
            await self._change()

    async def _change(self) -> None:
        """Wait until a run or a round is over, or a node joins."""
        self._changed.clear()
        await self._changed.wait()


def pairable(jobs: Iterable[Job]) -> list[list[Job]]:
    """The runs that are compared with one another: all frameworks of a case and trial, and of a fault in it."""
    together: dict[tuple[str, str, int], list[Job]] = {}
    for job in jobs:
        together.setdefault((job.task.name, replace(job, hardened=False).name, job.trial), []).append(job)
    return list(together.values())


def _who(job: Job) -> tuple[str, bool]:
    """What tells the runs of a case and trial apart."""
    return job.framework.name, job.hardened


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
