"""What `bakeoff run` would do, without doing it."""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.fitting import Fitted
from evaluator.harness.environments import is_current
from evaluator.harness.jobs import levels_in_words
from evaluator.harness.plans import Plan
from evaluator.harness.records import Records
from evaluator.models import specs
from evaluator.text import duration

_COLUMNS = ("rounds", "cases", "runs", "recorded", "to be made")


def print_dry_run(
    plans: Sequence[Plan], traces: Path, rerun: bool, console: Console, say: Callable[[str], None]
) -> None:
    """Print for each plan its rounds with their counts. Nothing is made, fetched, started or written."""
    for plan in plans:
        console.print(_table(plan, traces, rerun, console))
        if plan.budget_s is not None:
            say(f"budget: no new round once the rounds have taken {duration(plan.budget_s)}")
        console.print()
    frameworks = dict.fromkeys(job.framework for plan in plans for job in plan.jobs)
    if lacking := [framework.title for framework in frameworks if not is_current(framework)]:
        say(f"environments to be made: {', '.join(lacking)}")


def _table(plan: Plan, traces: Path, rerun: bool, console: Console) -> Fitted:
    """A row for rounds in a row that are of the same levels."""
    records = Records(plan.settings, specs.digest(plan.settings.model, console, fetched=False))
    table = Table(title=Text(plan.model, style="bold"), title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    totals = [0] * len(_COLUMNS)
    for levels, rounds in groupby(plan.rounds, levels_in_words):
        jobs = [list(each) for each in rounds]
        runs = [job for each in jobs for job in each]
        recorded = 0 if rerun else sum(records.usable(job, traces) is not None for job in runs)
        cases = len({(job.task.name, job.case.id) for job in runs})
        row = [len(jobs), cases, len(runs), recorded, len(runs) - recorded]
        table.add_row(levels, *map(str, row))
        totals = [total + number for total, number in zip(totals, row, strict=True)]
    table.add_row("all", *map(str, totals))
    return Fitted(
        table, order=[_COLUMNS.index(name) + 1 for name in ("runs", "to be made", "recorded", "rounds", "cases")]
    )
