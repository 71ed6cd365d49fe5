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

from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.metrics import rounded
from evaluator.catalog.frameworks import BASELINE, baseline_first
from evaluator.stats.paired import (
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
    Compared("wall_s", "wall time", True, "lower", lambda run: run.wall_s if run.timed else None),
    Compared("overhead_s", "overhead", True, "lower", lambda run: run.split.overhead_s if run.timed else None),
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

    `difference` with its 95 % interval is shares or relative, as the metric says. `runs` is how many
    runs of the same case and trial both have; differences are averaged over the trials of a case first.
    `p` is the sign-flip test's, `p_holm` the same after Holm's correction, None where so few cases can
    show nothing and so are left out of it. `detectable` is the smallest difference that so many cases
    show in 80 % of all experiments, None where they are too few to show any. `noise_floor` is what
    chance makes of so many trials, judged by how much the baseline's trials differ among themselves,
    None where it has but one. A difference that is not significant, or not above the floor, is a tie;
    relative ones are held against it by their logarithms, so that it does not matter which is first.
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
    def of_runs(cls, runs: Sequence[GradedRun]) -> "Table":
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

    def of(self, task: str | None, compared: Compared) -> NDArray[np.float64]:
        """One metric in one scope: framework × case × trial."""
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

    @property
    def mean(self) -> float:
        """In units."""
        return sum(self.cases) / len(self.cases)


@dataclass(frozen=True)
class Judged:
    """Two frameworks in one metric and scope, and what may be said of them.

    `tests` is how many are corrected for; `p_holm` is None where this is none of them. `floor` is the
    noise floor in units.
    """

    task: str | None
    compared: Compared
    framework: str
    against: str
    differences: Differences
    p: float
    p_holm: float | None
    tests: int
    floor: float | None

    @property
    def verdict(self) -> Verdict:
        """Of the framework beside the other."""
        return verdict(self.differences.mean, self.p_holm, self.floor)


def compare(runs: Iterable[GradedRun]) -> list[Pair]:
    """All comparisons of the runs on one model: every two frameworks, over all tasks and in each.

    They are sorted by task (all first), metric, and the two frameworks.
    """
    every = list(runs)
    if not every:
        return []
    judged = judge(Table.of_runs(every))
    intervals = _intervals([(one.compared, one.differences.cases) for one in judged])
    return [_pair(every[0].key.model, *both) for both in zip(judged, intervals, strict=True)]


def judge(table: Table) -> list[Judged]:
    """The same without what takes longest, the intervals."""
    columns: list[tuple[str | None, Compared, str, str, Differences]] = []
    chance: dict[tuple[str | None, str], float | None] = {}
    for task in table.scopes:
        for compared in COMPARED:
            values = dict(zip(table.frameworks, table.of(task, compared), strict=True))
            chance[task, compared.name] = by_chance(values.get(BASELINE))
            for against, framework in combinations(table.frameworks, 2):
                differences = _by_case(values[framework] - values[against])
                if differences.cases:
                    columns.append((task, compared, framework, against, differences))
    p_values = sign_flip_p_values([column[-1].cases for column in columns])
    able = can_show([len(column[-1].cases) for column in columns])
    in_family = iter(holm([p for p, can in zip(p_values, able, strict=True) if can]))
    judged = []
    for (task, compared, framework, against, differences), p, can in zip(columns, p_values, able, strict=True):
        of_one_trial = chance[task, compared.name]
        floor = None if of_one_trial is None else of_one_trial / math.sqrt(differences.trials)
        p_holm = next(in_family) if can else None
        judged.append(Judged(task, compared, framework, against, differences, p, p_holm, sum(able), floor))
    return judged


def _by_case(differences: NDArray[np.float64]) -> Differences:
    """The mean over trials, case by case; a case without any is left out."""
    known = ~np.isnan(differences)
    pairs = known.sum(axis=1)
    sums = np.where(known, differences, 0.0).sum(axis=1)[pairs > 0]
    return Differences(in_units(sums / pairs[pairs > 0]), int(pairs.sum()))


def _intervals(columns: Sequence[tuple[Compared, list[int]]]) -> list[tuple[float, float] | None]:
    """The interval of each column, in units; None where one case is all that a relative difference has."""
    intervals: list[tuple[float, float] | None] = [*mean_intervals([column for _, column in columns])]
    for position, (compared, column) in enumerate(columns):
        if not compared.relative and len(set(column)) == 1:
            intervals[position] = constant_share_interval(column[0], len(column))
        elif len(column) == 1:
            intervals[position] = None
    return intervals


def by_chance(baseline: NDArray[np.float64] | None) -> float | None:
    """How far apart two frameworks with one trial a case seem to be where there is nothing to find, in units.

    The even trials of the baseline (case × trial) beside its odd ones: the end of the 95 % interval that
    is farther from zero, and larger than that of more trials by the square root of their number, as the
    error of any mean. None where the baseline has but one trial.
    """
    if baseline is None:
        return None
    trials = baseline.shape[1] // 2 * 2
    halves = _by_case(baseline[:, 1:trials:2] - baseline[:, 0:trials:2])
    if not halves.cases:
        return None
    [(low, high)] = mean_intervals([halves.cases])
    return max(abs(low), abs(high)) * math.sqrt(halves.trials)


def _pair(model: str, judged: Judged, interval: tuple[float, float] | None) -> Pair:
    compared, differences = judged.compared, judged.differences

    def shown(units: float) -> float:
        return rounded(math.expm1(units * UNIT) if compared.relative else units * UNIT)

    return Pair(
        model=model,
        task=judged.task,
        metric=compared.name,
        framework=judged.framework,
        against=judged.against,
        cases=len(differences.cases),
        runs=differences.pairs,
        difference=shown(differences.mean),
        low=None if interval is None else shown(interval[0]),
        high=None if interval is None else shown(interval[1]),
        p=rounded(judged.p),
        p_holm=None if judged.p_holm is None else rounded(judged.p_holm),
        detectable=None if judged.p_holm is None else _detectable(compared, differences, judged.tests),
        noise_floor=None if judged.floor is None else shown(judged.floor),
        verdict=judged.verdict,
    )


def _detectable(compared: Compared, differences: Differences, tests: int) -> float | None:
    cases = len(differences.cases)
    units = smallest_detectable(standard_deviation(differences.cases), cases, tests)
    if units is None:
        return None
    if compared.relative:
        return rounded(math.expm1(units * UNIT))
    # However little the cases vary, as many as the test needs must differ: in a pass rate each by a trial at least.
    if compared.name == "pass_rate" or units == 0:
        return rounded(max(units * UNIT, cases_needed(tests) / cases / differences.trials))
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
