"""Comparing pairs: tests, intervals and power for one difference a case. Pure functions.

Differences are whole numbers here (`in_units`). Sums of whole numbers below 2^53 are exact in
floating point whatever the order of adding, so every machine gives the same result to the last bit,
and two sums that are equal compare as equal, which is what a permutation test stands on.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evaluator.stats.intervals import DRAWS_AT_ONCE, SEED, times_drawn, wilson_interval

UNIT = 1 / 720_720
"""The grain of a difference; 720,720 can be divided by every number of trials up to 16."""

ALPHA = 0.05
POWER = 0.8

_EXACT_CASES = 16
"""Up to so many cases that differ, every combination of signs is tried."""

_FIRST_FLIPS = 2**12
_MORE_FLIPS = 2**16
_WORTH_MORE = 0.02
"""A p-value above it, seen in the first flips, is far enough from small."""

_COLUMNS_AT_ONCE = 128
"""Resampled together; each takes 80 kB for its sums."""


def in_units(differences: Sequence[float] | NDArray[np.float64]) -> list[int]:
    """Differences as whole numbers of `UNIT`."""
    return [int(number) for number in np.rint(np.asarray(differences, np.float64) / UNIT)]


# --- tests -----------------------------------------------------------------------------------


def sign_flip_p_values(columns: Sequence[Sequence[int]]) -> list[float]:
    """For each column of one difference a case: the two-sided p-value of "on average there is none".

    A paired randomisation test over cases (Fisher, "The Design of Experiments" (1935), section 21):
    if it made no difference which of two frameworks had a case, its difference could as well have
    the other sign. The p-value is the share of sign patterns that make the sum at least as far from
    zero. It needs no normal distribution and no large number of cases. For passed or failed in one
    trial it is McNemar's exact test.

    Up to 16 cases that differ it is exact. Beyond, patterns are drawn (seeded) and the p-value is
    (b + 1) / (m + 1) for b of m patterns (Phipson and Smyth, "Permutation P-values Should Never Be
    Zero", Statistical Applications in Genetics and Molecular Biology 9 (2010)): m = 4,095, and
    65,535 where these leave it at 0.02 or below. A column without a case has the p-value 1.
    """
    p_values = [1.0] * len(columns)
    drawn: dict[int, list[int]] = {}
    for position, column in enumerate(columns):
        differing = [abs(value) for value in column if value]
        if len(differing) <= _EXACT_CASES:
            p_values[position] = _exact_sign_flips(differing, abs(sum(column)))
        else:
            drawn.setdefault(len(column), []).append(position)
    for cases, positions in drawn.items():
        for flips in (_FIRST_FLIPS, _MORE_FLIPS):
            wanted = [p for p in positions if flips == _FIRST_FLIPS or p_values[p] <= _WORTH_MORE]
            if wanted:
                matrix = np.array([columns[p] for p in wanted], np.float64).T
                for p, value in zip(wanted, _drawn_sign_flips(matrix, cases, flips - 1), strict=True):
                    p_values[p] = value
    return p_values


def _exact_sign_flips(sizes: Sequence[int], seen: int) -> float:
    sums = np.zeros(1, np.int64)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return float(np.mean(np.abs(sums) >= seen))


def _drawn_sign_flips(matrix: NDArray[np.float64], cases: int, flips: int) -> list[float]:
    seen = np.abs(matrix.sum(axis=0))
    as_far = np.zeros(matrix.shape[1], np.int64)
    generator = np.random.PCG64(SEED)
    at_once = max(1, DRAWS_AT_ONCE // max(matrix.shape))
    for start in range(0, flips, at_once):
        rows = min(at_once, flips - start)
        words = generator.random_raw(rows * -(-cases // 64))
        bits = np.unpackbits(words.astype("<u8").view(np.uint8)).reshape(rows, -1)[:, :cases]
        as_far += (np.abs((bits * 2.0 - 1.0) @ matrix) >= seen).sum(axis=0)
    return [(int(count) + 1) / (flips + 1) for count in as_far]


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for there being many: at or below 0.05 none is wrong, in 95 % of all families.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6 (1979). It holds whatever the dependence between the tests.
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = largest
    return adjusted


def can_show(cases: Sequence[int]) -> list[bool]:
    """Which of several tests, of so many cases each, can find anything; the others are left out of Holm's correction.

    Tarone, "A Modified Bonferroni Method for Discrete Data", Biometrics 46 (1990): the largest
    family of which each could come out below 0.05 / its size. A test that could not, whatever the runs
    say, costs the others nothing. How many cases there are is known beforehand, so nothing is chosen
    by what came out.
    """
    needed = cases_needed(1)
    while True:
        able = [number >= needed for number in cases]
        if cases_needed(max(sum(able), 1)) <= needed:
            return able
        needed += 1


# --- intervals -------------------------------------------------------------------------------


def mean_intervals(columns: Sequence[Sequence[int]]) -> list[tuple[float, float]]:
    """The 95 % interval of each column's mean, in units; columns have at least one case.

    The cluster bootstrap of `evaluator.stats.intervals.pass_rate_interval`: whole cases are drawn with
    replacement, and the interval is the 2.5th and 97.5th percentile of the means drawn.
    """
    intervals: list[tuple[float, float]] = [(0.0, 0.0)] * len(columns)
    of_length: dict[int, list[int]] = {}
    for position, column in enumerate(columns):
        of_length.setdefault(len(column), []).append(position)
    for cases, positions in of_length.items():
        for start in range(0, len(positions), _COLUMNS_AT_ONCE):
            some = positions[start : start + _COLUMNS_AT_ONCE]
            matrix = np.array([columns[position] for position in some], np.float64).T
            sums = np.concatenate([drawn @ matrix for drawn in times_drawn(cases)])
            by_column = np.ascontiguousarray(sums.T)  # which takes a third of the time
            ends = np.percentile(by_column, [2.5, 97.5], axis=1, method="linear") / cases
            for position, low, high in zip(some, *ends, strict=True):
                intervals[position] = float(low), float(high)
    return intervals


def constant_share_interval(difference: int, cases: int) -> tuple[float, float]:
    """The 95 % interval of a mean difference of shares, in [-1, 1], that all cases have alike, in units.

    There every draw of the bootstrap is alike, and it would claim certainty. As many cases may be
    otherwise as Wilson's interval says of a proportion never seen in so many, as far as can be.
    """
    same, otherwise = difference * UNIT, wilson_interval(0, cases)[1]
    return (same - otherwise * (1 + same)) / UNIT, (same + otherwise * (1 - same)) / UNIT


# --- power -----------------------------------------------------------------------------------


def smallest_detectable(deviation: float, cases: int, tests: int, floor: float = 0.0) -> float | None:
    """The mean difference that is found in 80 % of all experiments; None where so few cases can show none.

    `deviation` is the standard deviation of the differences over cases; the difference and the noise `floor` come in
    the same unit. A difference is found if the test says so and it is seen above the floor: both take it beyond a
    limit, and the farther limit counts. For the test it is solved from Guenther's formula for the sample size of a
    t-test ("Sample Size Formulas for Normal Theory T Tests", The American Statistician 35 (1981)),
    n = (z_a + z_b)² s²/d² + z_a²/2, with z_a for the first and strictest step of Holm's procedure over `tests` tests;
    for the floor it is floor + z_b s/√n. A sign-flip test can find nothing unless 2 / 2^cases is below that step.
    """
    z, z_power = _limit(tests), NormalDist().inv_cdf(POWER)
    if cases < cases_needed(tests) or cases <= z**2 / 2:
        return None
    by_test = (z + z_power) * deviation / math.sqrt(cases - z**2 / 2)
    return max(by_test, floor + z_power * deviation / math.sqrt(cases))


def power(difference: float, deviation: float, cases: int, tests: int, floor: float = 0.0) -> float:
    """In what share of experiments a mean difference is found: the inverse of `smallest_detectable`."""
    z = _limit(tests)
    if cases < cases_needed(tests) or cases <= z**2 / 2:
        return 0.0
    by_test = abs(difference) / deviation * math.sqrt(cases - z**2 / 2) - z
    return NormalDist().cdf(min(by_test, (abs(difference) - floor) / deviation * math.sqrt(cases)))


def _limit(tests: int) -> float:
    """How many standard errors from zero the first step of Holm's procedure asks for."""
    return NormalDist().inv_cdf(1 - ALPHA / tests / 2)


@lru_cache(maxsize=1024)
def share_needed(differing: int, cases: int) -> float:
    """How likely each of `cases` must differ so that, in 80 % of all experiments, at least `differing` of them do.

    The upper tail of the binomial distribution, solved for its proportion: the 80th percentile of the beta
    distribution with the parameters `differing` and `cases` - `differing` + 1 (Clopper and Pearson, "The Use of
    Confidence or Fiducial Limits Illustrated in the Case of the Binomial", Biometrika 26 (1934)).
    `differing` lies in 1 … `cases`.
    """
    low, high = 0.0, 1.0
    for _ in range(50):  # halved so often, the interval is narrower than a double can tell
        middle = (low + high) / 2
        low, high = (low, middle) if _at_least(differing, cases, middle) >= POWER else (middle, high)
    return high


def _at_least(differing: int, cases: int, share: float) -> float:
    """The chance that at least so many of the cases differ, if each does with the chance `share`, in (0, 1)."""
    whole = math.lgamma(cases + 1)
    return math.fsum(
        math.exp(
            whole
            - math.lgamma(number + 1)
            - math.lgamma(cases - number + 1)
            + number * math.log(share)
            + (cases - number) * math.log1p(-share)
        )
        for number in range(differing, cases + 1)
    )


def cases_needed(tests: int) -> int:
    """How many cases must differ, all in one direction, for the first of `tests` tests to be significant."""
    return math.ceil(1 + math.log2(tests / ALPHA))


def standard_deviation(column: Sequence[int]) -> float:
    """The sample standard deviation over at least two cases, in the unit of the column."""
    return float(np.std(np.array(column, np.float64), ddof=1))
