import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.stats.intervals import covered_length, pass_hat_k, pass_rate_interval, percentile, wilson_interval

CASES = st.lists(
    st.integers(1, 5).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))), min_size=1, max_size=24
)
NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
        # Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_as_published(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes / n, n) == pytest.approx((low, high), abs=5e-5)


@given(st.lists(NUMBERS, min_size=1, max_size=50), st.floats(0, 100))
def test_percentile_is_numpys_default(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == np.percentile(values, percent)


def test_percentile_of_known_values() -> None:
    assert percentile([4, 1, 3, 2], 50) == 2.5
    assert percentile([1, 2], 95) == pytest.approx(1.95)
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@settings(max_examples=50)
@given(CASES, st.randoms())
def test_pass_rate_interval(cases: list[tuple[int, int]], random: "np.random.Generator") -> None:
    low, high = pass_rate_interval(cases)
    estimate = sum(passed for passed, _ in cases) / sum(runs for _, runs in cases)
    assert 0 <= low <= high <= 1
    assert low - 1e-9 <= estimate <= high + 1e-9
    shuffled = list(cases)
    random.shuffle(shuffled)
    assert pass_rate_interval(shuffled) == (low, high)


def test_bootstrap_of_one_trial_is_binomial() -> None:
    # With one trial for each case the bootstrap draws from Binomial(n, rate) / n.
    low, high = pass_rate_interval([(1, 1)] * 12 + [(0, 1)] * 12)
    probabilities = [math.comb(24, k) * 0.5**24 for k in range(25)]
    cumulative = np.cumsum(probabilities)
    assert low == pytest.approx(int(np.searchsorted(cumulative, 0.025)) / 24)
    assert high == pytest.approx(int(np.searchsorted(cumulative, 0.975)) / 24)


def test_bootstrap_of_two_trials_is_the_exact_resampling_distribution() -> None:
    low, high = pass_rate_interval([(0, 2), (1, 2), (2, 2), (2, 2), (2, 2)])
    drawn = np.array([1.0])
    for _ in range(5):
        drawn = np.convolve(drawn, [0.2, 0.2, 0.6])  # of one case: 0, 1 or 2 runs passed
    cumulative = np.cumsum(drawn)
    assert low == pytest.approx(int(np.searchsorted(cumulative, 0.025)) / 10)
    assert high == pytest.approx(int(np.searchsorted(cumulative, 0.975)) / 10)


@pytest.mark.parametrize("cases", [[(3, 3)] * 8, [(0, 1)] * 8, [(1, 2)] * 8, [(1, 2)], [(1, 1)]])
def test_cases_that_are_all_alike_get_wilsons_interval(cases: list[tuple[int, int]]) -> None:
    interval = pass_rate_interval(cases)
    assert interval == wilson_interval(cases[0][0] / cases[0][1], len(cases))
    assert interval[1] - interval[0] > 0.25


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_hat_k_is_the_share_of_all_choices_of_k_runs(chosen: tuple[int, int, int]) -> None:
    trials, passed, k = chosen
    choices = list(combinations([True] * passed + [False] * (trials - passed), k))
    assert pass_hat_k(trials, passed, k) == pytest.approx(sum(map(all, choices)) / len(choices))


def test_pass_hat_k_needs_k_trials() -> None:
    with pytest.raises(ValueError, match=r"pass\^3 needs 3 trials, not 2"):
        pass_hat_k(2, 2, 3)


def test_no_cases() -> None:
    with pytest.raises(ValueError, match="no cases"):
        pass_rate_interval([])


@pytest.mark.parametrize(
    ("intervals", "length"),
    [
        ([], 0),
        ([(0, 1), (2, 3)], 2),
        ([(0, 2), (1, 3)], 3),
        ([(0, 10), (2, 3), (10, 11)], 11),
        ([(3, 1), (0, 1)], 1),
    ],
)
def test_covered_length(intervals: list[tuple[float, float]], length: float) -> None:
    assert covered_length(intervals) == length


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12))
def test_covered_length_counts_each_unit_once(intervals: list[tuple[int, int]]) -> None:
    units = {unit for start, end in intervals for unit in range(start, end)}
    assert covered_length(intervals) == len(units)
