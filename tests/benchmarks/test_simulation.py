"""The simulation works; its whole result, of many more repetitions, is `SIMULATION.md`."""

from simulation import Experiment, repeat


def test_where_nothing_differs_next_to_nothing_is_claimed() -> None:
    found = [repeat(Experiment(3, 24, 1), number) for number in range(20)]
    assert sum(one.false > 0 for one in found) <= 2


def test_a_large_difference_is_found_and_nothing_else() -> None:
    found = [repeat(Experiment(3, 40, 1, slower=0.6), number) for number in range(10)]
    assert sum(one.planted for one in found) >= 9
    assert sum(one.false > 0 for one in found) <= 1
    assert all((one.promised or 0) > 0.9 for one in found)
