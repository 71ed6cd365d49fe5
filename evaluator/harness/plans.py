"""What is asked for against a model, in rounds, and its making: only what is not recorded yet, within a budget, and
within what may be spent."""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, RenderableType

from evaluator.harness import stopping
from evaluator.harness.engine import LOCAL, NOT_YET, Engine, Made, Round
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.progress import Progress, UnderWay
from evaluator.harness.records import Records
from evaluator.harness.runner import ModelGoneError
from evaluator.harness.spending import Spending
from evaluator.models import specs
from evaluator.stores import Traces, store_of
from evaluator.text import shown_path


@dataclass(frozen=True)
class Plan:
    """The runs that were asked for against one model, in rounds that are made one after the other.

    No round is begun once the rounds of this command have taken `budget_s` seconds, if there is a budget. What is not
    made in rounds is one.
    """

    settings: Settings
    rounds: Sequence[Sequence[Job]]
    budget_s: float | None = None

    @property
    def model(self) -> str:
        """The model's name."""
        return self.settings.model.name

    @property
    def jobs(self) -> list[Job]:
        """The runs of all rounds."""
        return [job for jobs in self.rounds for job in jobs]


@dataclass
class Standing:
    """How far a plan has come.

    `whole` has the numbers, from 0, of its rounds whose runs are all recorded. `used_s` is what the rounds of this
    command have taken. `unsound` says of each run that count for no framework why: the server, the harness or the
    machine ended it. `spending` is shared by the plans of a command, where what it may spend is limited.
    """

    plan: Plan
    spending: Spending | None = None
    whole: set[int] = field(default_factory=set)
    used_s: float = 0.0
    unsound: list[str] = field(default_factory=list)

    @property
    def spent(self) -> bool:
        """Whether the budget is spent."""
        return self.plan.budget_s is not None and self.used_s >= self.plan.budget_s

    def may_begin(self, jobs: Sequence[Job]) -> bool:
        """Whether the budget, and what may be spent, leave room for a round of these runs."""
        return not self.spent and (self.spending is None or self.spending.allows(self.plan.model, jobs))

    def knows_no_cost(self, jobs: Sequence[Job]) -> bool:
        """Whether what may be spent is limited, and nothing is known yet of what a round of these runs costs."""
        spending, model = self.spending, self.plan.model
        return spending is not None and model in spending.priced and spending.of_round(model, jobs) is None

    def jobs(self, whole: bool) -> list[Job]:
        """The runs of the rounds that are whole, or of those that are not."""
        return [job for number, jobs in enumerate(self.plan.rounds) for job in jobs if (number in self.whole) is whole]


_IN_A_ROW = 3
"""After so many runs that a server ended in the same words, without one answer, it is taken to be of no use."""

Shown = Callable[[Standing], RenderableType | None]
"""What is to be shown of the rounds that are whole."""


def make(
    standing: Standing,
    traces: Traces,
    rerun: bool,
    console: Console,
    say: Callable[[str], None],
    shown: Shown,
    engine: Engine = LOCAL,
) -> None:
    """Make the runs that have no usable trace below `traces` yet, or all with `rerun`, round by round, on an engine.

    A round that is recorded in part comes where it stood, so before those that were never begun. `say` is told a line
    for each step; `console` shows the progress, and after each round what is `shown` of it. Raises `stopping.Stopped`,
    and what stands in the way of a run.
    """
    plan = standing.plan
    with UnderWay(console) as under_way:
        with under_way.doing(f"{plan.model}: looking at its weights"):
            digest = specs.digest(plan.settings.model, console)
        records = Records(plan.settings, digest, sitting=secrets.token_hex(8))
        with under_way.doing(f"{plan.model}: looking at what is recorded already"):
            missing = [list(jobs) if rerun else records.missing(jobs, traces) for jobs in plan.rounds]
    standing.whole.update(number for number, jobs in enumerate(missing) if not jobs)
    asked, to_make = len(plan.jobs), sum(map(len, missing))
    say_recorded(say, plan.model, asked, to_make, store_of(traces).folder)
    if to_make:
        stopping.run(_make(standing, missing, records, traces, console, say, shown, engine))
    elif (table := shown(standing)) is not None:
        console.print(table)
        console.print()


def say_recorded(say: Callable[[str], None], model: str, asked: int, to_make: int, traces: Path) -> None:
    """Say how many of the runs that were asked for are recorded already, if any."""
    if done := asked - to_make:
        again = "" if to_make else "; --rerun makes them again"
        say(f"{model}: {done} of {asked} runs are recorded already in {shown_path(traces)}{again}")


@dataclass
class _Rounds:
    """The rounds of a plan as they are made: which comes next, what became of each, and the time that all took.

    Several may be under way at once.
    """

    standing: Standing
    missing: Sequence[Sequence[Job]]
    progress: Progress
    shown: Shown
    caught_up: Callable[[], bool] = lambda: True
    _not_made: dict[int, Job] = field(default_factory=dict)
    _under_way: int = 0
    _since: float = 0.0
    _used_s: float = 0.0
    _in_a_row: list[str | None] = field(default_factory=list)

    def __iter__(self) -> Iterator[Round | None]:
        """Those with runs to make, until the budget is spent. As long as nobody knows what runs cost, where that is
        limited, there is one at a time."""
        for number, jobs in enumerate(self.missing):
            while jobs and self._not_made and self.standing.knows_no_cost(jobs):
                yield NOT_YET
            self._count()
            if jobs and self.standing.may_begin([*self._not_made.values(), *jobs]):
                self._not_made |= {id(job): job for job in jobs}
                yield number, jobs

    @contextlib.contextmanager
    def begin(self, one: Round) -> Iterator["_RoundUnderWay"]:
        """The round is under way."""
        number, jobs = one
        if not self._under_way:
            self._since, self._used_s = time.monotonic(), self.standing.used_s
        self._under_way += 1
        hears = _RoundUnderWay(self)
        try:
            with self.progress.round(number + 1, jobs, self.standing.used_s):
                yield hears
        finally:
            self._count()
            self._under_way -= 1
        if hears.sound or len(self.missing) == 1:
            self.standing.whole.add(number)
            if self.caught_up():
                self.show()

    def show(self) -> None:
        """Show what came of the rounds that are whole."""
        if self.standing.whole and (table := self.shown(self.standing)) is not None:
            self.progress.show(table)

    def over(self, job: Job) -> None:
        """A run of a round that is under way is over, or cannot be made."""
        self._not_made.pop(id(job), None)

    def ended(self, made: Made) -> None:
        """Raises `ModelGoneError` once several runs in a row were ended by the server in the same words."""
        self._in_a_row.append(made.unanswered)
        if len(last := self._in_a_row[-_IN_A_ROW:]) == _IN_A_ROW and last[0] is not None and len(set(last)) == 1:
            raise ModelGoneError(f"{last[0]}; {_IN_A_ROW} runs in a row ended like this")

    def _count(self) -> None:
        if self._under_way:
            self.standing.used_s = self._used_s + time.monotonic() - self._since


@dataclass
class _RoundUnderWay:
    """Hears of the runs of a round; it is `sound` as long as all count for their frameworks."""

    of: _Rounds
    sound: bool = True

    def started(self, job: Job) -> None:
        self.of.progress.started(job)

    def finished(self, job: Job, made: Made) -> None:
        self.of.progress.finished(job, made.ended)
        self.of.over(job)
        if (spending := self.of.standing.spending) is not None:
            spending.add(self.of.standing.plan.model, job, made)
        if made.fault is not None:
            self._unsound(f"{job.framework.name}: {made.error}")
        self.of.ended(made)

    def not_made(self, job: Job, why: str) -> None:
        self.of.progress.not_made(job)
        self.of.over(job)
        self._unsound(why)

    def lost(self, job: Job) -> None:
        if (spending := self.of.standing.spending) is not None:
            spending.add(self.of.standing.plan.model, job, None)

    def _unsound(self, why: str) -> None:
        self.sound = False
        self.of.standing.unsound.append(why)


async def _make(
    standing: Standing,
    missing: Sequence[Sequence[Job]],
    records: Records,
    traces: Traces,
    console: Console,
    say: Callable[[str], None],
    shown: Shown,
    engine: Engine,
) -> None:
    plan = standing.plan
    jobs = [job for each in missing for job in each]
    await engine.prepare(jobs, console, say)
    modules = list(dict.fromkeys(job.task.module for job in jobs))
    with Progress(console, plan.model, len(plan.rounds), plan.budget_s) as progress:
        rounds = _Rounds(standing, missing, progress, shown)
        starting = f"{plan.model}: starting"
        progress.begin(starting)
        rounds.show()
        async with engine.opened(plan.settings, modules, records, traces, console) as opened:
            progress.end(starting)
            progress.waiting_since = lambda: opened.waiting_since
            rounds.caught_up = opened.caught_up
            await opened.make(iter(rounds), rounds.begin)
