"""Frameworks beside one another: who recovers from more of the faults that pass.

A fault in a case that was drawn for it is what cases are elsewhere: of the runs with it that both have, at its places
in the case, the share that recovered is compared. Neither the faults nor their weights are a sample of what happens in
anybody's production: a difference is one on this table of faults.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from evaluator.analysis.faults.judged import FaultRun
from evaluator.analysis.metrics import rounded
from evaluator.analysis.pairs import Verdict, corrected, verdict
from evaluator.catalog.frameworks import baseline_first
from evaluator.stats.paired import UNIT, constant_share_interval, in_units, mean_intervals, sign_flip_p_values

Variant = tuple[str, bool]
"""A framework, and whether it is its `hardened` modules."""

Draw = tuple[str, str, str, str]
"""Fault, strength, task and case."""

_Recovered = Mapping[Draw, Mapping[str, bool]]
"""Of each draw, by place, whether the run recovered."""


@dataclass(frozen=True)
class FaultPair:
    """`framework` beside `against`, each with its `hardened` modules or not.

    `difference` is the share of runs that `framework` recovers from more, with its 95 % interval over the `draws`;
    `runs` is how many runs both have. `p` is the sign-flip test's over the draws, `p_holm` the same after Holm's
    correction over all pairs of its kind, None where the test could show nothing.
    """

    framework: str
    hardened: bool
    against: str
    against_hardened: bool
    draws: int
    runs: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float | None
    verdict: Verdict


def compare(runs: Iterable[FaultRun]) -> list[FaultPair]:
    """Every two frameworks as they come, and each framework's `hardened` modules beside those that are not.

    The two kinds of pairs are questions apart, and are corrected apart.
    """
    recovered: dict[Variant, dict[Draw, dict[str, bool]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        if (injected := run.injected).strength != "always":
            draw = injected.fault, injected.strength, run.task, run.case
            recovered[run.framework, run.hardened][draw][injected.place] = run.end == "right"
    names = sorted({name for name, hardened in recovered if not hardened}, key=baseline_first)
    as_they_come = [((other, False), (one, False)) for one, other in combinations(names, 2)]
    own_means = [((name, True), (name, False)) for name in names if (name, True) in recovered]
    return [*_judged(as_they_come, recovered), *_judged(own_means, recovered)]


def _judged(pairs: Iterable[tuple[Variant, Variant]], recovered: Mapping[Variant, _Recovered]) -> list[FaultPair]:
    both = [(*pair, *_differences(*(recovered[one] for one in pair))) for pair in pairs]
    if not (both := [one for one in both if one[2]]):
        return []
    columns = [differences for _, _, differences, _ in both]
    p_values = sign_flip_p_values(columns)
    p_holm, _ = corrected(p_values, [len(column) if any(column) else 0 for column in columns])
    return [
        FaultPair(
            framework=one[0],
            hardened=one[1],
            against=other[0],
            against_hardened=other[1],
            draws=len(column),
            runs=runs,
            difference=rounded(sum(column) / len(column) * UNIT),
            low=rounded(interval[0] * UNIT),
            high=rounded(interval[1] * UNIT),
            p=rounded(p),
            p_holm=None if of_family is None else rounded(of_family),
            verdict=verdict(sum(column) / len(column), of_family, None),
        )
        for (one, other, column, runs), p, of_family, interval in zip(
            both, p_values, p_holm, _intervals(columns), strict=True
        )
    ]


def _differences(one: _Recovered, other: _Recovered) -> tuple[list[int], int]:
    """The difference of each draw, over the places that both have, in units; and how many runs that are."""
    differences: list[float] = []
    runs = 0
    for draw in sorted(one.keys() & other.keys()):
        if places := one[draw].keys() & other[draw].keys():
            differences.append(sum(one[draw][place] - other[draw][place] for place in places) / len(places))
            runs += len(places)
    return in_units(differences), runs


def _intervals(columns: Sequence[list[int]]) -> list[tuple[float, float]]:
    """The interval of each column's mean, in units."""
    drawn = mean_intervals(columns)
    return [
        constant_share_interval(column[0], len(column)) if len(set(column)) == 1 else interval
        for column, interval in zip(columns, drawn, strict=True)
    ]
