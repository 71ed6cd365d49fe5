"""What each framework makes of each fault, as far as that is recorded: `pytest -m "faults and crewai"`."""

import pytest

from evaluator.pytest_plugin import TestedFault

pytestmark = pytest.mark.faults


def test_ends_as_recorded(faulted: TestedFault) -> None:
    made, recorded = faulted.run, faulted.recorded
    if recorded is None:  # of a framework that is not recorded yet: as well as can be
        assert made is None or made.well, f"ended {made.end}: {made.error}; trace: {faulted.trace}"
        return
    assert made is not None, f"the fault did not come; trace: {faulted.trace}"
    assert made.end == recorded.end, f"was recorded as {recorded.end}, now {made.error}; trace: {faulted.trace}"
