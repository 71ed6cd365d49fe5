"""The simulation works; its whole result, of many more repetitions, is `SIMULATION.md`."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats
from simulation import Experiment, _within_the_step, repeat


def test_where_nothing_differs_next_to_nothing_is_claimed() -> None:
    found = Counter(name for number in range(20) for name in repeat(Experiment(3, 24, 1), number).false)
    assert all(claiming <= 3 for claiming in found.values())


def test_a_large_difference_is_found_and_nothing_else() -> None:
    found = [repeat(Experiment(3, 40, 1, slower=0.6), number) for number in range(10)]
    assert sum(one.main is not None and one.main.found for one in found) >= 9
    assert sum(bool(one.false) for one in found) <= 3
    assert all(one.main is not None and one.main.promised > 0.9 for one in found)


def test_without_steps_a_p_value_is_drawn_from_within_its_step() -> None:
    # Of 20 cases that differ 15 go one way: p is 4.1 %, and 1.2 % had it been 16.
    seen, farther = (2 * stats.binom.sf(number - 1, 20, 0.5) for number in (15, 16))
    found = _within_the_step([360_360] * 15 + [-360_360] * 5 + [0] * 9, 0.03)
    assert found == pytest.approx((0.03 - farther) / (seen - farther))
    assert _within_the_step([1] * 15 + [-1] * 5, 0.05) == 1 and _within_the_step([1] * 15 + [-1] * 5, 0.01) == 0
    uneven = [3, 1, -2, 2, 5]
    sums = [abs(np.dot(signs, uneven)) for signs in np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T]
    farther, as_far = np.mean([one > 9 for one in sums]), np.mean([one == 9 for one in sums])
    assert _within_the_step(uneven, float(farther + as_far / 2)) == pytest.approx(0.5)
