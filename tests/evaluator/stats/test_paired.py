import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluator.stats.intervals import pass_rate_interval
from evaluator.stats.paired import (
    UNIT,
    can_show,
    cases_needed,
    constant_share_interval,
    holm,
    in_units,
    mean_intervals,
    power,
    share_needed,
    sign_flip_p_values,
    smallest_detectable,
    standard_deviation,
)

COLUMN = st.lists(st.integers(-1000, 1000), min_size=2, max_size=12)


def test_whole_units() -> None:
    assert in_units([1, -0.5]) == [720_720, -360_360]
    shares = [(k, trials) for trials in range(1, 17) for k in range(trials + 1)]
    units = in_units([k / trials for k, trials in shares])
    assert all(one * trials == k * 720_720 for one, (k, trials) in zip(units, shares, strict=True))


# --- sign-flip tests -------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(COLUMN)
def test_exact_sign_flips_are_scipys_permutation_test(column: list[int]) -> None:
    expected = stats.permutation_test(
        (np.array(column),), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    # For one sample scipy flips signs; its two-sided p-value doubles the smaller tail.
    sums = [
        sum(s * v for s, v in zip(signs, column, strict=True))
        for signs in itertools.product((1, -1), repeat=len(column))
    ]
    by_hand = sum(abs(one) >= abs(sum(column)) for one in sums) / len(sums)
    [p] = sign_flip_p_values([column])
    assert p == pytest.approx(by_hand)
    assert p == pytest.approx(min(1.0, expected.pvalue))


@pytest.mark.parametrize(("gained", "lost", "same"), [(9, 1, 30), (5, 5, 3), (12, 0, 0), (3, 13, 50), (0, 0, 5)])
def test_passed_or_failed_is_mcnemars_exact_test(gained: int, lost: int, same: int) -> None:
    column = [720_720] * gained + [-720_720] * lost + [0] * same
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert sign_flip_p_values([column]) == [pytest.approx(expected)]


def test_darwins_maize() -> None:
    # Fisher, "The Design of Experiments", section 21: of the 32,768 sums of Darwin's 15 differences 1,726 are as
    # far from zero as the one seen, p = 5.267 %.
    eighths_of_an_inch = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert sign_flip_p_values([eighths_of_an_inch]) == [1726 / 32768]


def test_drawn_sign_flips_come_near_the_exact_p_value() -> None:
    # 20 cases that differ by one each way: a binomial distribution
    columns = [[1] * k + [-1] * (20 - k) for k in range(10, 19)]
    for column, p in zip(columns, sign_flip_p_values(columns), strict=True):
        exact = stats.binomtest(column.count(1), 20).pvalue
        # four standard errors of the patterns that were drawn
        patterns = 65_535 if exact < 0.015 else 4_095
        assert p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / patterns) + 1 / patterns)


def test_p_values_do_not_depend_on_the_company() -> None:
    columns = [[(i * 37 + j * j * 11) % 101 - 45 for j in range(24)] for i in range(20)]
    alone = [sign_flip_p_values([column])[0] for column in columns]
    assert sign_flip_p_values(columns) == alone
    assert sign_flip_p_values(columns[::-1]) == alone[::-1]


def test_no_p_value_is_zero() -> None:
    assert sign_flip_p_values([[5] * 60]) == [1 / 65_536]
    assert sign_flip_p_values([[], [0] * 40]) == [1, 1]


# --- Holm ------------------------------------------------------------------------------------


def test_holm_as_r_has_it() -> None:
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") of R
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float], level: float) -> None:
    rejected = set()
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] * (len(p_values) - rank) > level:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == rejected


def test_what_can_be_tested_is_the_largest_family_that_can_show_something() -> None:
    # 12 cases are enough for 102 tests, 8 for 6
    assert cases_needed(102) == 12 and cases_needed(103) == 13
    assert can_show([12] * 50 + [8] * 200) == [True] * 50 + [False] * 200
    assert can_show([8] * 6) == [True] * 6
    assert can_show([8] * 7) == [False] * 7
    assert can_show([12] * 3 + [8] * 3) == [True] * 6
    assert can_show([]) == []


# --- intervals -------------------------------------------------------------------------------


def test_the_interval_of_shares_is_that_of_a_pass_rate() -> None:
    cases = [(1, 1)] * 7 + [(0, 1)] * 5
    [(low, high)] = mean_intervals([[passed * 720_720 for passed, _ in sorted(cases)]])
    assert (low * UNIT, high * UNIT) == pytest.approx(pass_rate_interval(cases))


def test_the_interval_of_many_cases_is_that_of_a_normal_mean() -> None:
    column = [int(value) for value in np.random.default_rng(1).normal(100, 1000, 400)]
    [(low, high)] = mean_intervals([column])
    error = np.std(column) / 20
    assert (low, high) == pytest.approx(
        (np.mean(column) - 1.96 * error, np.mean(column) + 1.96 * error), abs=0.1 * error
    )


def test_intervals_do_not_depend_on_the_company() -> None:
    columns = [[(i * 37 + j * j * 11) % 101 - 45 for j in range(9 + i % 2)] for i in range(40)]
    assert mean_intervals(columns) == [mean_intervals([column])[0] for column in columns]


def test_cases_that_are_all_alike_leave_room_for_others() -> None:
    low, high = (end * UNIT for end in constant_share_interval(0, 20))
    assert (low, high) == pytest.approx((-0.1611, 0.1611), abs=5e-5)  # Wilson's end of 0 in 20, as Newcombe has it
    low, high = (end * UNIT for end in constant_share_interval(720_720, 20))
    assert (low, high) == pytest.approx((1 - 2 * 0.1611, 1), abs=1e-4)


# --- power -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("effect", "cases", "tests"), [(0.5, 34, 1), (0.8, 30, 8), (0.6, 90, 300), (0.4, 90, 40)])
def test_power_is_near_that_of_the_t_test(effect: float, cases: int, tests: int) -> None:
    level = 0.05 / tests
    limit = stats.t.ppf(1 - level / 2, cases - 1)
    exact = stats.nct.sf(limit, cases - 1, effect * math.sqrt(cases))
    assert power(effect, 1, cases, tests) == pytest.approx(exact, abs=0.03)


def test_power_and_smallest_detectable_difference_are_inverse() -> None:
    found = smallest_detectable(2.0, 50, 40)
    assert found is not None
    assert power(found, 2.0, 50, 40) == pytest.approx(0.8)
    assert power(-found, 2.0, 50, 40) == pytest.approx(0.8)


def test_the_noise_floor_is_a_limit_like_that_of_the_test() -> None:
    # Means of 100 cases that differ by 2 on average and vary by 10 lie above 1.5 as often as a normal one does.
    assert power(2.0, 10.0, 100, 1, floor=1.5) == power(2.0, 10.0, 100, 1) < 0.6
    assert power(2.0, 1.0, 100, 1, floor=1.95) == pytest.approx(stats.norm.sf(1.95, 2.0, 0.1))
    found = smallest_detectable(1.0, 100, 1, floor=1.95)
    assert found == pytest.approx(stats.norm.ppf(0.8, 1.95, 0.1))
    assert power(found, 1.0, 100, 1, floor=1.95) == pytest.approx(0.8)


@pytest.mark.parametrize(("differing", "cases", "share"), [(14, 24, 0.64), (11, 24, 0.52), (16, 90, 0.21)])
def test_how_likely_a_case_must_differ_for_enough_of_them_to(differing: int, cases: int, share: float) -> None:
    found = share_needed(differing, cases)
    assert found == pytest.approx(share, abs=0.005)
    assert found == pytest.approx(stats.beta.ppf(0.8, differing, cases - differing + 1))
    assert stats.binom.sf(differing - 1, cases, found) == pytest.approx(0.8)
    # As many as just enough, in a share of the cases, is found in little more than every second experiment.
    assert stats.binom.sf(differing - 1, cases, differing / cases) < 0.6


def test_too_few_cases_can_show_nothing() -> None:
    # with 8 cases the smallest p-value is 2 / 256; with 6 of them in one direction 2 / 64 passes one test
    assert [cases_needed(tests) for tests in (1, 2, 6, 7)] == [6, 7, 8, 9]
    assert sign_flip_p_values([[1] * 6]) == [2 / 64]
    assert smallest_detectable(1, 8, 7) is None
    assert power(100, 1, 8, 7) == 0
    assert smallest_detectable(1, 8, 6) is not None


def test_standard_deviation() -> None:
    assert standard_deviation([1, 2, 3, 4]) == pytest.approx(math.sqrt(5 / 3))
