"""Whose times compare: what is told apart where traces name their sittings, and where they do not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from factories import key, trace

from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.analysis.sittings import Apart, in_sittings
from evaluator.catalog.tasks import all_tasks

RUN = grade_run(trace(wall_s=20.0), all_tasks()["tool_calling"])
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
NAMES = ("baseline", "x", "y")


def run(
    framework: str, case: str, sitting: str | None = "s1", trial: int = 1, minutes: float = 0, machine: str = "A"
) -> GradedRun:
    return replace(
        RUN,
        key=key(case, trial, framework=framework),
        sitting=sitting,
        started_at=NOON + timedelta(minutes=minutes),
        machine=machine,
    )


def rounds(names: tuple[str, ...], cases: str, sitting: str | None = "s1", trial: int = 1) -> list[GradedRun]:
    return [run(name, case, sitting, trial) for case in cases for name in names]


def timed(runs: list[GradedRun]) -> tuple[dict[str, str], list[Apart]]:
    """For each framework the cases, and the trials above the first, that are timed."""
    placed, apart = in_sittings(runs)
    assert [one.key for one in placed] == [one.key for one in runs]
    found: dict[str, str] = {one.key.framework: "" for one in runs}
    for one in placed:
        if one.timed:
            found[one.key.framework] += one.key.case + (str(one.key.trial) if one.key.trial > 1 else "")
    return found, apart


def test_in_one_sitting_all_are_timed() -> None:
    assert timed(rounds(NAMES, "abc")) == ({"baseline": "abc", "x": "abc", "y": "abc"}, [])


def test_rounds_may_be_of_several_sittings_as_long_as_each_is_of_one() -> None:
    runs = rounds(NAMES, "ab") + rounds(NAMES, "cd", "s2") + rounds(NAMES, "ab", "s2", trial=2)
    assert timed(runs) == ({name: "abcda2b2" for name in NAMES}, [])


def test_a_framework_that_was_recorded_apart_has_no_times() -> None:
    runs = rounds(("baseline", "x"), "abc") + rounds(("y",), "abc", "s2")
    assert timed(runs) == ({"baseline": "abc", "x": "abc", "y": ""}, [Apart("tool_calling", ("y",), 0)])
    alone = rounds(("baseline",), "abc") + rounds(("y",), "abc", "s2")
    assert timed(alone) == ({"baseline": "abc", "y": ""}, [Apart("tool_calling", ("y",), 0)])


def test_a_round_that_was_begun_in_one_sitting_and_completed_in_another_counts_for_none() -> None:
    """And not the whole of those that came later: all of them have the other rounds."""
    runs = [*rounds(NAMES, "ab"), run("baseline", "c"), run("x", "c", "s2"), run("y", "c", "s2")]
    runs += rounds(NAMES, "d", "s2")
    assert timed(runs) == ({name: "abd" for name in NAMES}, [Apart("tool_calling", (), 1)])


def test_a_framework_with_fewer_cases_takes_nothing_from_the_others() -> None:
    runs = rounds(("baseline", "x"), "abcd") + rounds(("y",), "a")
    assert timed(runs) == ({"baseline": "abcd", "x": "abcd", "y": "a"}, [])


def test_more_trials_of_the_baseline_count_if_they_are_of_the_same_sitting() -> None:
    same = rounds(NAMES, "ab") + [run("baseline", case, "s1", trial) for case in "ab" for trial in (2, 3)]
    assert timed(same) == ({"baseline": "aba2a3b2b3", "x": "ab", "y": "ab"}, [])
    later = rounds(NAMES, "ab") + [run("baseline", case, "s2", trial) for case in "ab" for trial in (2, 3)]
    assert timed(later) == ({"baseline": "ab", "x": "ab", "y": "ab"}, [])


def test_a_sitting_on_two_machines_is_two() -> None:
    runs = rounds(("baseline", "x"), "ab") + [run("y", case, machine="B") for case in "ab"]
    assert timed(runs)[0] == {"baseline": "ab", "x": "ab", "y": ""}


def test_without_a_name_a_pause_ends_a_sitting() -> None:
    def recorded(pause: float) -> list[GradedRun]:
        one_after_another = [run(name, case, None) for case in "abc" for name in ("baseline", "x")]
        runs = [replace(one, started_at=NOON + i * timedelta(seconds=30)) for i, one in enumerate(one_after_another)]
        end = NOON + 5 * timedelta(seconds=30) + timedelta(seconds=RUN.wall_s)
        later = [run("y", case, None) for case in "abc"]
        start = end + timedelta(minutes=pause)
        return runs + [replace(one, started_at=start + i * timedelta(seconds=30)) for i, one in enumerate(later)]

    assert timed(recorded(5))[0] == {"baseline": "abc", "x": "abc", "y": "abc"}
    assert timed(recorded(11)) == (
        {"baseline": "abc", "x": "abc", "y": ""},
        [Apart("tool_calling", ("y",), 0)],
    )
    placed, _ = in_sittings(recorded(11))
    assert len({one.sitting for one in placed}) == 2


def test_without_a_name_frameworks_that_were_recorded_one_after_the_other_took_no_turns() -> None:
    runs = [
        run(name, f"{case:02}", None, minutes=first + case / 2)
        for name, first in (("baseline", 0), ("x", 20), ("y", 40))
        for case in range(40)
    ]
    found, apart = timed(runs)
    assert len(found["baseline"]) == 2 * 40 and found["x"] == found["y"] == ""
    assert apart == [Apart("tool_calling", ("x", "y"), 0)]


def test_a_trace_that_does_not_say_when_it_began_is_of_no_known_sitting() -> None:
    runs = rounds(("baseline", "x"), "ab", None)
    runs += [replace(run("y", case, None), started_at=None) for case in "ab"]
    assert timed(runs)[0] == {"baseline": "ab", "x": "ab", "y": ""}


def test_tasks_are_apart() -> None:
    runs = rounds(NAMES, "ab")
    other = [
        replace(
            one, key=one.key.model_copy(update={"task": "handoff"}), sitting="s2" if one.key.framework == "y" else "s1"
        )
        for one in runs
    ]
    placed, apart = in_sittings(runs + other)
    assert {(one.key.framework, one.key.task) for one in placed if not one.timed} == {("y", "handoff")}
    assert apart == [Apart("handoff", ("y",), 0)]
