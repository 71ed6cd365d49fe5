"""What `bakeoff run` would do and what that would take, without doing it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.fitting import Fitted
from evaluator.harness.environments import is_current
from evaluator.harness.jobs import Job, levels_in_words
from evaluator.harness.limiter import RateLimits
from evaluator.harness.plans import Plan
from evaluator.harness.records import Records
from evaluator.harness.spending import Spending, dollars
from evaluator.models import specs
from evaluator.models.specs import ModelSpec
from evaluator.providers.prices import PricedModel, price_list
from evaluator.suites.estimates import HIGH, LOW, Amount, Estimate, Recorded, Time, estimate, priced, time_needed
from evaluator.text import duration, two_digits

_COLUMNS = ("rounds", "cases", "runs", "recorded", "to be made")


@dataclass(frozen=True)
class DryRun:
    """Says what runs would be made and what they would take. Nothing is made, fetched, started or written.

    Recorded runs are looked for below `traces`, and others like those to be made below `evidence`. The limits are
    those of the models' endpoints.
    """

    traces: Path
    evidence: Sequence[Path]
    rerun: bool
    console: Console
    say: Callable[[str], None]
    limits: RateLimits = field(default_factory=RateLimits)

    def print_plans(self, plans: Sequence[Plan], spending: Spending | None) -> None:
        """Print for each plan its rounds with their counts, and what its runs would take."""
        for plan in plans:
            to_make = self._to_make(plan)
            self.console.print(_table(plan, to_make))
            self.print_estimate(plan, to_make, spending)
            self.console.print()
        frameworks = dict.fromkeys(job.framework for plan in plans for job in plan.jobs)
        if lacking := [framework.title for framework in frameworks if not is_current(framework)]:
            self.say(f"environments to be made: {', '.join(lacking)}")

    def print_lines(self, plan: Plan, lines: Sequence[str], model: ModelSpec, spending: Spending | None = None) -> None:
        """Say what a plan is in these lines, and print what its runs against the model would take."""
        for line in lines:
            self.say(line)
        self.print_estimate(plan, self._to_make(plan, model), spending, model)
        self.console.print()

    def _to_make(self, plan: Plan, model: ModelSpec | None = None) -> list[list[Job]]:
        """The runs of each round that are not recorded."""
        records = Records(plan.settings, specs.digest(model or plan.settings.model, self.console, fetched=False))
        if self.rerun:
            return [list(jobs) for jobs in plan.rounds]
        return [[job for job in jobs if records.usable(job, self.traces) is None] for jobs in plan.rounds]

    def print_estimate(
        self,
        plan: Plan,
        to_make: Sequence[Sequence[Job]],
        spending: Spending | None = None,
        model: ModelSpec | None = None,
    ) -> None:
        """Print what the runs to be made would take, and how that is known."""
        if plan.budget_s is not None:
            self.say(f"budget: no new round once the rounds have taken {duration(plan.budget_s)}")
        jobs = [job for each in to_make for job in each]
        if not jobs:
            return
        spec, at = model or plan.settings.model, datetime.now(UTC)
        price = priced(spec, at)
        found = estimate(plan.model, jobs, Recorded(self.evidence, price, at))
        at_once = min(plan.settings.jobs, len({job.framework for job in jobs}))
        time = time_needed(found, at_once, self.limits.rpm, self.limits.tpm, self.limits.concurrency)
        if found.known:
            self.console.print(_estimated(found, time))
        for line in _how(found, time, spec, price):
            self.say(line)
        if spending is not None and plan.model in spending.priced:
            self.say(_rounds_within(spending, plan.model, to_make))


def _table(plan: Plan, to_make: Sequence[Sequence[Job]]) -> Fitted:
    """A row for the rounds of the same levels."""
    table = Table(title=Text(plan.model, style="bold"), title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    of_levels: dict[str, list[int]] = defaultdict(list)
    for number, jobs in enumerate(plan.rounds):
        of_levels[levels_in_words(jobs)].append(number)
    for levels, numbers in [*sorted(of_levels.items()), ("all", list(range(len(plan.rounds))))]:
        runs = [job for number in numbers for job in plan.rounds[number]]
        made = sum(len(to_make[number]) for number in numbers)
        cases = len({(job.task.name, job.case.id) for job in runs})
        table.add_row(levels, *map(str, (len(numbers), cases, len(runs), len(runs) - made, made)))
    return Fitted(
        table, order=[_COLUMNS.index(name) + 1 for name in ("runs", "to be made", "recorded", "rounds", "cases")]
    )


def _estimated(found: Estimate, time: Time | None) -> Fitted:
    """What runs would take, and where sums are drawn what 10 % and 90 % of them stay below."""
    of_runs = f"{found.known:,} of {found.runs:,}" if found.known < found.runs else f"{found.runs:,}"
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(f"estimate for {of_runs} {'run' if found.runs == 1 else 'runs'}")
    columns = ("about", f"{LOW:g} %", f"{HIGH:g} %") if found.calls.low is not None else ("about",)
    for name in columns:
        table.add_column(name, justify="right")
    rows: list[tuple[str, Amount | None, Callable[[float], str]]] = [
        ("model calls", found.calls, two_digits),
        ("prompt tokens", found.prompt_tokens, two_digits),
        ("completion tokens", found.completion_tokens, two_digits),
        ("cost", found.usd, lambda usd: f"${two_digits(usd)}"),
        (f"time{', at least' if time and time.at_least else ''}", time.seconds if time else None, duration),
    ]
    for name, amount, shown in rows:
        if amount is not None:
            of = (amount.about, amount.low, amount.high)
            table.add_row(name, *(shown(number) for number in of if number is not None))
    return Fitted(table)


def _how(found: Estimate, time: Time | None, spec: ModelSpec, price: PricedModel | None) -> list[str]:
    """What an estimate is made of, and what it has nothing to say about."""
    lines = []
    if found.sources:
        lines.append(f"from recorded runs: {'; '.join(f'{n:,} by {name}' for name, n in found.sources.items())}")
    if found.known < found.runs:
        lines.append(f"no estimate for {found.runs - found.known:,} runs: {', '.join(found.unknown)}")
    if price is not None:
        lines.append(f"cost: at the prices of {price_list()} for {price.name}")
        if any(not source.startswith(f"{spec.name} in ") for source in found.sources):
            lines.append("cost: other models' runs say little of this one's answers; one that reasons writes far more")
    elif spec.endpoint is not None:
        lines.append(f"cost: not known, {price_list()} has no price for {spec.name}")
    if time is not None:
        lines.append(f"time: by {time.because}")
    elif found.known:
        lines.append(f"time: not known, no run of {spec.name} is recorded")
    return lines


def _rounds_within(spending: Spending, model: str, to_make: Sequence[Sequence[Job]]) -> str:
    """How many rounds are likely to be made for the money."""
    left, made = spending.most_usd, 0
    rounds = [jobs for jobs in to_make if jobs]
    for jobs in rounds:
        left -= spending.of_round(model, jobs) or 0.0
        if left < 0:
            break
        made += 1
    return f"--max-cost: about {made} of {len(rounds)} rounds for {dollars(spending.most_usd)}"
