"""Tables of what frameworks made of faults, for a terminal or for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.analysis.faults.judged import End, FaultRun
from evaluator.faults.table import FAULTS
from evaluator.fitting import Fitted


@dataclass(frozen=True)
class Row:
    """The runs of one framework with one fault, with its modules of tasks or with its `hardened` ones.

    `recovered` of the `passing` runs, in which the fault came once or twice, ended right; of the `lasting` ones, in
    which it always came, `ended_well` did. `ends` counts how all of them ended. What is `extra` is the mean over the
    runs that recovered, beyond the same run undisturbed.
    """

    framework: str
    hardened: bool
    fault: str
    passing: int
    recovered: int
    lasting: int
    ended_well: int
    ends: dict[str, int]
    done_twice: int
    extra_calls: float | None
    extra_tokens: float | None
    extra_s: float | None
    told: str
    error: str


def rows(runs: Iterable[FaultRun]) -> list[Row]:
    """One for each framework, module and fault, in the order of the table of faults."""
    groups: dict[tuple[str, bool, str], list[FaultRun]] = {}
    for run in runs:
        groups.setdefault((run.framework, run.hardened, run.injected.fault), []).append(run)
    order = [fault.name for fault in FAULTS]
    known = (key for key in groups if key[2] in order)
    return [_row(*key, groups[key]) for key in sorted(known, key=lambda key: (*key[:2], order.index(key[2])))]


def _row(framework: str, hardened: bool, fault: str, runs: Sequence[FaultRun]) -> Row:
    passing = [run for run in runs if run.injected.strength != "always"]
    lasting = [run for run in runs if run.injected.strength == "always"]
    recovered = [run for run in passing if run.end == "right"]
    return Row(
        framework=framework,
        hardened=hardened,
        fault=fault,
        passing=len(passing),
        recovered=len(recovered),
        lasting=len(lasting),
        ended_well=sum(run.well for run in lasting),
        ends={end: count for end in get_args(End) if (count := sum(run.end == end for run in runs))},
        done_twice=sum(run.done_twice for run in runs),
        extra_calls=_mean(run.calls for run in recovered),
        extra_tokens=_mean(run.tokens for run in recovered),
        extra_s=_mean(run.seconds for run in recovered),
        told=next((run.told for run in runs if run.told), ""),
        error=next((run.error for run in runs if run.end == "stopped"), ""),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def as_data(found: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows for programs."""
    return [asdict(row) for row in found]


def print_rows(console: Console, found: Sequence[Row], titles: dict[str, str]) -> None:
    """A table for each framework, and a sentence on it."""
    happens = {fault.name: fault.happens for fault in FAULTS}
    for framework, hardened in dict.fromkeys((row.framework, row.hardened) for row in found):
        of_it = [row for row in found if (row.framework, row.hardened) == (framework, hardened)]
        title = titles.get(framework, framework) + (", hardened" if hardened else "")
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        table.add_column("fault")
        for heading in ("recovered", "always: well", "twice", "calls", "tokens", "s"):
            table.add_column(heading, justify="right")
        table.add_column("ended")
        table.add_column("what happens")
        for row in of_it:
            twice = Text(str(row.done_twice), style="bold red") if row.done_twice else Text("0")
            extra = (_signed(row.extra_calls, 1), _signed(row.extra_tokens, 0), _signed(row.extra_s, 1))
            ended = ", ".join(f"{count} {end}" for end, count in row.ends.items())
            shares = (f"{row.recovered}/{row.passing}", f"{row.ended_well}/{row.lasting}")
            table.add_row(row.fault, *shares, twice, *extra, ended, happens[row.fault])
        console.print(Fitted(table, order=(1, 2, 3, 7, 4, 6, 5, 8), text=[7, 8]))
        console.print(Text(sentence(of_it)), soft_wrap=True)
        console.print()


def _signed(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:+,.{digits}f}"


def sentence(of_it: Sequence[Row]) -> str:
    """What the rows of one framework come to, in words."""
    passing, recovered = sum(row.passing for row in of_it), sum(row.recovered for row in of_it)
    lasting, well = sum(row.lasting for row in of_it), sum(row.ended_well for row in of_it)
    wrong, hung = (sum(row.ends.get(end, 0) for row in of_it) for end in ("wrong", "hung"))
    twice = sum(row.done_twice for row in of_it)
    return (
        f"Recovered from {recovered} of {passing} faults that passed; of {lasting} that did not, {well} ended with an "
        f"error or an answer that says so. {wrong} runs ended with a wrong answer and {hung} at the time limit; "
        f"{twice} side effects were done twice."
    )
