"""Frameworks compared in pairs, on the same cases and trials: how far apart, how sure, and what is a tie.

All comparisons on one model are one family for Holm's correction, so in all of them together a
difference is claimed where there is none in at most 5 % of all experiments.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_letters
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluator.discovery import BASELINE, baseline_first
from evaluator.metrics import GradedRun, rounded
from evaluator.paired_statistics import (
    ALPHA,
    UNIT,
    can_show,
    cases_needed,
    constant_share_interval,
    holm,
    in_units,
    mean_intervals,
    sign_flip_p_values,
    smallest_detectable,
    standard_deviation,
)

Verdict = Literal["higher", "lower", "tie"]


@dataclass(frozen=True)
class Compared:
    """A metric in which frameworks are compared, run by run.

    With `relative` the difference is that of the geometric means, as a share of the other's: 0.25 is
    25 % more. Else it is the plain difference, here of shares: 0.25 is 25 points.
    """

    name: str
    title: str
    relative: bool
    better: Literal["lower", "higher"]
    read: Callable[[GradedRun], float | None]


PASS_RATE = Compared("pass_rate", "pass rate", False, "higher", lambda run: float(run.passed))

COMPARED = (
    PASS_RATE,
    Compared("score", "score", False, "higher", lambda run: run.score),
    Compared("wall_s", "wall time", True, "lower", lambda run: run.wall_s),
    Compared("overhead_s", "overhead", True, "lower", lambda run: run.split.overhead_s),
    Compared(
        "tokens",
        "tokens",
        True,
        "lower",
        lambda run: (
            None
            if run.prompt_tokens is None or run.completion_tokens is None
            else run.prompt_tokens + run.completion_tokens
        ),
    ),
)


@dataclass(frozen=True)
class Pair:
    """`framework` beside another one, `against`, on one model; with `task` None over all tasks.

    `difference` with its 95 % interval is shares or relative, as the metric says. `runs` is
    how many runs of the same case and trial both have; differences are averaged over the trials of a
    case first. `p` is the sign-flip test's, `p_holm` the same after Holm's correction, None where so
    few cases can show nothing and so are left out of it. `detectable`
    is the smallest difference that so many cases show in 80 % of all experiments, None where they
    are too few to show any. `noise_floor` is what chance makes of so many trials, judged by how much
    the baseline's trials differ among themselves, None where it has but one. A difference that is not
    significant, or not above the floor, is a tie.
    """

    model: str
    task: str | None
    metric: str
    framework: str
    against: str
    cases: int
    runs: int
    difference: float
    low: float | None
    high: float | None
    p: float
    p_holm: float | None
    detectable: float | None
    noise_floor: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Table:
    """What is compared on one model: a value for each of `COMPARED`, framework, case and trial.

    `tasks` has the task of each case. A value is NaN where there is none; of a relative metric it is the
    logarithm, so that differences are ratios.
    """

    frameworks: tuple[str, ...]
    tasks: tuple[str, ...]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, runs: Sequence[GradedRun]) -> "Table":
        """The values of all runs."""
        frameworks = sorted({run.key.framework for run in runs}, key=baseline_first)
        cases = sorted({(run.key.task, run.key.case) for run in runs})
        trials = sorted({run.key.trial for run in runs})
        places = [{name: i for i, name in enumerate(names)} for names in (frameworks, cases, trials)]
        values = np.full((len(COMPARED), len(frameworks), len(cases), len(trials)), np.nan)
        for run in runs:
            key = run.key
            place = places[0][key.framework], places[1][key.task, key.case], places[2][key.trial]
            for number, compared in enumerate(COMPARED):
                value = compared.read(run)
                if value is not None and not compared.relative:
                    values[number, *place] = value
                elif value is not None and value > 0:
                    values[number, *place] = math.log(value)
        return cls(tuple(frameworks), tuple(task for task, _ in cases), values)

    @property
    def scopes(self) -> tuple[str | None, ...]:
        """All tasks together, and each where there are several."""
        tasks = sorted(set(self.tasks))
        return (None, *(tasks if len(tasks) > 1 else ()))

    def differences(self, task: str | None, compared: Compared, framework: str, against: str) -> "Differences":
        """What `framework` has more than `against`, case by case."""
        values = self._of(task, compared)
        return _by_case(values[self.frameworks.index(framework)] - values[self.frameworks.index(against)])

    def halves_of_the_baseline(self, task: str | None, compared: Compared) -> "Differences":
        """What the second, fourth, … trial of the baseline has more than the one before it."""
        if BASELINE not in self.frameworks:
            return Differences([], 0)
        values = self._of(task, compared)[self.frameworks.index(BASELINE)]
        halves = values.shape[1] // 2 * 2
        return _by_case(values[:, 1:halves:2] - values[:, 0:halves:2])

    def _of(self, task: str | None, compared: Compared) -> NDArray[np.float64]:
        chosen = [i for i, of_task in enumerate(self.tasks) if task in (None, of_task)]
        values: NDArray[np.float64] = self.values[COMPARED.index(compared)][:, chosen]
        return values


@dataclass(frozen=True)
class Differences:
    """One difference a case, in units, and of how many pairs of runs."""

    cases: list[int]
    pairs: int

    @property
    def trials(self) -> float:
        """The mean number of pairs of a case."""
        return self.pairs / len(self.cases)


def compare(runs: Iterable[GradedRun]) -> list[Pair]:
    """All comparisons of the runs on one model: every two frameworks, over all tasks and in each.

    They are sorted by task (all first), metric, and the two frameworks.
    """
    every = list(runs)
    return compare_table(every[0].key.model, Table.of(every)) if every else []


def compare_table(model: str, table: Table) -> list[Pair]:
    """The same of what is in a table already."""
    asked = [
        (scope, compared, framework, against)
        for scope in table.scopes
        for compared in COMPARED
        for against, framework in combinations(table.frameworks, 2)
    ]
    columns = [table.differences(*one) for one in asked]
    kept = [(one, column) for one, column in zip(asked, columns, strict=True) if column.cases]
    p_values = sign_flip_p_values([column.cases for _, column in kept])
    able = can_show([len(column.cases) for _, column in kept])
    in_family = iter(holm([p for p, can in zip(p_values, able, strict=True) if can]))
    adjusted = [next(in_family) if can else None for can in able]
    intervals = _intervals([(one[1], column.cases) for one, column in kept])
    chance = {
        (scope, compared): by_chance(table.halves_of_the_baseline(scope, compared))
        for scope, compared in dict.fromkeys(one[:2] for one, _ in kept)
    }
    return [
        _pair(model, one, column, interval, (p, p_holm), sum(able), chance[one[:2]])
        for (one, column), interval, p, p_holm in zip(kept, intervals, p_values, adjusted, strict=True)
    ]


_Asked = tuple[str | None, Compared, str, str]


def _by_case(differences: NDArray[np.float64]) -> Differences:
    known = ~np.isnan(differences)
    pairs = known.sum(axis=1)
    sums = np.where(known, differences, 0.0).sum(axis=1)
    return Differences([in_units(float(s / n)) for s, n in zip(sums, pairs, strict=True) if n], int(pairs.sum()))


def _intervals(columns: Sequence[tuple[Compared, list[int]]]) -> list[tuple[float, float] | None]:
    """The interval of each column, in units; None where one case is all that a relative difference has."""
    intervals: list[tuple[float, float] | None] = [*mean_intervals([column for _, column in columns])]
    for position, (compared, column) in enumerate(columns):
        if not compared.relative and len(set(column)) == 1:
            intervals[position] = constant_share_interval(column[0], len(column))
        elif len(column) == 1:
            intervals[position] = None
    return intervals


def by_chance(halves: Differences) -> float | None:
    """How far apart two frameworks with one trial a case seem to be where there is nothing to find, in units.

    The baseline's even trials beside its odd ones: the end of the 95 % interval that is farther from
    zero, and larger than that of more trials by the square root of their number, as the error of any
    mean. None where the baseline has but one trial.
    """
    if not halves.cases:
        return None
    [(low, high)] = mean_intervals([halves.cases])
    return max(abs(low), abs(high)) * math.sqrt(halves.trials)


def _pair(
    model: str,
    asked: _Asked,
    column: Differences,
    interval: tuple[float, float] | None,
    p_values: tuple[float, float | None],
    tests: int,
    chance: float | None,
) -> Pair:
    scope, compared, framework, against = asked

    def shown(units: float) -> float:
        return rounded(math.expm1(units * UNIT) if compared.relative else units * UNIT)

    mean = sum(column.cases) / len(column.cases)
    difference = shown(mean)
    p, p_holm = rounded(p_values[0]), None if p_values[1] is None else rounded(p_values[1])
    floor = None if chance is None else shown(chance / math.sqrt(column.trials))
    return Pair(
        model=model,
        task=scope,
        metric=compared.name,
        framework=framework,
        against=against,
        cases=len(column.cases),
        runs=column.pairs,
        difference=difference,
        low=None if interval is None else shown(interval[0]),
        high=None if interval is None else shown(interval[1]),
        p=p,
        p_holm=p_holm,
        detectable=None if p_holm is None else _detectable(compared, column, tests),
        noise_floor=floor,
        verdict=verdict(difference, p_holm, floor),
    )


def _detectable(compared: Compared, column: Differences, tests: int) -> float | None:
    if len(column.cases) < 2:
        return None
    units = smallest_detectable(standard_deviation(column.cases), len(column.cases), tests)
    if units is None:
        return None
    if compared.relative:
        return rounded(math.expm1(units * UNIT))
    # However little the cases vary, as many as the test needs must differ: in a pass rate each by a trial at least.
    if compared.name == "pass_rate" or units == 0:
        return rounded(max(units * UNIT, cases_needed(tests) / len(column.cases) / column.trials))
    return rounded(units * UNIT)


def letters(ordered: Sequence[str], differing: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters such that two names have one in common exactly if they are no pair of `differing`.

    The first name has an `a`. Insert and absorb, from Piepho, "An Algorithm for a Letter-Based
    Representation of All-Pairwise Comparisons", Journal of Computational and Graphical Statistics
    13 (2004).
    """
    groups = {frozenset(ordered)}
    for pair in differing:
        split = {group - {name} if group.issuperset(pair) else group for group in groups for name in pair}
        groups = {group for group in split if not any(group < other for other in split)}
    place = {name: i for i, name in enumerate(ordered)}
    in_order = sorted(groups, key=lambda group: sorted(place[name] for name in group))
    named = list(zip(ascii_letters, in_order, strict=False))
    return {name: "".join(letter for letter, group in named if name in group) for name in ordered}


def verdict(difference: float, p_holm: float | None, floor: float | None) -> Verdict:
    """What may be said of a difference."""
    if p_holm is None or p_holm > ALPHA or (floor is not None and abs(difference) <= floor):
        return "tie"
    return "higher" if difference > 0 else "lower"
