"""Cases of outside suites through each framework: `pytest -m "bfcl and crewai"`, once the suite is imported."""

import pytest

from evaluator.pytest_plugin import TestedSuite

pytestmark = pytest.mark.suites


def test_the_suites_grader_says_what_is_recorded(outside: TestedSuite) -> None:
    wanted = outside.recorded.metrics if outside.recorded else dict.fromkeys(outside.verdict.metrics, True)
    assert outside.verdict.metrics == wanted, "\n".join([*outside.verdict.reasons, f"trace: {outside.trace}"])
