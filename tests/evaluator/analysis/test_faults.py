"""What is made of runs with faults: judged, counted, compared, put into words."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from factories import CASE, key, model_call, tool_call, trace

from evaluator.analysis.faults.judged import FaultRun, judged
from evaluator.analysis.faults.pairs import compare
from evaluator.analysis.faults.rows import apart, rows, sentence, totals
from evaluator.catalog.tasks import all_tasks
from evaluator.trace import Injected, Trace

TASKS = all_tasks()
ONCE = Injected(fault="status_500", strength="once", place="first", moment=0, came=1)
ALWAYS = ONCE.model_copy(update={"strength": "always"})

RUN = FaultRun("baseline", "tool_calling", "c", False, ONCE, "right", True, "", 0, "", 1, 100, 0.5)


def disturbed(injected: Injected = ONCE, **changes: Any) -> Trace:
    return trace(key("greeting--fault"), **changes).model_copy(update={"injected": injected, "case": CASE})


def outcome(*traces: Trace) -> FaultRun:
    [(_, run)] = judged([*traces, trace()], TASKS)
    return run


@pytest.mark.parametrize(
    ("ended", "answer", "end", "well", "well_where_it_stays"),
    [
        ("answered", "Hello.", "right", True, True),
        ("answered", "One moment.", "wrong", False, False),
        ("answered", "I don't know what to say.", "admits", False, True),
        ("error", "", "stopped", False, True),
        ("call_limit", "", "cap", False, False),
        ("timeout", "", "hung", False, False),
    ],
)
def test_how_a_run_ends_and_whether_that_is_well(
    ended: Any, answer: str, end: str, well: bool, well_where_it_stays: bool
) -> None:
    error = None if ended == "answered" else "why"
    run = outcome(disturbed(ended=ended, answer=answer, error=error))
    assert (run.end, run.well) == (end, well)
    assert outcome(disturbed(ALWAYS, ended=ended, answer=answer, error=error)).well == well_where_it_stays


def test_a_fault_that_never_came_counts_for_nothing() -> None:
    assert judged([disturbed(ONCE.model_copy(update={"came": 0}))], TASKS) == []
    raises = ONCE.model_copy(update={"fault": "tool_raises", "came": None})
    assert judged([disturbed(raises)], TASKS) == []
    call = tool_call(0.1, 0.2, error="RuntimeError: the connection to the database was lost")
    assert len(judged([disturbed(raises, tool_calls=[call])], TASKS)) == 1


def test_what_a_run_took_beyond_the_undisturbed_one() -> None:
    calls = [model_call(0, 0, 1, 1), model_call(1, 1, 2, 2)]
    run = outcome(disturbed(model_calls=calls, wall_s=3.0))
    assert (run.calls, run.tokens, run.seconds) == (1, 110, 2.0)
    [(_, alone)] = judged([disturbed()], TASKS)
    assert (alone.calls, alone.tokens, alone.seconds) == (None, None, None)


def asking(times: int) -> Any:
    function = {"name": "create_refund", "arguments": '{"order_id": "O-5003", "amount": 20}'}
    calls = [{"id": f"call_{number}", "type": "function", "function": function} for number in range(times)]
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": calls}}
    return model_call(0, 0, 1, 1, response={"choices": [choice]})


@pytest.mark.parametrize(("asked", "done", "twice"), [(1, 1, 0), (1, 2, 1), (2, 2, 0), (2, 3, 1), (1, 3, 2)])
def test_a_side_effect_is_done_twice_if_it_happens_more_often_than_it_was_asked_for_at_once(
    asked: int, done: int, twice: int
) -> None:
    case = next(case for case in TASKS["tool_calling"].load() if case.id == "refund-20-euros")
    [step] = [step for step in TASKS["tool_calling"].script(case).steps if step.tool == "create_refund"]
    call = tool_call(0.1, 0.2, "create_refund", arguments=step.arguments)
    made = disturbed(tool_calls=[call] * done, model_calls=[asking(asked)]).model_copy(
        update={"case": case.model_dump(mode="json")}
    )
    [(_, run)] = judged([made], TASKS)
    assert run.done_twice == twice


def many(framework: str, recovered: Sequence[bool], fault: str = "status_500", **changes: Any) -> list[FaultRun]:
    """A run for each case."""
    return [
        replace(
            RUN,
            framework=framework,
            case=f"c-{number}",
            injected=ONCE.model_copy(update={"fault": fault}),
            end="right" if right else "wrong",
            well=right,
            **changes,
        )
        for number, right in enumerate(recovered)
    ]


def test_rows_and_totals_add_up() -> None:
    runs = [*many("x", [True, False, True]), *many("x", [True], "tool_raises"), *many("baseline", [True])]
    runs.append(replace(RUN, framework="x", injected=ALWAYS, end="stopped", well=True, error="Boom", done_twice=2))
    runs += many("x", [True, True], hardened=True)
    found = rows(runs)
    assert [(row.framework, row.hardened, row.fault) for row in found] == [
        ("baseline", False, "status_500"),
        ("x", False, "status_500"),
        ("x", False, "tool_raises"),
        ("x", True, "status_500"),
    ]
    status = found[1]
    assert (status.figures.recovered, status.figures.passing, status.error) == (2, 3, "Boom")
    assert (status.figures.ended_well, status.figures.lasting, status.figures.done_twice) == (1, 1, 2)
    assert status.figures.ends == {"right": 2, "stopped": 1, "wrong": 1}
    _, x, hardened = totals(runs)
    assert (x.figures.recovered, x.figures.passing, list(x.layers)) == (3, 4, ["transport", "tool"])
    assert hardened.beside is not None and (hardened.beside.recovered, hardened.beside.passing) == (1, 2)
    assert x.beside is None


def test_the_sentence_names_what_sets_a_framework_apart() -> None:
    runs = [*many("x", [True, False]), *many("y", [True, True]), *many("baseline", [True, True])]
    runs += [*many("x", [True], "reset"), *many("y", [False], "reset"), *many("baseline", [False], "reset")]
    found = rows(runs)
    _, x, _ = totals(runs)
    least, most = apart(x, found)
    assert ([row.fault for row in least], [row.fault for row in most]) == (["status_500"], ["reset"])
    assert sentence("X", x, found) == (
        "X recovered from 2 of 3 faults that passed. No other recovered as seldom from status_500 (1 of 2). No other "
        "recovered as often from reset (1 of 1). 1 run ended with a wrong answer, as if all were well. No side effect "
        "was done twice."
    )


def test_frameworks_are_compared_over_the_draws_that_both_have() -> None:
    runs = [*many("baseline", [True] * 20), *many("x", [False] * 14 + [True] * 8)]
    [pair] = compare(runs)
    assert (pair.framework, pair.against, pair.draws, pair.runs) == ("x", "baseline", 20, 20)
    assert pair.difference == -0.7 and pair.low < -0.7 < pair.high and pair.verdict == "lower"
    assert pair.p == pair.p_holm == pytest.approx(2 / 2**14, rel=1e-4)


def test_few_draws_are_a_tie_and_places_of_one_draw_are_no_draws_of_their_own() -> None:
    [pair] = compare([*many("baseline", [True] * 5), *many("x", [False] * 5)])
    assert pair.verdict == "tie"
    places = [
        replace(RUN, framework=name, injected=ONCE.model_copy(update={"place": place}), end=end)
        for name, end in (("baseline", "right"), ("x", "wrong"))
        for place in ("first", "middle", "last")
    ]
    [pair] = compare(places)
    assert (pair.draws, pair.runs, pair.difference, pair.verdict) == (1, 3, -1.0, "tie")


def test_own_means_are_compared_with_the_same_framework_without_them() -> None:
    runs = [*many("x", [False] * 10), *many("x", [True] * 10, hardened=True)]
    [pair] = compare(runs)
    assert (pair.hardened, pair.against_hardened, pair.difference, pair.verdict) == (True, False, 1.0, "higher")


def test_faults_that_stay_are_in_no_comparison() -> None:
    assert compare([replace(RUN, framework=name, injected=ALWAYS) for name in ("baseline", "x")]) == []
