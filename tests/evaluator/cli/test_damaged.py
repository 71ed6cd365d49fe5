"""Whatever is wrong with a file that a command reads: an exit code and one line, no traceback, nothing lost.

A few of each kind; `tests/benchmarks/mutations.py` tries as many as wanted.
"""

import pytest
from damaged import KINDS, intact, tried
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.ours and name != "site"])
def test_what_is_not_damaged_is_read(name: str) -> None:
    said = intact(KINDS[name])
    assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize("name", KINDS)
def test_what_is_damaged_is_said_in_a_line(name: str) -> None:
    slow = name in ("site", "kept by report")

    @settings(max_examples=1 if slow else 2, derandomize=True, database=None)
    @given(st.integers(1, 10**6))
    def each(number: int) -> None:
        one = tried(KINDS[name], number)
        assert not one.wrong, f"{number}: {one.done}; bakeoff {one.command}"

    each()
