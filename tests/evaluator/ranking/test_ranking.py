"""Rankings by a user's own weights: totals, ties, what is left out, and how far they stand on weights and cases."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import key, model_call, trace

from evaluator import cli, scorecard
from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.catalog.code_size import code_size
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.ranking import ranks
from evaluator.ranking.ranks import (
    CRITERIA,
    Place,
    Ranking,
    rankings,
    read_weights,
)
from evaluator.ranking.report import as_data, how, in_words
from evaluator.scorecard import Cell, Scorecard
from evaluator.trace import write_trace

TASK = all_tasks()["tool_calling"]


def run(framework: str, case: str = "a", *, passed: bool = True, tokens: int | None = 100, **more: Any) -> GradedRun:
    calls = [model_call(0, 0, 1, 1, input_tokens=tokens, usage_source=None if tokens is None else "upstream")]
    answer = "Hello." if passed else "Goodbye."
    return grade_run(trace(key(case, framework=framework), answer=answer, model_calls=calls, resources=more), TASK)


@pytest.fixture
def empty(tmp_path: Path) -> Scorecard:
    return scorecard.build(tmp_path)


def ranked(empty: Scorecard, runs: list[GradedRun], weights: str, **changes: Any) -> Ranking:
    [found] = rankings(replace(empty, runs=tuple(runs), setups={"scripted": {}}, **changes), read_weights(weights))
    return found


def by_name(found: Ranking) -> dict[str, Place]:
    return {place.framework: place for place in found.places}


def test_weights_are_read() -> None:
    assert read_weights("correctness=3, cost=0.5,code") == {"correctness": 3.0, "cost": 0.5, "code": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed=3", r"^--weights speed=3: there is no 'speed'; there are correctness, score, .*memory$"),
        ("cost=x", r"^--weights cost=x: 'x' is no number$"),
        ("cost=", r"^--weights cost=: '' is no number$"),
        ("cost=0", r"^--weights cost=0: a weight must be above 0$"),
        ("cost=-1", "must be above 0"),
        ("cost=nan", "must be above 0"),
        ("cost=inf", "must be above 0"),
        ("cost=1,cost=2", r"^--weights cost=2: cost has a weight already$"),
        (" , ", r"^--weights ' , ': give at least one, as in correctness=3,cost=1$"),
    ],
)
def test_wrong_weights_are_one_line(text: str, message: str) -> None:
    with pytest.raises(Mistake, match=message) as caught:
        read_weights(text)
    assert "\n" not in str(caught.value)


def test_every_criterion_is_a_metric_with_a_better_direction() -> None:
    for criterion in CRITERIA.values():
        assert criterion.meaning and criterion.unit
        assert ranks._METRICS[criterion.metric].better


def test_the_total_is_the_geometric_mean_of_ratios_to_the_best(empty: Scorecard) -> None:
    runs = [
        *(run("x", case, tokens=200) for case in "abcd"),
        *(run("y", case, passed=case in "ab", tokens=50) for case in "abcd"),
    ]
    found = ranked(empty, runs, "correctness=3,cost=1")
    assert (found.model, found.cases, found.left_out) == ("scripted", 4, {})
    places = by_name(found)
    # x has the best pass rate and four times the tokens of the best; y has half the pass rate and the fewest tokens
    assert places["x"].total == pytest.approx(0.25 ** (1 / 4))
    assert places["y"].total == pytest.approx(0.5 ** (3 / 4))
    assert (places["x"].place, places["y"].place) == (1, 2)
    assert places["y"].values == {"correctness": 0.5, "cost": 50}
    assert [place.framework for place in ranked(empty, runs, "correctness=1,cost=3").places] == ["y", "x"]
    # twice as good in one makes up for 2^2 times as bad in the other, exactly
    tied = by_name(ranked(empty, runs, "correctness=2,cost=1"))
    assert (tied["x"].place, tied["y"].place) == (1, 1)


def test_a_third_framework_does_not_change_the_order_of_two(empty: Scorecard) -> None:
    two = [run("x", tokens=200, import_s=1.0), run("y", tokens=90, import_s=2.0)]
    third = run("z", tokens=1, import_s=0.001)
    weights = "cost=1,import=1.2"
    order = [place.framework for place in ranked(empty, two, weights).places]
    assert [place.framework for place in ranked(empty, [*two, third], weights).places] == ["z", *order]


def test_nothing_makes_up_for_passing_nothing(empty: Scorecard) -> None:
    some = [
        run("x", "a"),
        run("x", "b", passed=False),
        run("y", "a", passed=False),
        run("y", "b", passed=False, tokens=1),
    ]
    found = by_name(ranked(empty, some, "correctness=1,cost=100"))
    assert (found["y"].place, found["y"].total, found["x"].place) == (2, 0.0, 1)
    none = [one for one in some if not one.passed]
    assert ranked(empty, [*none, run("x", "a", passed=False)], "correctness").order_with_near_weights == 1
    alike = by_name(ranked(empty, [*none, run("x", "a", passed=False)], "correctness"))
    assert {(place.place, place.total) for place in alike.values()} == {(1, 1.0)}


def test_equal_frameworks_share_a_place_and_the_next_one_comes_after_both(empty: Scorecard) -> None:
    found = ranked(empty, [run("x"), run("y"), run("z", tokens=101)], "cost")
    assert [(place.framework, place.place) for place in found.places] == [("x", 1), ("y", 1), ("z", 3)]
    assert [place.first_with_other_cases for place in found.places] == [1, 1, 0]
    assert in_words(found, {"x": "The X"}).startswith("The X and y come first. ")


def test_what_cannot_be_ranked_is_left_out_with_the_reason(empty: Scorecard) -> None:
    runs = [run(name, case) for name in ("x", "y") for case in "abc"]
    few = run("few", "a")
    unknown = [run("unknown", case, tokens=None) for case in "abc"]
    found = ranked(empty, [*runs, few, *unknown], "cost=1,footprint=1,correctness=1")
    assert found.places == () and found.cases == 3
    assert found.left_out["few"] == "they were not run on the others' cases"
    assert found.left_out["unknown"] == "these runs do not tell cost and footprint"
    assert found.left_out["x"] == found.left_out["y"] == "these runs do not tell footprint"
    assert in_words(found, {}) == "On scripted nothing can be ranked."
    assert set(by_name(ranked(empty, [*runs, few, *unknown], "cost"))) == {"x", "y"}


def test_code_is_that_of_the_tasks_that_the_cases_are_of(empty: Scorecard) -> None:
    cells = tuple(
        Cell("scripted", framework, task, (), {}, (), {}, None if lines is None else code_size("pass\n" * lines))
        for framework, task, lines in [
            ("x", "tool_calling", 10),
            ("x", "handoff", 90),
            ("y", "tool_calling", 20),
            ("z", "tool_calling", None),
        ]
    )
    found = ranked(empty, [run("x"), run("y"), run("z")], "code", cells=cells)
    assert {name: place.values["code"] for name, place in by_name(found).items()} == {"x": 10, "y": 20}
    assert by_name(found)["y"].total == pytest.approx(0.5)
    assert list(found.left_out) == ["z"]


def test_how_often_the_first_place_stays_with_other_weights(empty: Scorecard) -> None:
    # x is twice as good in import, y twice as good in memory: x is first if import weighs more
    runs = [run("x", import_s=1.0, peak_memory_mb=200.0), run("y", import_s=2.0, peak_memory_mb=100.0)]
    found = ranked(empty, runs, "import=2,memory=1")
    x = by_name(found)["x"]
    # the difference of two independent uniform exponents in [-1, 1] is above -1 with probability 7/8
    assert x.first_with_near_weights == pytest.approx(7 / 8, abs=0.015)
    assert found.order_with_near_weights == x.first_with_near_weights
    assert x.first_with_any_weights == pytest.approx(1 / 2, abs=0.015)
    assert x.first_with_other_cases == 1
    assert (x.best_place, x.worst_place) == (1, 2)
    assert "Could be first as well, with other cases or weights near these: y." in in_words(found, {})
    assert ranked(empty, runs, "import=2,memory=1") == found


def test_how_often_the_first_place_stays_with_other_cases(empty: Scorecard) -> None:
    # each passes one of two cases: of draws of two, a quarter has only x's, a quarter only y's, half both
    runs = [run(name, case, passed=name == case) for name in ("x", "y") for case in ("x", "y")]
    for place in ranked(empty, runs, "correctness").places:
        assert place.first_with_other_cases == pytest.approx(3 / 4, abs=0.04)
    # the cases are the same for all: with a case that both pass or fail alike nothing changes
    runs = [run(name, case, passed=case != "c") for name in ("x", "y") for case in "abcd"]
    runs += [run("z", case, passed=case == "a") for case in "abcd"]
    found = by_name(ranked(empty, runs, "correctness"))
    assert found["x"].first_with_other_cases == found["y"].first_with_other_cases == 1
    assert 0 < found["z"].first_with_other_cases < 0.5


def test_how_it_was_made_is_said(empty: Scorecard) -> None:
    lines = "\n".join(how(read_weights("correctness=3,cost=1")))
    assert "correctness: passed runs / runs\n" in lines
    assert "twice as good in correctness makes up for 8 times as bad in cost" in lines
    assert "makes up for 8" not in "\n".join(how({"cost": 1.0}))
    assert "twice as good" not in "\n".join(how({"cost": 1.0, "code": 1.0}))
    weights = read_weights("cost")
    found = ranked(empty, [run("x"), run("y", tokens=300)], "cost")
    data = json.loads(json.dumps(as_data([found], weights)))
    assert data["criteria"] == {"cost": {"metric": "prompt_tokens_mean", "meaning": "mean prompt tokens of a run"}}
    assert [(place["framework"], place["total"]) for place in data["rankings"][0]["places"]] == [
        ("x", 1),
        ("y", 0.333333),
    ]
    assert data["rankings"][0]["in_words"].startswith("x comes first. Each of the others")


def bakeoff(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[str, str, Any]:
    monkeypatch.setattr(sys, "argv", ["bakeoff", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return out, err, ended.value.code


def test_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    traces, out = tmp_path / "traces", tmp_path / "out"
    for framework in ("baseline", "langgraph"):
        write_trace(traces, trace(key(framework=framework), resources={"import_s": 1.0 + (framework == "langgraph")}))
    command = ("score", "--traces", str(traces), "--out", str(out), "--weights", "correctness,import=2")
    shown, err, code = bakeoff(capsys, monkeypatch, *command)
    assert (code, err) == (0, "")
    assert "scripted · by correctness=1, import=2 · 1 case " in shown
    assert "OpenAI client only comes first." in shown and "near weights: 10,000 draws" in shown
    shown, err, code = bakeoff(capsys, monkeypatch, *command[:-1], "footprint")
    assert shown.startswith("On scripted nothing can be ranked.\nleft out, as these runs do not tell footprint: OpenAI")
    assert "place" not in shown.partition("\n\n")[0]
    shown, err, code = bakeoff(capsys, monkeypatch, *command, "--json")
    assert (code, err) == (0, "")
    assert json.loads(shown)["rankings"][0]["places"][1]["framework"] == "langgraph"
    assert not out.exists()
    shown, err, code = bakeoff(capsys, monkeypatch, *command[:-1], "speed=1")
    assert (code, shown) == (2, "") and err.startswith("bakeoff: --weights speed=1: there is no 'speed'")
    shown, err, code = bakeoff(capsys, monkeypatch, "score", "--json")
    assert (code, shown) == (2, "") and err.startswith("bakeoff: --json is for the ranking, which needs --weights")
