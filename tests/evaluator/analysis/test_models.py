"""Several models side by side, and what is said of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from factories import key, trace

from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.analysis.models import ModelComparison, as_data, compare_models, in_words
from evaluator.catalog.tasks import all_tasks

Score = Callable[[int, int, int], float]
"""The score by the numbers of model, framework and case."""

TASK = all_tasks()["tool_calling"]


def graded(model: str, framework: str, case: str, score: float = 1.0, trial: int = 1) -> GradedRun:
    run = grade_run(trace(key(case, trial, framework=framework, model=model)), TASK)
    return replace(run, score=score, passed=score == 1)


def compared(score: Score, frameworks: int = 3, cases: int = 12) -> ModelComparison:
    names = ["baseline", *(f"f{number}" for number in range(1, frameworks))]
    found = compare_models(
        graded(model, framework, f"case-{case:02}", score(m, f, case))
        for m, model in enumerate(("local", "local-0.5b"))
        for f, framework in enumerate(names)
        for case in range(cases)
    )
    assert found is not None
    return found


def test_only_what_all_the_real_models_were_asked_is_compared() -> None:
    asked = {
        ("local", "baseline"): "abc",
        ("local", "x"): "abc",
        ("local", "y"): "abc",
        ("ollama/qwen3", "baseline"): "bcd",
        ("ollama/qwen3", "x"): "ab",
        ("scripted", "y"): "abc",
        ("replay", "baseline"): "abc",
    }
    found = compare_models(graded(*cell, case) for cell, cases in asked.items() for case in cases)
    assert found is not None
    assert (found.models, found.frameworks, found.left_out) == (("local", "ollama/qwen3"), ("baseline", "x"), ("y",))
    assert found.cases == (("tool_calling", "b"),)
    assert [(row.framework, row.model, row.metrics["runs"]) for row in found.rows] == [
        ("baseline", "local", 1),
        ("baseline", "ollama/qwen3", 1),
        ("x", "local", 1),
        ("x", "ollama/qwen3", 1),
        (None, "local", 2),
        (None, "ollama/qwen3", 2),
    ]
    assert in_words(found).startswith("1 case in common is too few to say what explains the differences: it takes 12")


def test_a_framework_with_few_cases_does_not_take_the_others_theirs() -> None:
    asked = {"baseline": "abcdef", "x": "abcdef", "half-run": "ab"}
    found = compare_models(
        graded(model, framework, case)
        for model in ("local", "local-0.5b")
        for framework, cases in asked.items()
        for case in cases
    )
    assert found is not None
    assert (found.frameworks, found.left_out, len(found.cases)) == (("baseline", "x"), ("half-run",), 6)
    assert in_words(found).startswith("6 cases in common are too few to say what explains the differences")


def test_trials_that_not_all_have_do_not_count() -> None:
    """So that a baseline with four trials has no more weight than a framework with one."""
    runs = [
        graded(model, framework, f"case-{case}", score=float(trial == 1), trial=trial)
        for model in ("local", "local-0.5b")
        for framework, trials in (("baseline", 4), ("x", 1))
        for case in range(12)
        for trial in range(1, trials + 1)
    ]
    found = compare_models(runs)
    assert found is not None
    assert {row.framework: row.metrics["passed"] for row in found.rows} == {"baseline": 12, "x": 12, None: 24}
    assert found.score_shares is None, "all runs that count have the same score"


def test_a_framework_that_one_model_was_not_run_with_is_left_out_and_this_is_said() -> None:
    """The shares are those of the part where every model met every framework, as if the rest had not been run."""

    def runs(*cells: tuple[str, str]) -> list[GradedRun]:
        return [
            graded(model, framework, f"case-{case}", noise(len(model), len(framework), case))
            for model, framework in cells
            for case in range(12)
        ]

    crossed = runs(*((model, framework) for model in ("large", "small") for framework in ("baseline", "x")))
    alone, both = compare_models(crossed), compare_models(crossed + runs(("large", "y"), ("large", "zz")))
    assert alone is not None and both is not None
    assert (both.frameworks, both.left_out) == (("baseline", "x"), ("y", "zz"))
    assert (both.score_shares, both.pass_shares, both.rows) == (alone.score_shares, alone.pass_shares, alone.rows)
    assert "Between the runs of 2 models × 2 frameworks × 12 cases, one trial of each," in in_words(both)
    covered = "This covers the models large, small with the frameworks Client, x."
    assert f"{covered} Not all of the models ran these cases with Ypsilon, zz. It holds" in in_words(
        both, {"baseline": "Client", "y": "Ypsilon"}
    )
    assert f"{covered} It holds" in in_words(alone, {"baseline": "Client"})


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [("local", "baseline", "a"), ("scripted", "baseline", "a"), ("replay", "baseline", "a")],
        [("local", "baseline", "a"), ("local-0.5b", "x", "a")],
        [("local", "baseline", "a"), ("local-0.5b", "baseline", "b")],
    ],
    ids=["nothing", "one real model", "no framework in common", "no case in common"],
)
def test_there_is_no_comparison(cells: list[tuple[str, str, str]]) -> None:
    assert compare_models(graded(*cell) for cell in cells) is None


def test_the_rows_are_measured_on_the_cases_and_trials_in_common() -> None:
    found = compare_models(
        [
            graded("local", "baseline", "a", 0.5),
            graded("local", "baseline", "only-here", 1.0),
            graded("local-0.5b", "baseline", "a", 0.25),
            graded("local-0.5b", "baseline", "a", 0.75, trial=2),
        ]
    )
    assert found is not None
    assert [(row.metrics["runs"], row.metrics["mean_score"]) for row in found.rows] == [(1, 0.5), (1, 0.25)]


def noise(m: int, f: int, case: int) -> float:
    """Passes and failures without any pattern, and as many for each model and framework."""
    return float((case * 7 + f * 5 + m * 3 + case * f * m) % 4 < 2)


def test_a_model_that_matters_is_said_to() -> None:
    said = in_words(compared(lambda m, f, case: float(m == 0 or case == 0)))
    assert said.startswith(
        "Between the runs of 2 models × 3 frameworks × 12 cases, one trial of each, the model explains "
    )
    assert "Here the model matters more than the framework, for the score as for passing." in said


def test_a_framework_that_matters_is_said_to() -> None:
    said = in_words(compared(lambda m, f, case: float(f == 0 or case == 0)))
    assert "Here the framework matters more than the model, for the score as for passing." in said


def test_where_the_interval_would_allow_both_it_cannot_be_told() -> None:
    said = in_words(compared(noise))
    assert "Whether the model or the framework matters more cannot be told from this." in said


def test_score_and_passing_may_tell_different_things() -> None:
    # No run passes, so that passing tells nothing; the score tells a lot.
    said = in_words(compared(lambda m, f, case: 0.5 * m + 0.01 * (case % 3)))
    assert "by score the model matters more than the framework; by passing it cannot be told." in said


def test_without_differences_there_is_nothing_to_explain() -> None:
    assert in_words(compared(lambda m, f, case: 0.5)) == (
        "On these 12 cases all runs have the same score, so there is nothing to explain. This covers the models local, "
        "local-0.5b with the frameworks baseline, f1, f2."
    )


def test_with_one_framework_nothing_is_said_of_frameworks() -> None:
    said = in_words(compared(lambda m, f, case: float(m == 0 or case < 3), frameworks=1))
    assert said.startswith(
        "Between the runs of 2 models × 1 framework × 12 cases, one trial of each, the model explains "
    )
    assert "matters more" not in said and "with the framework baseline. With one framework" in said


def test_with_two_trials_chance_is_told_from_the_interactions() -> None:
    """With one trial they are a remainder. Trials beyond those that every case has do not count."""

    def runs(trials: int, more: int = 0) -> list[GradedRun]:
        return [
            graded(model, framework, f"case-{case:02}", noise(m, f, case + 5 * trial), trial)
            for m, model in enumerate(("local", "local-0.5b"))
            for f, framework in enumerate(("baseline", "x"))
            for case in range(12)
            for trial in range(1, trials + 1 + (more if case else 0))
        ]

    one, two, uneven = (compare_models(these) for these in (runs(1), runs(2), runs(2, more=1)))
    assert one and one.score_shares and two and two.score_shares and uneven
    assert "remainder" in one.score_shares.sources and "chance" not in one.score_shares.sources
    assert {"chance", "model × framework × case"} < set(two.score_shares.sources)
    assert "12 cases, one trial of each," in in_words(one) and "it takes two trials of each" in in_words(one)
    assert "12 cases, 2 trials of each," in in_words(two) and "chance, by which trials differ," in in_words(two)
    assert uneven.score_shares == two.score_shares
    # In either trial something else is passed: all that is not the case's is chance.
    lucky = compare_models(
        graded(model, framework, f"case-{case:02}", float((trial + len(model) + len(framework) + case) % 2), trial)
        for model in ("local", "local-0.5b")
        for framework in ("baseline", "x")
        for case in range(12)
        for trial in (1, 2)
    )
    assert lucky and lucky.score_shares and lucky.score_shares.sources["chance"].estimate == 1


def test_cases_without_a_score_count_for_passing_only() -> None:
    runs = [
        replace(graded(model, framework, f"case-{case:02}", noise(m, f, case)), **({} if case else {"score": None}))
        for m, model in enumerate(("local", "local-0.5b"))
        for f, framework in enumerate(("baseline", "x"))
        for case in range(13)
    ]
    found, without = compare_models(runs), compare_models(run for run in runs if run.score is not None)
    assert found and without and (len(found.cases), found.scored) == (13, 12)
    assert found.score_shares == without.score_shares and found.pass_shares != without.pass_shares
    few = compare_models(run for run in runs if run.key.case <= "case-11")
    assert few and few.score_shares is None and few.pass_shares is not None
    assert in_words(few).startswith("11 cases in common are too few")


def test_as_data_the_numbers_have_names() -> None:
    data = as_data(compared(lambda m, f, case: float(m == 0 or case == 0)))
    model = data["variance_shares"]["score"]["model"]
    assert set(model) == {"estimate", "low", "high"} and model["low"] > 0.5
    assert {"pass_rate_low", "wall_s_p50", "cost_usd_mean"} <= set(data["rows"][0])
    assert len(data["cases"]) == 12 and data["cases"][0] == {"task": "tool_calling", "case": "case-00"}
    assert data["in_words"] == in_words(compared(lambda m, f, case: float(m == 0 or case == 0)))
