from typing import Any

import pytest

from tasks.base import Case, Step, ToolCall
from tasks.grading import KINDS, Check, FailureKind, Grade, call_checks, fact_checks, state_check

WANTED = ToolCall(name="book", arguments={"day": "2026-05-01"})
AGAIN = ToolCall(name="book", arguments={"day": "2026-05-02"})
READ = ToolCall(name="look", arguments={})


def kinds(*calls: ToolCall, wanted: tuple[ToolCall, ...] = (WANTED,), **options: Any) -> list[FailureKind]:
    turns = [[Step(tool=call.name, arguments=call.arguments)] for call in wanted]
    return Grade.of(call_checks(turns, wanted, calls, reads=frozenset({"look"}), **options)).kinds


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ([WANTED, READ], []),
        ([], ["a tool call is missing"]),
        ([AGAIN], ["a tool call has a wrong argument", "a tool call did harm"]),
        ([WANTED, AGAIN], ["a tool call did harm"]),
        ([WANTED.model_copy(update={"error": "no seats"})], ["a tool call failed or should have"]),
    ],
)
def test_what_became_of_an_expected_call_has_a_kind(calls: list[ToolCall], found: list[FailureKind]) -> None:
    assert kinds(*calls) == found


def test_calls_out_of_turn_and_calls_without_need_have_kinds() -> None:
    assert kinds(AGAIN, WANTED, wanted=(WANTED, AGAIN), ordered=True) == ["a tool call came too early"]
    assert kinds(WANTED, READ, other_reads=False) == ["a tool call was not needed"]


def test_what_an_answer_lacks_or_says_too_much_has_a_kind() -> None:
    case = Case.model_validate(
        {"id": "c", "kind": "k", "size": "quick", "question": "?", "answer": "4", "facts": ["4"], "forbidden": ["5"]}
    )
    assert Grade.of(fact_checks(case, "It is 4.")).kinds == []
    assert Grade.of(fact_checks(case, "It is 5.")).kinds == [
        "the answer lacks a fact",
        "the answer states something forbidden",
    ]
    assert Grade.of(fact_checks(case, " ")).kinds == ["the answer is empty", "the answer lacks a fact"]


def test_a_grade_has_reasons_and_kinds_of_failed_checks_only_in_their_order() -> None:
    checks = [
        state_check({"orders": {"O-1": 2}}, {"orders": {"O-1": 3}}),
        Check(held=True, kind="the answer is empty", reason="not this"),
        Check(held=False, kind="other", reason="too loud"),
    ]
    grade = Grade.of(checks)
    assert grade.reasons == ["the final state differs: orders O-1 is 3.0 instead of 2.0", "too loud"]
    assert grade.kinds == ["the final state differs", "other"]
    assert grade.score == pytest.approx(1 / 3) and not grade.passed


def test_a_kind_is_a_short_word_for_people_and_stands_once() -> None:
    assert len(set(KINDS)) == len(KINDS)
    assert all(len(kind) <= 40 and kind.strip() == kind for kind in KINDS)
