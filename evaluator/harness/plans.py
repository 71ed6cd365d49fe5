"""What is asked for against a model, in rounds, and its making: only what is not recorded yet, within a budget."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, RenderableType

from evaluator.harness import stopping
from evaluator.harness.environments import provision_all
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.matrix import run_all
from evaluator.harness.progress import Progress, UnderWay
from evaluator.harness.records import Records
from evaluator.harness.runner import ModelGoneError, harness
from evaluator.models import specs
from evaluator.stores import Traces, store_of
from evaluator.text import shown_path
from evaluator.trace import Trace
from evaluator.wire.failures import failure


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
    machine ended it.
    """

    plan: Plan
    whole: set[int] = field(default_factory=set)
    used_s: float = 0.0
    unsound: list[str] = field(default_factory=list)

    @property
    def spent(self) -> bool:
        """Whether the budget is spent."""
        return self.plan.budget_s is not None and self.used_s >= self.plan.budget_s

    def jobs(self, whole: bool) -> list[Job]:
        """The runs of the rounds that are whole, or of those that are not."""
        return [job for number, jobs in enumerate(self.plan.rounds) for job in jobs if (number in self.whole) is whole]


def _unanswered(trace: Trace) -> str | None:
    """What a server said that answered none of a run's calls; None where it answered one, or did not end the run."""
    chats = trace.chats
    if trace.outcome.fault != "server" or any(call.answered for call in chats):
        return None
    return failure(chats[-1])


_IN_A_ROW = 3
"""After so many runs that a server ended in the same words, without one answer, it is taken to be of no use."""

Shown = Callable[[Standing], RenderableType | None]
"""What is to be shown of the rounds that are whole."""


def make(
    standing: Standing, traces: Traces, rerun: bool, console: Console, say: Callable[[str], None], shown: Shown
) -> None:
    """Make the runs that have no usable trace below `traces` yet, or all with `rerun`, round by round.

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
        stopping.run(_make(standing, missing, records, traces, console, say, shown))
    elif (table := shown(standing)) is not None:
        console.print(table)
        console.print()


def say_recorded(say: Callable[[str], None], model: str, asked: int, to_make: int, traces: Path) -> None:
    """Say how many of the runs that were asked for are recorded already, if any."""
    if done := asked - to_make:
        again = "" if to_make else "; --rerun makes them again"
        say(f"{model}: {done} of {asked} runs are recorded already in {shown_path(traces)}{again}")


async def _make(
    standing: Standing,
    missing: Sequence[Sequence[Job]],
    records: Records,
    traces: Traces,
    console: Console,
    say: Callable[[str], None],
    shown: Shown,
) -> None:
    plan = standing.plan
    jobs = [job for each in missing for job in each]
    await provision_all(list(dict.fromkeys(job.framework for job in jobs)), console, say)
    modules = list(dict.fromkeys(job.task.module for job in jobs))
    with Progress(console, plan.model, len(plan.rounds), plan.budget_s) as progress:
        in_a_row: list[str | None] = []

        def finished(job: Job, trace: Trace) -> None:
            progress.finished(job, trace)
            if trace.outcome.fault is not None:
                standing.unsound.append(f"{job.framework.name}: {trace.outcome.error}")
            in_a_row.append(_unanswered(trace))
            if len(last := in_a_row[-_IN_A_ROW:]) == _IN_A_ROW and last[0] is not None and len(set(last)) == 1:
                raise ModelGoneError(f"{last[0]}; {_IN_A_ROW} runs in a row ended like this")

        def not_made(job: Job, why: str) -> None:
            progress.not_made(job)
            standing.unsound.append(why)

        def show() -> None:
            if standing.whole and (table := shown(standing)) is not None:
                progress.show(table)

        starting = f"{plan.model}: starting"
        progress.begin(starting)
        show()
        async with harness(plan.settings, modules, console, records=records) as opened:
            progress.end(starting)
            for number, each in enumerate(missing):
                if not each or standing.spent:
                    continue
                start = time.monotonic()
                before = len(standing.unsound)
                with progress.round(number + 1, each, standing.used_s):
                    await run_all(opened, each, traces, plan.settings.jobs, progress.started, finished, not_made)
                standing.used_s += time.monotonic() - start
                if len(standing.unsound) == before or len(plan.rounds) == 1:
                    standing.whole.add(number)
                    show()
