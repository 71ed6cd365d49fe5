"""What frameworks made of faults, summed up: by fault, over all faults, and in words."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, get_args

from evaluator.analysis.faults.judged import End, FaultRun
from evaluator.analysis.metrics import rounded
from evaluator.catalog.frameworks import baseline_first
from evaluator.faults.table import BY_NAME, Layer
from evaluator.trace import Injected


@dataclass(frozen=True)
class Figures:
    """Of some runs with faults.

    `recovered` of the `passing` runs, in which the fault came once or twice, ended right; of the `lasting` ones, in
    which it always came, `ended_well` did. `ends` counts how all of them ended. What is `extra` is the mean over the
    runs that recovered, beyond the same run undisturbed: model calls, tokens and seconds.
    """

    passing: int
    recovered: int
    lasting: int
    ended_well: int
    ends: dict[str, int]
    done_twice: int
    extra_calls: float | None
    extra_tokens: float | None
    extra_s: float | None

    @property
    def share(self) -> float | None:
        """How many of the passing faults it recovered from, from 0 to 1; None where there are none."""
        return self.recovered / self.passing if self.passing else None


@dataclass(frozen=True)
class Row:
    """The runs of one framework with one fault, with its modules of tasks or with its `hardened` ones.

    `told` are the first words that its model was told about it, and `error` those of the first run that ended so.
    """

    framework: str
    hardened: bool
    fault: str
    figures: Figures
    told: str
    error: str


@dataclass(frozen=True)
class Total:
    """All runs of one framework with faults, with its modules of tasks or with its `hardened` ones, and those of each
    layer that there is. `beside` are the same runs with the modules that the `hardened` ones stand beside."""

    framework: str
    hardened: bool
    figures: Figures
    layers: dict[Layer, Figures]
    beside: Figures | None = None


def rows(runs: Iterable[FaultRun]) -> list[Row]:
    """One for each framework, module and fault, in the order of the table of faults, the baseline first."""
    groups: dict[tuple[str, bool, str], list[FaultRun]] = {}
    for run in runs:
        groups.setdefault((run.framework, run.hardened, run.injected.fault), []).append(run)
    order = list(BY_NAME)
    known = (key for key in groups if key[2] in BY_NAME)
    in_order = sorted(known, key=lambda key: (baseline_first(key[0]), key[1], order.index(key[2])))
    return [_row(*key, groups[key]) for key in in_order]


def totals(runs: Iterable[FaultRun]) -> list[Total]:
    """One for each framework and module, the baseline first, and each framework's `hardened` ones after the others."""
    groups: dict[tuple[str, bool], list[FaultRun]] = {}
    for run in runs:
        if run.injected.fault in BY_NAME:
            groups.setdefault((run.framework, run.hardened), []).append(run)
    in_order = sorted(groups, key=lambda key: (baseline_first(key[0]), key[1]))
    return [_total(*key, groups[key], groups.get((key[0], False), [])) for key in in_order]


def _total(framework: str, hardened: bool, runs: Sequence[FaultRun], others: Sequence[FaultRun]) -> Total:
    made = {_place(run) for run in runs}
    return Total(
        framework=framework,
        hardened=hardened,
        figures=figures(runs),
        layers={layer: figures(of) for layer in get_args(Layer) if (of := _of(runs, layer))},
        beside=figures([run for run in others if _place(run) in made]) if hardened else None,
    )


def _place(run: FaultRun) -> tuple[str, str, Injected]:
    return run.task, run.case, run.asked


def figures(runs: Sequence[FaultRun]) -> Figures:
    """Of these runs."""
    passing = [run for run in runs if run.injected.strength != "always"]
    lasting = [run for run in runs if run.injected.strength == "always"]
    recovered = [run for run in passing if run.end == "right"]
    ends = Counter(run.end for run in runs)
    return Figures(
        passing=len(passing),
        recovered=len(recovered),
        lasting=len(lasting),
        ended_well=sum(run.well for run in lasting),
        ends={end: ends[end] for end in get_args(End) if ends[end]},
        done_twice=sum(run.done_twice for run in runs),
        extra_calls=_mean(run.calls for run in recovered),
        extra_tokens=_mean(run.tokens for run in recovered),
        extra_s=_mean(run.seconds for run in recovered),
    )


def _row(framework: str, hardened: bool, fault: str, runs: Sequence[FaultRun]) -> Row:
    return Row(
        framework=framework,
        hardened=hardened,
        fault=fault,
        figures=figures(runs),
        told=next((run.told for run in runs if run.told), ""),
        error=next((run.error for run in runs if run.end == "stopped"), ""),
    )


def _of(runs: Iterable[FaultRun], layer: Layer) -> list[FaultRun]:
    return [run for run in runs if BY_NAME[run.injected.fault].layer == layer]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(fmean(known)) if known else None


def as_data(found: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows for programs."""
    return [
        {"framework": row.framework, "hardened": row.hardened, "fault": row.fault}
        | asdict(row.figures)
        | {"told": row.told, "error": row.error}
        for row in found
    ]


def sentence(title: str, row: Total, every: Sequence[Row]) -> str:
    """What the runs of one framework come to, in words; `every` has the rows of all frameworks."""
    of = row.figures
    words = [f"{title} recovered from {of.recovered} of {of.passing} faults that passed"]
    if of.lasting:
        words[0] += f"; of {of.lasting} that did not, {of.ended_well} ended well"
    least, most = apart(row, every)
    if least:
        words.append(f"No other recovered as seldom from {_listed(least)}")
    if most:
        words.append(f"No other recovered as often from {_listed(most)}")
    if wrong := of.ends.get("wrong", 0):
        words.append(f"{_runs(wrong)} ended with a wrong answer, as if all were well")
    if hung := of.ends.get("hung", 0):
        words.append(f"{_runs(hung)} went on until the time limit")
    words.append(_twice(of.done_twice))
    return ". ".join(words) + "."


def apart(row: Total, every: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """The faults from which the framework recovered less often than any other one, and more often than any."""
    shares: dict[str, dict[str, float]] = {}
    own: dict[str, Row] = {}
    for one in every:
        if one.hardened == row.hardened and one.figures.share is not None:
            shares.setdefault(one.fault, {})[one.framework] = one.figures.share
            if one.framework == row.framework:
                own[one.fault] = one
    least, most = [], []
    for fault, one in own.items():
        share = shares[fault].pop(row.framework)
        others = shares[fault].values()
        if others and share < min(others):
            least.append(one)
        if others and share > max(others):
            most.append(one)
    return least, most


def _listed(found: Sequence[Row]) -> str:
    named = [f"{row.fault} ({row.figures.recovered} of {row.figures.passing})" for row in found]
    return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def _twice(number: int) -> str:
    if number == 0:
        return "No side effect was done twice"
    return "1 side effect was done twice" if number == 1 else f"{number} side effects were done twice"
