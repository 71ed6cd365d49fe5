"""What runs of other cases add up to, judged by those of some cases: pure functions, the same on every machine."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluator.stats.intervals import SEED, times_drawn

Array = NDArray[np.float64]


def expected_sum(values: Array, runs: Sequence[int]) -> Array:
    """The sum that is expected of `runs` of further cases in each group: their number times the mean of its cases.

    `values` is groups x cases x quantities, in any units, NaN where a group has no run of a case; each has one of some
    case. Gives a sum for each quantity.
    """
    means: Array = np.nanmean(values, axis=1)
    return np.asarray(runs, float) @ means


def drawn_deviations(values: Array, runs: Sequence[int], further: int, block: int = 0) -> Array:
    """By how much the sum of runs of `further` cases, at least 1, may miss what is expected, over and under: a row a
    draw.

    The cases are drawn with replacement, whole, for all groups together, because what is hard for one is hard for the
    others (the cluster bootstrap of `intervals.pass_rate_interval`). So drawn, means of n cases vary by their variance
    times (n - 1) / n, and the sum of m further cases varies by its own sampling as well: deviations are stretched by
    the root of n / (n - 1) times 1 + n / m (Davison and Hinkley, "Bootstrap Methods and their Application", Cambridge
    1997, sections 2.3 and 6.3.3). Of one case none of that can be said: no deviation.

    Different numbers of a `block` have different draws. The arguments are those of `expected_sum`; gives draws x
    quantities.
    """
    groups, cases, quantities = values.shape
    there, filled = ~np.isnan(values).any(axis=2), np.nan_to_num(values)
    plain, weights = np.nanmean(values, axis=1), np.asarray(runs, float)
    by_case = filled.transpose(1, 0, 2).reshape(cases, groups * quantities)
    pieces = []
    for times in times_drawn(cases, SEED + block):
        number = (times @ there.T.astype(float))[:, :, np.newaxis]
        sums = (times @ by_case).reshape(-1, groups, quantities)
        means = np.where(number > 0, sums / np.maximum(number, 1), plain)
        pieces.append(np.einsum("dgq,g->dq", means - plain, weights))
    stretched = math.sqrt(cases / (cases - 1) * (1 + cases / further)) if cases > 1 else 1.0
    return np.concatenate(pieces) * stretched
