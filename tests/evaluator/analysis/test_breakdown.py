"""Runs by level, and by the parts of their grade."""

import pytest
from factories import CASE, key, trace

from evaluator.analysis.breakdown import Component, Judged, LevelRate, by_level, components, judged
from evaluator.analysis.graded_run import grade_run
from evaluator.analysis.levels import LEVELS, level_of
from evaluator.catalog.tasks import all_tasks
from tasks.cases import Case

TASK = all_tasks()["tool_calling"]


def test_each_level_has_its_cases_runs_and_passes() -> None:
    runs = [
        Judged("t", "a", 3, True, 1.0),
        Judged("t", "a", 3, False, 0.5),
        Judged("t", "b", 3, False, 0.0),
        Judged("u", "a", 3, True, 1.0),  # of another task, and so another case
        Judged("t", "c", 1, True, 1.0),
        Judged("t", "d", None, True, 1.0),
    ]
    easy, hard = by_level(runs)
    assert (easy, hard) == (LevelRate(1, 1, 1, 1), LevelRate(3, 3, 4, 2))
    assert (easy.rate, hard.rate) == (1.0, 0.5)
    assert by_level(runs[-1:]) == ()


def test_a_component_counts_the_runs_that_have_it() -> None:
    runs = [
        Judged("t", "a", 1, False, 0.5, {"facts": True, "citations": False}),
        Judged("t", "b", 1, True, 1.0, {"facts": True}),
        Judged("t", "c", 1, False, 0.0, {"facts": False, "citations": True}),
    ]
    facts, citations = components(runs)
    assert (facts, citations) == (Component("facts", 3, 2), Component("citations", 2, 1))
    assert citations.share == 0.5
    assert components([]) == ()


def test_a_run_has_the_level_of_its_case() -> None:
    run = grade_run(trace(key("a")), TASK)
    assert judged(run).level == run.level == CASE["level"]
    harder = trace(key("a"), case={**CASE, "level": 4})
    assert grade_run(harder, TASK).level == 4


def test_a_case_without_a_level_has_that_of_todays_case() -> None:
    today = TASK.load()[0]
    older = today.model_dump(mode="json", exclude={"level"})
    assert level_of(TASK, older) == today.level
    assert level_of(TASK, {**older, "question": "Another one of the same name?"}) is None
    assert level_of(TASK, {**older, "id": "gone"}) is None


@pytest.mark.parametrize("level", [0, *LEVELS, max(LEVELS) + 1])
def test_the_levels_in_words_are_those_of_cases(level: int) -> None:
    known = {**CASE, "level": level}
    if level in LEVELS:
        assert Case.model_validate(known).level == level
    else:
        with pytest.raises(ValueError, match="level"):
            Case.model_validate(known)
