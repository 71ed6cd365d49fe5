"""Where runs are made: what an engine does, and the one that needs nothing else, this machine."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rich.console import Console

from evaluator.harness.environments import provision_all
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.matrix import run_all
from evaluator.harness.records import Records
from evaluator.harness.runner import Harness, harness
from evaluator.providers.prices import Tokens, chat_tokens, started_at
from evaluator.stores import Traces
from evaluator.trace import Ended, Fault, Trace
from evaluator.wire.failures import failure

Round = tuple[int, Sequence[Job]]
"""The number of a round, from 0, and the runs of it that are to be made."""

NOT_YET = None
"""In place of a round: the next may be taken only once a run that is under way is over."""


@dataclass(frozen=True)
class Made:
    """What is told of a run that was made and written: how it ended and when it began, by the words of its trace.

    `tokens` are those of each chat call, None where they are not known. `unanswered` is what a server said that
    answered none of its calls; None where it answered one, or did not end it.
    """

    ended: Ended
    error: str | None
    fault: Fault | None
    unanswered: str | None
    tokens: tuple[Tokens, ...] | None
    began: datetime | None

    @staticmethod
    def of(trace: Trace) -> "Made":
        """What is told of the run of a trace."""
        outcome, chats = trace.outcome, trace.chats
        by_server = outcome.fault == "server" and not any(call.answered for call in chats)
        unanswered = failure(chats[-1]) if by_server else None
        return Made(
            ended=outcome.ended,
            error=outcome.error,
            fault=outcome.fault,
            unanswered=unanswered,
            tokens=chat_tokens(trace),
            began=started_at(trace),
        )


class RoundUnderWay(Protocol):
    """Hears of the runs of one round."""

    def started(self, job: Job) -> None:
        """A run was begun."""

    def finished(self, job: Job, made: Made) -> None:
        """A run was made and written. May raise what ends everything."""

    def not_made(self, job: Job, why: str) -> None:
        """A run could not be made."""

    def lost(self, job: Job) -> None:
        """A run was begun that nobody will hear of, and is begun again."""


Begin = Callable[[Round], AbstractContextManager[RoundUnderWay]]
"""Says that a round is begun, and at the end of the context that it is over."""


class Runs(Protocol):
    """Makes runs, with all there that they need."""

    @property
    def waiting_since(self) -> list[float]:
        """Since when the model calls wait that a limit of the model's server holds back, by this machine's monotonic
        clock."""

    def caught_up(self) -> bool:
        """Whether what was made can be read here by now, after seeing to that if it is time to."""

    async def make(self, rounds: Iterator[Round | None], begin: Begin) -> None:
        """Make the runs of the rounds, and write their traces. A round is taken when there is room for it.

        Where several are under way, `NOT_YET` may come in place of one.
        """


class Engine(Protocol):
    """What places runs on machines."""

    async def prepare(self, jobs: Sequence[Job], console: Console, say: Callable[[str], None]) -> None:
        """Make the environments that the runs need, where they are not there. Raises `Mistake`, `Failure`."""

    def opened(
        self, settings: Settings, modules: Sequence[str], records: Records, traces: Traces, console: Console
    ) -> AbstractAsyncContextManager[Runs]:
        """Bring up models, gateways, and workers that have these modules; nothing of it outlives this."""


class Local(Engine):
    """This machine: one round after the other."""

    async def prepare(self, jobs: Sequence[Job], console: Console, say: Callable[[str], None]) -> None:
        """Make the environments beside the locks of this checkout."""
        await provision_all(list(dict.fromkeys(job.framework for job in jobs)), console, say)

    @contextlib.asynccontextmanager
    async def opened(
        self, settings: Settings, modules: Sequence[str], records: Records, traces: Traces, console: Console
    ) -> AsyncIterator["_Here"]:
        """One model, one gateway, one worker a framework."""
        async with harness(settings, modules, console, records=records) as opened:
            yield _Here(opened, traces, settings.jobs)


@dataclass(frozen=True)
class _Here(Runs):
    made_by: Harness
    traces: Traces
    at_once: int

    @property
    def waiting_since(self) -> list[float]:
        return self.made_by.waiting_since

    def caught_up(self) -> bool:
        return True

    async def make(self, rounds: Iterator[Round | None], begin: Begin) -> None:
        for one in rounds:
            assert one is not NOT_YET, "no run is under way here between two rounds"
            number, jobs = one
            with begin((number, jobs)) as hears:

                def on_trace(job: Job, trace: Trace, hears: RoundUnderWay = hears) -> None:
                    hears.finished(job, Made.of(trace))

                await run_all(self.made_by, jobs, self.traces, self.at_once, hears.started, on_trace, hears.not_made)


LOCAL = Local()
