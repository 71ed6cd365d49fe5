"""Intervals, percentiles and lengths: pure functions, the same to the last bit on every machine."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SEED = 20250101
RESAMPLES = 10_000
DRAWS_AT_ONCE = 2**20
"""Draws of a case, or of its sign, that are in memory together; each takes some 30 bytes."""
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
    passed, runs = np.array(cases, np.float64).T
    if len({p / r for p, r in cases}) == 1:
        return wilson_interval(cases[0][0] / cases[0][1], len(cases))
    rates = np.concatenate([drawn @ passed / (drawn @ runs) for drawn in times_drawn(len(cases))])
    low, high = np.percentile(rates, [2.5, 97.5], method="linear")
    return float(low), float(high)


def drawn_cases(n: int, seed: int = SEED) -> Iterator[NDArray[np.int64]]:
    """The bootstrap's draws: `RESAMPLES` rows of `n` numbers of cases from 0 … n - 1, with replacement, in pieces."""
    # NumPy promises the same raw stream in every version (NEP 19), but not the same `integers`.
    # The remainder prefers small indices by less than one part in 10^15.
    generator = np.random.PCG64(seed)
    at_once = max(1, DRAWS_AT_ONCE // n)
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        yield (generator.random_raw(rows * n) % n).astype(np.int64).reshape(rows, n)


def times_drawn(n: int, seed: int = SEED) -> Iterator[NDArray[np.float64]]:
    """How often each of `n` cases (columns) is in each of the bootstrap's draws (rows), in the same pieces."""
    for drawn in drawn_cases(n, seed):
        places = drawn + np.arange(len(drawn))[:, np.newaxis] * n
        yield np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def pass_hat_k(trials: int, passed: int, k: int) -> float:
    """The chance that k runs of a case all pass, estimated from `passed` of its `trials` without bias.

    pass^k of Yao et al., "τ-bench: A Benchmark for Tool-Agent-User Interaction in Real-World
    Domains" (2024): C(passed, k) / C(trials, k). Raises `ValueError` for fewer than k trials.
    """
    if trials < k:
        raise ValueError(f"pass^{k} needs {k} trials, not {trials}")
    return math.comb(passed, k) / math.comb(trials, k)


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
