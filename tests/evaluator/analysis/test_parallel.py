"""Work over several processes: the same as in one, begun at once, and without the collector of cycles."""

import gc

import pytest

from evaluator.analysis.parallel import Workers, uncollected


def collects(number: int) -> tuple[int, bool]:
    return number, gc.isenabled()


def test_processes_begin_at_once_and_give_what_one_would() -> None:
    with Workers(2) as workers:
        first, second = workers.each(collects, [1, 2, 3]), workers.each(collects, [4], at_once=2)
        assert list(second) + list(first) == [(number, False) for number in (4, 1, 2, 3)]


def test_what_is_not_worth_a_process_is_done_here() -> None:
    seen: list[int] = []
    with Workers(2) as workers:
        assert list(workers.each(seen.append, [1, 2], worth=False)) == [None, None]  # nothing local could be sent
    assert seen == [1, 2]


def test_the_collector_is_off_only_inside() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="gone"), uncollected():
        assert not gc.isenabled()
        raise ValueError("gone")
    assert gc.isenabled()
