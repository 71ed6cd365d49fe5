"""Intervals, percentiles and lengths: pure functions, the same to the last bit on every machine."""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SEED = 20250101
RESAMPLES = 10_000
Z_95 = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile of at least one value, linearly interpolated between order statistics.

    Definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American
    Statistician 50 (1996): position `(n - 1) * percent / 100` among the sorted values. `percent`
    lies in [0, 100]. Raises `ValueError` for no values.
    """
    if not values:
        raise ValueError("there is no percentile of no values")
    return float(np.percentile(np.array(values, float), percent, method="linear"))


def wilson_interval(proportion: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion seen in `n` independent observations, `n` > 0.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the
    American Statistical Association 22 (1927). Without continuity correction.
    """
    shrunk = 1 + Z_95**2 / n
    centre = (proportion + Z_95**2 / (2 * n)) / shrunk
    half = Z_95 / shrunk * math.sqrt(proportion * (1 - proportion) / n + Z_95**2 / (4 * n**2))
    # The formula gives exactly 0 and 1 at the ends; floating point misses them by a hair.
    return (0.0 if proportion == 0 else centre - half), (1.0 if proportion == 1 else centre + half)


def pass_rate_interval(cases: Iterable[tuple[int, int]]) -> tuple[float, float]:
    """The 95 % interval of a pass rate; each case is (passed runs, runs), runs > 0.

    A cluster bootstrap: whole cases are drawn with replacement, because trials of one case are not
    independent, and the interval is the 2.5th and 97.5th percentile of the rates drawn (Davison
    and Hinkley, "Bootstrap Methods and their Application", Cambridge 1997, sections 3.8 and 5.3.1).

    Where all cases have the same rate (all pass, all fail, or there is but one case) every draw is
    alike, and the bootstrap would claim certainty: [1, 1] after two cases. There the interval is
    Wilson's over the number of cases, which is right for one trial and wide for several (as if the
    trials of a case had told nothing new). The order of `cases` does not matter. Raises
    `ValueError` for no cases.
    """
    return _pass_rate_interval(tuple(sorted(cases)))


@lru_cache(maxsize=1024)
def _pass_rate_interval(cases: tuple[tuple[int, int], ...]) -> tuple[float, float]:
    if not cases:
        raise ValueError("there is no pass rate of no cases")
    passed, runs = np.array(cases, np.int64).T
    if len({p / r for p, r in cases}) == 1:
        return wilson_interval(cases[0][0] / cases[0][1], len(cases))
    drawn = drawn_cases(len(cases))
    rates = passed[drawn].sum(axis=1) / runs[drawn].sum(axis=1)
    low, high = np.percentile(rates, [2.5, 97.5], method="linear")
    return float(low), float(high)


def drawn_cases(n: int) -> NDArray[np.uint64]:
    """The bootstrap's draws: `RESAMPLES` rows of `n` numbers of cases, drawn with replacement from 0 … n - 1."""
    # NumPy promises the same raw stream in every version (NEP 19), but not the same `integers`.
    # The remainder prefers small indices by less than one part in 10^15.
    return (np.random.PCG64(SEED).random_raw(RESAMPLES * n) % n).reshape(RESAMPLES, n)


def covered_length(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals (start, end): what overlaps counts once.

    An interval that ends before it starts covers nothing.
    """
    total, reached = 0.0, -math.inf
    for start, end in sorted(intervals):
        if end > max(start, reached):
            total += end - max(start, reached)
            reached = end
    return total
