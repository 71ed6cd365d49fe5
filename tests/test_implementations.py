"""Every implementation on every case. By default the model is scripted, so a failure is the implementation's."""

from evaluator.pytest_plugin import TestedRun


def test_passes(graded: TestedRun) -> None:
    assert graded.run.passed, "\n".join([*graded.run.reasons, f"trace: {graded.trace}"])
