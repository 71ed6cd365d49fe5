import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from factories import key, trace
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

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


def test_holm_counts_every_comparison_in_the_metric_on_the_model_and_no_other_metric() -> None:
    runs = [run("baseline", case) for case in range(20)] + [run("x", case, wall_s=2.0) for case in range(20)]
    small = one(compare(runs), "wall_s")
    more = [run(f"y{i}", case, wall_s=1.0 + (case * 7 + i) % 3) for case in range(20) for i in range(6)]
    large = one(compare(runs + more), "wall_s")
    assert small.p == small.p_holm == large.p
    # eight frameworks are 28 pairs
    assert large.p_holm == pytest.approx(28 * large.p, rel=1e-4)
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


def test_times_compare_within_a_sitting_only_and_all_else_does_everywhere() -> None:
    runs = [run("baseline", case, wall_s=1.0, sitting="morning") for case in range(30)]
    runs += [run("x", case, wall_s=2.0, sitting="morning" if case < 20 else "evening") for case in range(30)]
    found = compare(runs)
    assert (one(found, "wall_s").cases, one(found, "overhead_s").cases, one(found, "tokens").cases) == (20, 20, 30)


def test_the_noise_floor_of_times_is_that_within_a_sitting() -> None:
    """The evening is twice as slow, which is no chance; the baseline may have trials that no other framework has."""

    def floor(metric: str, evening: tuple[int, ...], trials: int = 4) -> float | None:
        runs = [run("x", case, wall_s=1.0, sitting="morning") for case in range(40)]
        for case in range(40):
            for trial in range(1, trials + 1):
                late = trial in evening
                wall_s = (2.0 if late else 1.0) * (1.1 if trial % 2 else 1.0)
                more = {"sitting": "evening" if late else "morning", "prompt_tokens": 200 if late else 100}
                runs.append(run("baseline", case, trial, wall_s=wall_s, **more))
        return one(compare(runs), metric).noise_floor

    # Both pairs of trials differ by a tenth each way; chance of one trial is larger by the root of two.
    assert floor("wall_s", ()) == floor("wall_s", (3, 4)) == pytest.approx(1.1 ** math.sqrt(2) - 1, rel=1e-5)
    # Of trials 1 and 2 to 4 there is one pair in the evening, and none is made of both sittings.
    assert floor("wall_s", (2, 3, 4)) == pytest.approx(0.1, rel=1e-5)
    assert floor("wall_s", (2,), trials=2) is None
    assert floor("tokens", (2,), trials=2) == pytest.approx(210 / 110 - 1, rel=1e-5)


def test_the_smallest_difference_lies_above_the_noise_floor() -> None:
    def made(of_chance: float) -> Pair:
        runs = []
        for case in range(40):
            for trial in (1, 2):
                noisy = 1.0 if trial == 1 else of_chance
                runs.append(run("baseline", case, trial, wall_s=noisy))
                runs.append(run("x", case, trial, wall_s=noisy * (1.05 if case % 2 else 0.95)))
        return one(compare(runs), "wall_s")

    quiet, noisy = made(1.0), made(1.5)
    assert quiet.noise_floor == 0 and quiet.detectable is not None
    # One as large as the floor is seen above it in half of all experiments: it takes 0.84 standard errors more.
    error = math.log(1.05 / 0.95) / 2 / math.sqrt(39)
    floor = math.log(1.5) / math.sqrt(2)
    assert noisy.noise_floor == pytest.approx(math.expm1(floor), rel=1e-4)
    assert noisy.detectable == pytest.approx(math.expm1(floor + stats.norm.ppf(0.8) * error), rel=1e-4)
    assert noisy.detectable > quiet.detectable


def test_few_cases_show_nothing() -> None:
    runs = [run("baseline", case, passed=False) for case in range(4)] + [run("x", case) for case in range(4)]
    rate = one(compare(runs), "pass_rate")
    assert (rate.difference, rate.p, rate.detectable, rate.verdict) == (1.0, 2 / 16, None, "tie")
    assert rate.low is not None and rate.low < 0.1


def test_a_pass_rate_that_does_not_vary_still_needs_cases_that_differ() -> None:
    def detectable(metric: str, trials: int) -> float | None:
        runs = [
            run(name, case, trial, passed=case > 9, score=float(case > 9))
            for name in ("baseline", "x")
            for case in range(50)
            for trial in range(1, trials + 1)
        ]
        return one(compare(runs), metric).detectable

    # Each metric has one comparison, and six cases that differ are enough for it: 2 / 2^6 is below 0.05.
    [share] = stats.beta.ppf([0.8], 6, 50 - 6 + 1)
    assert detectable("pass_rate", 1) == detectable("score", 1) == pytest.approx(share, rel=1e-5)
    # With two trials a case differs if either of them does.
    assert detectable("pass_rate", 2) == pytest.approx(1 - math.sqrt(1 - share), rel=1e-5)
    assert detectable("tokens", 1) == 0


def test_where_all_pass_or_all_fail_there_is_no_test_and_it_costs_the_others_nothing() -> None:
    def runs(*rates: tuple[str, int]) -> list[GradedRun]:
        return [
            run(name, case, passed=case < passed, score=0.5 + (case < passed) / 4)
            for name, passed in rates
            for case in range(30)
        ]

    alone = one(compare(runs(("baseline", 20), ("x", 8))), "pass_rate")
    found = compare(runs(("baseline", 20), ("x", 8), ("y", 30), ("z", 30)))
    of_all = one(found, "pass_rate", framework="z", against="y")
    assert (of_all.p, of_all.p_holm, of_all.detectable, of_all.verdict) == (1.0, None, None, "tie")
    # x and baseline, each of them with y and z, and not y with z
    pairs = [pair for pair in found if pair.metric == "pass_rate" and pair.p_holm is not None]
    assert len(pairs) == 5
    p_values = sorted(pair.p for pair in pairs)
    assert min(pair.p_holm or 1 for pair in pairs) == pytest.approx(5 * p_values[0], rel=1e-4)
    assert alone.p_holm == alone.p == pytest.approx(2 / 2**12, rel=1e-5)
    # a score of three quarters everywhere could have been another one
    assert one(found, "score", framework="z", against="y").p_holm is not None
    failing = compare(runs(("baseline", 0), ("x", 0)))
    assert one(failing, "pass_rate").p_holm is None and one(failing, "tokens").p_holm == 1


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
    # "all tasks" and tool_calling remain
    assert many.p_holm == pytest.approx(2 * many.p, rel=1e-4)
    assert one(alone, "wall_s").p_holm == pytest.approx(many.p, rel=1e-4)


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
