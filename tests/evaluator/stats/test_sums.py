import math
from collections import Counter

import numpy as np
import pytest

from evaluator.stats.intervals import RESAMPLES
from evaluator.stats.sums import drawn_deviations, expected_sum

NAN = math.nan


def test_a_sum_is_the_number_of_runs_times_the_mean_of_each_group() -> None:
    values = np.array([[[1.0, 10.0], [3.0, 30.0]], [[NAN, NAN], [5.0, 50.0]]])
    assert expected_sum(values, [4, 1]).tolist() == [4 * 2 + 5, 4 * 20 + 50]


def test_deviations_are_those_of_the_drawn_means_stretched() -> None:
    # Of cases that took 1 and 3 two are drawn: means of 1, 2 or 3, so -2, 0 or 2 for two runs. Stretched by the root of
    # n / (n - 1) = 2 times 1 + n / m = 2.
    drawn = drawn_deviations(np.array([[[1.0], [3.0]]]), [2], further=2)
    assert drawn.shape == (RESAMPLES, 1)
    counts = Counter(drawn[:, 0].round(9).tolist())
    assert set(counts) == {-4.0, 0.0, 4.0}
    for deviation, share in ((-4.0, 0.25), (0.0, 0.5), (4.0, 0.25)):
        assert counts[deviation] / RESAMPLES == pytest.approx(share, abs=0.02)


def test_groups_have_the_same_cases_drawn() -> None:
    one = np.array([[1.0], [3.0], [8.0]])
    alone = drawn_deviations(one[np.newaxis], [2], further=2)
    together = drawn_deviations(np.stack([one, one]), [2, 2], further=2)
    against = drawn_deviations(np.stack([one, -one]), [2, 2], further=2)
    assert together == pytest.approx(2 * alone)
    assert against == pytest.approx(np.zeros_like(alone), abs=1e-12)


def test_a_group_without_some_cases_varies_by_those_that_it_has() -> None:
    values = np.array([[[1.0], [3.0], [NAN]]])
    drawn = drawn_deviations(values, [1], further=6) / math.sqrt(3 / 2 * 1.5)
    assert {-1.0, 0.0, 1.0} <= set(drawn[:, 0].round(9).tolist())
    assert abs(drawn).max() == pytest.approx(1.0)


def test_one_case_says_nothing_of_others_and_blocks_differ() -> None:
    assert not drawn_deviations(np.array([[[7.0]]]), [3], further=3).any()
    values = np.array([[[1.0], [3.0], [8.0]]])
    assert (drawn_deviations(values, [1], 1, block=0) != drawn_deviations(values, [1], 1, block=1)).any()


def test_four_of_five_sums_lie_between_their_10th_and_90th_percentile() -> None:
    random, within, repetitions = np.random.default_rng(1), 0, 300
    for _ in range(repetitions):
        taken = random.gamma(4.0, size=20)
        seen, further = taken[:8].reshape(1, 8, 1), taken[8:]
        low, high = np.percentile(drawn_deviations(seen, [12], 12), [10, 90])
        within += low <= further.sum() - expected_sum(seen, [12])[0] <= high
    assert within / repetitions == pytest.approx(0.8, abs=0.07)
