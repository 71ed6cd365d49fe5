import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from factories import key, trace
from hypothesis import given
from hypothesis import strategies as st

from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.analysis.pairs import COMPARED, Pair, compare, letters, verdict
from evaluator.catalog.tasks import all_tasks

RUN = grade_run(trace(), all_tasks()["tool_calling"])


def run(framework: str, case: int, trial: int = 1, task: str = "tool_calling", **changes: Any) -> GradedRun:
    wall_s = changes.pop("wall_s", 1.0)
    split = replace(RUN.split, overhead_s=wall_s / 2)
    run_key = key(f"case-{case}", trial, framework=framework).model_copy(update={"task": task})
    fields = {"prompt_tokens": 100, "completion_tokens": 10, "wall_s": wall_s, "split": split, **changes}
    return replace(RUN, key=run_key, **fields)


def one(found: list[Pair], metric: str, framework: str = "x", **more: Any) -> Pair:
    wanted = {"metric": metric, "framework": framework, "task": None, "against": "baseline", **more}
    [pair] = [c for c in found if all(getattr(c, name) == value for name, value in wanted.items())]
    return pair


def test_relative_differences_are_those_of_geometric_means() -> None:
    runs = [run("baseline", case, wall_s=1 + case) for case in range(30)]
    runs += [run("x", case, wall_s=(1 + case) * (1.5 if case % 2 else 1.25)) for case in range(30)]
    wall = one(compare(runs), "wall_s")
    mean = math.sqrt(1.5 * 1.25) - 1
    assert wall.difference == pytest.approx(mean, rel=1e-5)
    assert wall.low is not None and wall.high is not None and 0.25 < wall.low < mean < wall.high < 0.5
    assert (wall.cases, wall.runs, wall.verdict) == (30, 30, "higher")
    assert one(compare(runs), "tokens").difference == 0
    assert one(compare(runs), "tokens").verdict == "tie"


def test_pass_rates_are_compared_in_points_over_cases_and_not_over_runs() -> None:
    # case 0 has four trials, which all fail in x; the other 39 have one
    runs = [run("baseline", case) for case in range(40)] + [run("baseline", 0, trial) for trial in (2, 3, 4)]
    runs += [run("x", case, passed=case > 20) for case in range(40)]
    runs += [run("x", 0, trial, passed=False) for trial in (2, 3, 4)]
    rate = one(compare(runs), "pass_rate")
    assert (rate.cases, rate.runs, rate.difference) == (40, 43, -0.525)
    assert rate.verdict == "lower"


def test_only_the_same_cases_and_trials_are_compared() -> None:
    runs = [run("baseline", case) for case in range(10)] + [run("x", case, wall_s=2.0) for case in range(5, 20)]
    runs += [run("x", 5, trial=2, wall_s=50.0)]
    wall = one(compare(runs), "wall_s")
    assert (wall.cases, wall.runs, wall.difference) == (5, 5, 1.0)


def test_runs_without_the_value_do_not_count() -> None:
    runs = [run("baseline", case) for case in range(10)]
    runs += [run("x", case, prompt_tokens=None if case < 3 else 100) for case in range(10)]
    assert one(compare(runs), "tokens").cases == 7
    assert not [c for c in compare([run("baseline", 1), run("x", 2)]) if c.framework == "x"]


def test_every_two_frameworks_and_each_task() -> None:
    names = ("baseline", "x", "y")
    runs = [run(name, case, task=task) for name in names for case in range(3) for task in ("handoff", "rag_qa")]
    found = compare(runs)
    pairs = {(c.task, c.framework, c.against) for c in found}
    assert pairs == {
        (task, *two)
        for task in (None, "handoff", "rag_qa")
        for two in (("x", "baseline"), ("y", "baseline"), ("y", "x"))
    }
    assert len(found) == len(pairs) * len(COMPARED)
    assert all(c.cases == (6 if c.task is None else 3) for c in found)
    # with one task, "all tasks" says it all
    assert {c.task for c in compare([run(name, 1) for name in names])} == {None}


def test_holm_counts_every_comparison_on_the_model() -> None:
    runs = [run("baseline", case) for case in range(20)] + [run("x", case, wall_s=2.0) for case in range(20)]
    small = one(compare(runs), "wall_s")
    more = [run(f"y{i}", case, wall_s=1.0 + (case * 7 + i) % 3) for case in range(20) for i in range(6)]
    large = one(compare(runs + more), "wall_s")
    assert small.p == large.p
    assert small.p_holm < large.p_holm
    assert small.detectable == large.detectable == 0  # it does not vary


def test_the_noise_floor_is_what_the_baselines_own_trials_differ_by() -> None:
    def runs(trials: int, of_x: int) -> list[GradedRun]:
        made = []
        for trial in range(1, trials + 1):
            for case in range(40):
                drift = 1.3 if trial % 2 == 0 else 1.0
                made.append(run("baseline", case, trial, wall_s=drift * (1 + case % 3 / 500)))
                if trial <= of_x:
                    made.append(run("x", case, trial, wall_s=drift * (1.2 + case % 5 / 500)))
        return made

    unknown, noisy = one(compare(runs(1, 1)), "wall_s"), one(compare(runs(2, 1)), "wall_s")
    assert (unknown.noise_floor, unknown.verdict) == (None, "higher")
    assert noisy.noise_floor == pytest.approx(0.3, abs=0.01)
    assert (noisy.p_holm < 0.05, noisy.verdict) == (True, "tie")
    # twice the trials make chance smaller by the square root of two
    more = one(compare(runs(2, 2)), "wall_s")
    assert more.noise_floor == pytest.approx(1.3 ** (1 / math.sqrt(2)) - 1, abs=0.01)
    assert one(compare(runs(3, 2)), "wall_s").noise_floor == more.noise_floor  # a trial without a partner is left out
    assert one(compare(runs(4, 1)), "wall_s").noise_floor == pytest.approx(1.3 ** math.sqrt(2) - 1, abs=0.01)


def test_few_cases_show_nothing() -> None:
    runs = [run("baseline", case, passed=False) for case in range(4)] + [run("x", case) for case in range(4)]
    rate = one(compare(runs), "pass_rate")
    assert (rate.difference, rate.p, rate.detectable, rate.verdict) == (1.0, 2 / 16, None, "tie")
    assert rate.low is not None and rate.low < 0.1


def test_a_pass_rate_that_does_not_vary_still_needs_cases_that_differ() -> None:
    def detectable(metric: str, trials: int) -> float | None:
        runs = [
            run(name, case, trial) for name in ("baseline", "x") for case in range(50) for trial in range(1, trials + 1)
        ]
        return one(compare(runs), metric).detectable

    # five comparisons: 2 / 2^8 is below 0.05 / 5
    assert detectable("pass_rate", 1) == detectable("score", 1) == 8 / 50
    assert detectable("pass_rate", 2) == 4 / 50
    assert detectable("tokens", 1) == 0


def test_one_case_has_no_interval() -> None:
    wall = one(compare([run("baseline", 1), run("x", 1, wall_s=3.0)]), "wall_s")
    assert (wall.difference, wall.low, wall.high, wall.p, wall.detectable) == (2.0, None, None, 1.0, None)


def test_the_order_of_runs_does_not_matter() -> None:
    runs = [
        run(name, case, wall_s=1 + (case * 13 + len(name)) % 7)
        for name in ("baseline", "x", "yy")
        for case in range(20)
    ]
    assert compare(runs) == compare(runs[::-1])
    assert compare([]) == []


def test_tests_that_can_show_nothing_cost_the_others_nothing() -> None:
    def runs(tasks: tuple[str, ...]) -> list[GradedRun]:
        return [
            run(name, case, task=task, wall_s=2.0 if name == "x" else 1.0)
            for name in ("baseline", "x")
            for task in tasks
            for case in range(20 if task == "tool_calling" else 4)
        ]

    alone, beside = compare(runs(("tool_calling",))), compare(runs(("tool_calling", "handoff")))
    few, many = one(beside, "wall_s", task="handoff"), one(beside, "wall_s", task="tool_calling")
    assert (few.p, few.p_holm, few.detectable, few.verdict) == (2 / 16, None, None, "tie")
    # "all tasks" and tool_calling remain, in each metric
    assert many.p_holm == pytest.approx(2 * len(COMPARED) * many.p, rel=1e-4)
    assert one(alone, "wall_s").p_holm == pytest.approx(len(COMPARED) * many.p, rel=1e-4)


NAMES = "abcdef"


@given(st.sets(st.sampled_from([*combinations(NAMES, 2)])))
def test_names_share_a_letter_exactly_if_they_do_not_differ(differing: set[tuple[str, str]]) -> None:
    of = letters(NAMES, sorted(differing))
    for pair in combinations(NAMES, 2):
        assert (not set(of[pair[0]]) & set(of[pair[1]])) == (pair in differing)
    assert "a" in of[NAMES[0]]


def test_the_one_in_the_middle_ties_with_both() -> None:
    assert letters("xyz", [("x", "z")]) == {"x": "a", "y": "ab", "z": "b"}


@pytest.mark.parametrize(
    ("difference", "p", "floor", "expected"),
    [
        (0.2, 0.05, None, "higher"),
        (-0.2, 0.01, 0.1, "lower"),
        (-0.1, 0.01, 0.1, "tie"),
        (0.2, 0.051, 0.0, "tie"),
        (0.2, None, None, "tie"),
    ],
)
def test_verdict(difference: float, p: float | None, floor: float | None, expected: str) -> None:
    assert verdict(difference, p, floor) == expected
