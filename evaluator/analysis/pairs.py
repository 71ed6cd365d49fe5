"""Frameworks compared in pairs, on the same cases and trials: how far apart, how sure, and what is a tie.

Times are compared only between runs of one sitting.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    share_needed,
    sign_flip_p_values,
    smallest_detectable,
    standard_deviation,
)

Verdict = Literal["higher", "lower", "tie"]


@dataclass(frozen=True)
class Compared:
    """A metric in which frameworks are compared, run by run.

    With `relative` the difference is that of the geometric means, as a share of the other's: 0.25 is
    25 % more. Else it is the plain difference, here of shares from 0 to 1: 0.25 is 25 points. With `of_time` only runs
    of the same sitting compare.
    """

    name: str
    title: str
    relative: bool
    better: Literal["lower", "higher"]
    read: Callable[[GradedRun], float | None]
    of_time: bool = False


PASS_RATE = Compared("pass_rate", "pass rate", False, "higher", lambda run: float(run.passed))

COMPARED = (
    PASS_RATE,
    Compared("score", "score", False, "higher", lambda run: run.score),
    Compared("wall_s", "wall time", True, "lower", lambda run: run.wall_s, of_time=True),
    Compared("overhead_s", "overhead", True, "lower", lambda run: run.split.overhead_s, of_time=True),
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
    runs of the same case and trial both have, of times of the same sitting, too; differences are averaged over the
    trials of a case first. `p` is the sign-flip test's, `p_holm` the same after Holm's correction, None where the
    test could show nothing and so is in no family (`corrected`). `detectable` is the smallest difference that is found
    in 80 % of all experiments: so many cases show it, and it is seen above the noise floor; None where the test is in
    no family. `noise_floor` is what chance makes of so many trials, judged by how much the baseline's trials differ
    among themselves, of times those of one sitting; None where it has but one. A difference that is not significant,
    or not above the floor, is a tie; relative ones are held against it by their logarithms, so that it does not matter
    which is first.
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
    logarithm, so that differences are ratios. `sittings` has the number of the sitting of each framework, case and
    trial.
    """

    frameworks: tuple[str, ...]
    tasks: tuple[str, ...]
    values: NDArray[np.float64]
    sittings: NDArray[np.int64]

    @classmethod
    def of_runs(cls, runs: Sequence[GradedRun]) -> "Table":
        """The values of all runs."""
        frameworks = sorted({run.key.framework for run in runs}, key=baseline_first)
        cases = sorted({(run.key.task, run.key.case) for run in runs})
        trials = sorted({run.key.trial for run in runs})
        places = [{name: i for i, name in enumerate(names)} for names in (frameworks, cases, trials)]
        values = np.full((len(COMPARED), len(frameworks), len(cases), len(trials)), np.nan)
        sittings = np.zeros(values.shape[1:], np.int64)
        numbers = {name: i for i, name in enumerate(dict.fromkeys(run.sitting for run in runs))}
        for run in runs:
            key = run.key
            place = places[0][key.framework], places[1][key.task, key.case], places[2][key.trial]
            sittings[place] = numbers[run.sitting]
            for number, compared in enumerate(COMPARED):
                value = compared.read(run)
                if value is not None and not compared.relative:
                    values[number, *place] = value
                elif value is not None and value > 0:
                    values[number, *place] = math.log(value)
        return cls(tuple(frameworks), tuple(task for task, _ in cases), values, sittings)

    @property
    def scopes(self) -> tuple[str | None, ...]:
        """All tasks together, and each where there are several."""
        tasks = sorted(set(self.tasks))
        return (None, *(tasks if len(tasks) > 1 else ()))

    def of(self, task: str | None, compared: Compared) -> dict[str, "Measured"]:
        """One metric in one scope, for each framework."""
        chosen = [i for i, of_task in enumerate(self.tasks) if task in (None, of_task)]
        values = self.values[COMPARED.index(compared)][:, chosen]
        sittings = self.sittings[:, chosen] if compared.of_time else np.zeros(values.shape, np.int64)
        return {name: Measured(*both) for name, *both in zip(self.frameworks, values, sittings, strict=True)}


@dataclass(frozen=True)
class Measured:
    """The values of one framework, case × trial, and the sittings within which they compare."""

    values: NDArray[np.float64]
    sittings: NDArray[np.int64]

    def less(self, other: "Measured") -> "Differences":
        """By how much it is above the other, case by case."""
        return _by_case(np.where(self.sittings == other.sittings, self.values - other.values, np.nan))

    def all_same(self, other: "Measured") -> bool:
        """Whether every value of both is 1, or every one 0."""
        known = np.concatenate([one.values[~np.isnan(one.values)] for one in (self, other)])
        return bool(np.all(known == 0) or np.all(known == 1))


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

    `tests` is how many are corrected for together; `p_holm` is None where this is none of them. `floor` is the
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


@dataclass(frozen=True)
class _Column:
    """Two frameworks in one metric and scope; `can_differ` is false where every run of both passed, or failed."""

    task: str | None
    compared: Compared
    framework: str
    against: str
    differences: Differences
    can_differ: bool
    floor: float | None


def judge(table: Table) -> list[Judged]:
    """The same without what takes longest, the intervals."""
    scopes = [(task, compared) for task in table.scopes for compared in COMPARED]
    measured = [table.of(*scope) for scope in scopes]
    chance = by_chance([values.get(BASELINE) for values in measured])
    columns = [
        column
        for scope, values, of_one_trial in zip(scopes, measured, chance, strict=True)
        for column in _columns(*scope, values, of_one_trial)
    ]
    p_values = sign_flip_p_values([column.differences.cases for column in columns])
    found: dict[int, Judged] = {}
    for compared in COMPARED:
        family = [number for number, column in enumerate(columns) if column.compared is compared]
        p_holm, tests = corrected(
            [p_values[number] for number in family],
            [len(columns[number].differences.cases) if columns[number].can_differ else 0 for number in family],
        )
        for number, of_family in zip(family, p_holm, strict=True):
            one = columns[number]
            found[number] = Judged(
                task=one.task,
                compared=compared,
                framework=one.framework,
                against=one.against,
                differences=one.differences,
                p=p_values[number],
                p_holm=of_family,
                tests=tests,
                floor=one.floor,
            )
    return [found[number] for number in range(len(columns))]


def _columns(
    task: str | None, compared: Compared, measured: Mapping[str, Measured], of_one_trial: float | None
) -> Iterator[_Column]:
    for against, framework in combinations(measured, 2):
        differences = measured[framework].less(measured[against])
        if differences.cases:
            floor = None if of_one_trial is None else of_one_trial / math.sqrt(differences.trials)
            can_differ = compared.relative or not measured[framework].all_same(measured[against])
            yield _Column(task, compared, framework, against, differences, can_differ, floor)


def corrected(p_values: Sequence[float], cases: Sequence[int]) -> tuple[list[float | None], int]:
    """Holm's correction of one family of tests, None for those that are not in it, and how many are.

    A family is what one column of the scorecard asks: all pairs of frameworks, over all tasks and in each, in one
    metric on one model. So in each column a difference is claimed where there is none in at most 5 % of all
    experiments. Metrics are apart, since each is a question of its own, to which a reader wants an answer whatever else
    was measured: in one family with tokens and times, every metric added would make the pass rates blunter. Models are
    apart, since another model must not change what is said of this one. The price is that of several metrics in which
    there is nothing to find, each has its own 5 %.

    Tests that can come to nothing are in no family, for they would cost the others and could claim nothing themselves:
    those of fewer cases than a test of that family needs (`can_show`), and those of pass rates and scores where every
    run of both frameworks has 1, or every one 0 (`cases` is 0 then).
    """
    able = can_show(cases)
    in_family = iter(holm([p for p, can in zip(p_values, able, strict=True) if can]))
    return [next(in_family) if can else None for can in able], sum(able)


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


def by_chance(baselines: Sequence[Measured | None]) -> list[float | None]:
    """How far apart two frameworks with one trial a case seem to be where there is nothing to find, in units.

    For each of the baseline's values its even trials beside its odd ones, counted within a sitting: the end of the 95 %
    interval that is farther from zero, and larger than that of more trials by the square root of their number, as the
    error of any mean. None where the baseline has but one trial. It may have more of them than other frameworks.
    """
    halves = [None if baseline is None else _by_case(_halves(baseline)) for baseline in baselines]
    intervals = iter(mean_intervals([half.cases for half in halves if half and half.cases]))
    return [max(map(abs, next(intervals))) * math.sqrt(half.trials) if half and half.cases else None for half in halves]


def _halves(baseline: Measured) -> NDArray[np.float64]:
    """The second trial of each sitting less the first, the fourth less the third, …: a row for each case."""
    columns = [column for sitting in np.unique(baseline.sittings) for column in _halves_of(baseline, sitting)]
    return np.stack(columns, axis=1)


def _halves_of(baseline: Measured, sitting: np.int64) -> Iterator[NDArray[np.float64]]:
    there = ~np.isnan(baseline.values) & (baseline.sittings == sitting)
    number = np.cumsum(there, axis=1)

    def trial(wanted: int) -> NDArray[np.float64]:
        found = there & (number == wanted)
        values: NDArray[np.float64] = np.where(found, baseline.values, 0.0).sum(axis=1)
        return np.where(found.any(axis=1), values, np.nan)

    for first in range(1, max(number.shape[1], 2), 2):
        yield trial(first + 1) - trial(first)


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
        detectable=None if judged.p_holm is None else _detectable(compared, differences, judged.tests, judged.floor),
        noise_floor=None if judged.floor is None else shown(judged.floor),
        verdict=judged.verdict,
    )


def _detectable(compared: Compared, differences: Differences, tests: int, floor: float | None) -> float | None:
    cases, deviation = len(differences.cases), standard_deviation(differences.cases)
    units = smallest_detectable(deviation, cases, tests, floor or 0.0)
    if units is None:
        return None
    if compared.relative:
        return rounded(math.expm1(units * UNIT))
    # However little the cases vary, as many as the test needs must differ, in a pass rate each by a trial at least.
    if compared.name == PASS_RATE.name or deviation == 0:
        beyond_floor = math.floor((floor or 0.0) * UNIT * cases) + 1
        share = share_needed(min(max(cases_needed(tests), beyond_floor), cases), cases)
        return rounded(max(units * UNIT, 1 - (1 - share) ** (1 / differences.trials)))
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
