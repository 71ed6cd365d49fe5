"""What verdicts come to, by hand, and what a judge is told."""

from typing import Any, get_args

import orjson
import pytest
from factories import tool_call
from judged import run, told
from played import TASKS, played

from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.analysis.judge import Judgement, figures, question
from evaluator.analysis.judge.verdicts import Said
from evaluator.stats.intervals import pass_rate_interval
from evaluator.trace import Trace
from tasks.cases import Stance

TASK = TASKS["tool_calling"]


def graded(trace: Trace) -> GradedRun:
    return grade_run(trace, TASK)


def said(of: GradedRun, verdict: Said | None, judge: str = "j") -> Judgement:
    return Judgement(of.key, judge, verdict, "", of.passed)


def expected(trace: Trace) -> Any:
    content = question(trace, TASK).messages[1]["content"]
    return orjson.loads(content.split("\n")[1])


def test_the_figures_are_what_they_are_by_hand() -> None:
    # By the rules a, b and c pass, d and e do not; f has no answer, and g is not judged yet.
    a, b, c, d, e = (graded(run(case, "Hello." if case in "abc" else "Go away.")) for case in "abcde")
    f, g = graded(run("f", ended="timeout")), graded(run("g"))
    assert [one.passed for one in (a, b, c, d, e, f)] == [True] * 3 + [False] * 3
    judgements = [said(a, "right"), said(b, "wrong"), said(c, None), said(d, "right"), said(e, "wrong")]
    [found] = figures([a, b, c, d, e, f, g], judgements)
    assert (found.runs, found.verdicts, found.right, found.unanswered, found.no_verdict) == (7, 4, 2, 1, 1)
    assert found.right_share == pytest.approx(2 / 5)
    cases = [(1, 1), (0, 1), (1, 1), (0, 1), (0, 1)]
    assert (found.right_low, found.right_high) == pytest.approx(pass_rate_interval(cases), rel=1e-5)
    # They agree on a and e of a, b, d, e: as much as chance would give, each saying right to two of four.
    assert (found.agreement, found.kappa) == (0.5, 0)


def test_trials_of_a_case_are_one_case_of_the_interval() -> None:
    runs = [graded(run(case, trial=trial)) for case in "ab" for trial in (1, 2)]
    [found] = figures(runs, [said(one, "right" if one.key.case == "a" else "wrong") for one in runs])
    assert (found.right_low, found.right_high) == pytest.approx(pass_rate_interval([(2, 2), (0, 2)]), rel=1e-5)


def test_without_any_verdict_there_is_no_figure() -> None:
    one = graded(run("a"))
    [found] = figures([one], [said(one, None)])
    assert (found.right_share, found.right_low, found.agreement, found.kappa) == (None, None, None, None)
    assert figures([one], []) == ()


def test_two_judges_have_figures_of_their_own() -> None:
    one = graded(run("a"))
    found = figures([one], [said(one, "wrong", "z"), said(one, "right", "b")])
    assert [(each.judge, each.right_share) for each in found] == [("b", 1), ("z", 0)]


CASE: dict[str, Any] = {
    "id": "two-orders",
    "kind": "several_demands",
    "level": 4,
    "size": "full",
    "question": "What do O-5003 and O-5012 cost?",
    "turns": [[{"tool": "get_order", "arguments": {"order_id": "O-5003"}}]],
    "facts": [{"says": "69.90 EUR", "about": "O-5003"}],
    "answer": "O-5003 costs 69.90 EUR.",
}


def test_a_judge_is_told_what_is_expected_of_whom() -> None:
    assert expected(run("two-orders", case=CASE)) == {
        "question": CASE["question"],
        "a right answer": "It answers the question.",
        "facts": [{"says, in any of these wordings": ["69.90 EUR"], "of": ["O-5003"]}],
        "a right answer in full": CASE["answer"],
        "expected calls": [{"tool": "get_order", "arguments": {"order_id": "O-5003"}}],
    }


def test_a_judge_is_told_each_call_in_its_order_with_what_it_gave() -> None:
    calls = [
        tool_call(2.0, 2.1, "create_refund", arguments={"order_id": "O-5003"}, error="ToolError: too late"),
        tool_call(1.0, 1.1, arguments={"order_id": "O-5003"}, result={"status": "delivered"}),
    ]
    asked = question(run("a", tool_calls=calls), TASK)
    assert told({"messages": asked.messages}) == {
        "tool calls": [
            {"tool": "get_order", "arguments": {"order_id": "O-5003"}, "result": '{"status": "delivered"}'},
            {"tool": "create_refund", "arguments": {"order_id": "O-5003"}, "error": "ToolError: too late"},
        ],
        "answer": "Hello.",
    }


def test_a_search_by_the_frameworks_own_means_is_no_call_that_is_missing() -> None:
    trace = played("rag_qa", "longlora-context").model_copy(update={"tool_calls": []})
    asked = question(trace, TASKS["rag_qa"])
    assert told({"messages": asked.messages}) == {"answer": trace.outcome.answer}
    assert told({"messages": question(run("a"), TASK).messages})["tool calls"] == []


def test_what_is_long_is_cut_and_says_so() -> None:
    calls = [tool_call(float(n), n + 0.5, result="r" * 1_000_000) for n in range(1000)]
    asked = question(run("a", "x" * 1_000_000, tool_calls=calls), TASK)
    assert len(asked.messages[1]["content"]) < 200_000
    shown = told({"messages": asked.messages})
    assert shown["tool calls not shown"] + len(shown["tool calls"]) == 1000
    for text in (shown["answer"], shown["tool calls"][0]["result"]):
        assert text.endswith("characters more)")


@pytest.mark.parametrize(
    "changes",
    [{"answer": "Hi."}, {"tool_calls": [tool_call(1.0, 1.1)]}, {"case": {**CASE, "facts": ["hello", "you"]}}],
)
def test_the_digest_is_over_all_that_a_judge_is_told(changes: dict[str, Any]) -> None:
    assert question(run("a"), TASK).digest != question(run("a", **changes), TASK).digest


def test_the_digest_is_over_nothing_else() -> None:
    assert question(run("a"), TASK).digest == question(run("a", trial=2, wall_s=9.0, cpu="Another"), TASK).digest


def test_each_stance_of_a_case_has_words() -> None:
    stances = get_args(Stance)
    words = {stance: expected(run("a", case={**CASE, "stance": stance}))["a right answer"] for stance in stances}
    assert len(set(words.values())) == len(stances)
