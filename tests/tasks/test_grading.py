import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled import PARTS as labelled_parts
from labelled import Labelled, confusion, graded, labelled, shown

from tasks.base import Step, ToolCall
from tasks.cases import Case, Fact
from tasks.grading import (
    KINDS,
    PARTS,
    Check,
    FailureKind,
    Grade,
    Tools,
    Vocabulary,
    World,
    answer_checks,
    call_checks,
    floor_outcomes,
    found_by_reads,
    state_check,
)
from tasks.grading.stance import abstains, claims, finds_none, gives_up, refuses, reports_refusal
from tasks.grading.statements import Polarity, read
from tasks.grading.text import clauses, readable
from tasks.grading.values import values_in

# --- checks and grades -------------------------------------------------------------------------

WANTED = ToolCall(name="book", arguments={"day": "2026-05-01"})
AGAIN = ToolCall(name="book", arguments={"day": "2026-05-02"})
READ = ToolCall(name="look", arguments={})


def kinds(*calls: ToolCall, wanted: tuple[ToolCall, ...] = (WANTED,), **options: Any) -> list[FailureKind]:
    turns = [[Step(tool=call.name, arguments=call.arguments)] for call in wanted]
    return Grade.of(call_checks(turns, wanted, calls, tools=Tools(reads=frozenset({"look"})), **options)).kinds


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ([WANTED, READ], []),
        ([], ["a tool call is missing"]),
        ([AGAIN], ["a tool call has a wrong argument", "a tool call did harm"]),
        ([WANTED, AGAIN], ["a tool call did harm"]),
        ([WANTED, WANTED], ["a tool call did harm"]),
        ([WANTED.model_copy(update={"error": "no seats"})], ["a tool call failed or should have"]),
    ],
)
def test_what_became_of_an_expected_call_has_a_kind(calls: list[ToolCall], found: list[FailureKind]) -> None:
    assert kinds(*calls) == found


def test_calls_out_of_turn_and_calls_without_need_have_kinds() -> None:
    assert kinds(AGAIN, WANTED, wanted=(WANTED, AGAIN), ordered=True) == ["a tool call came too early"]
    assert kinds(WANTED, READ, other_reads=False) == ["a tool call was not needed"]


def check(name: str, held: bool, kind: FailureKind = "other") -> Check:
    return Check(name=name, part="calls", held=held, kind=kind, reason=f"{name} did not hold")


def test_a_grade_has_reasons_and_kinds_of_failed_checks_only_in_their_order() -> None:
    checks = [state_check({"orders": {"O-1": 2}}, {"orders": {"O-1": 3}}), check("a", True), check("b", False)]
    grade = Grade.of(checks)
    assert grade.reasons == ["the final state differs: orders O-1 is 3.0 instead of 2.0", "b did not hold"]
    assert grade.kinds == ["the final state differs", "other"]
    assert grade.parts == {"calls": False, "state": False}
    assert grade.score == pytest.approx(1 / 3) and not grade.passed


def test_what_holds_for_doing_nothing_earns_nothing_and_can_only_cost() -> None:
    floor = frozenset({"harm", "more harm"})
    assert Grade.of([check("harm", True), check("fact", False)], floor).score == 0
    assert Grade.of([check("harm", True), check("fact", True)], floor).score == 1
    assert Grade.of([check("harm", False), check("fact", True)], floor).score == 1 / 2
    assert Grade.of([check("harm", True), check("more harm", True)], floor).score is None


def test_a_kind_is_a_short_word_for_people_and_stands_once() -> None:
    assert len(set(KINDS)) == len(KINDS)
    assert all(len(kind) <= 40 and kind.strip() == kind for kind in (*KINDS, *PARTS))


# --- reading: values ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("69.90 EUR, €69,90, EUR 69.90, 69.9 euros and sixty-nine euros and ninety cents", ["69.9 EUR"]),
        ("1,234.50 USD, $1,234.50, 1.234,50 US dollars", ["1234.5 USD"]),
        ("528,71 kr, NOK 528.71, 528.71 Norwegian kroner", ["528.71 NOK"]),
        ("94 Mbit/s, 94 Mbps, 94 Mb/s, 94 megabits per second", ["94 Mbit/s"]),
        ("32 GB, 32GB, 32 GiB, thirty-two gigabytes, 32 吉字节", ["32 GB"]),
        ("8-16 GB, 8–16GB, 8 GB to 16 GB, between 8 and 16 gigabytes, 8 到 16 GB", ["8-16 GB"]),
        ("2-5x, 2–5×, 2x to 5x, two to five times", ["2-5 x"]),
        ("24倍, 二十四倍, 24-fold, 24 times", ["24 x"]),
        ("2026-04-08, 08.04.2026, 8 April 2026, April 8th, 2026, 2026/04/08, 2026年4月8日", ["2026-04-08"]),
        ("April the 8th, 8th of April, Apr. 8, the eighth of April, 4月8日", ["04-08"]),
        ("04/08/2026, 4-8-2026", ["an ambiguous date"]),
        ("04/18/2026, 18/04/2026", ["2026-04-18"]),
        ("P-14, INT-3, INT3 and MOBILE-S", ["P14", "INT3", "MOBILES"]),
        ("two, three and four bits", ["2 bit", "3 bit", "4 bit"]),
        ("32 768 tokens, 32,768 tokens, 32768 tokens", ["32768 tokens"]),
        ("1. first\n2. second", []),
        ("Windows95, v2, ab12cd", ["WINDOWS95"]),
    ],
)
def test_values_are_read_in_any_spelling(text: str, said: list[str]) -> None:
    values = [value.shown for value in values_in(readable(text))]
    assert list(dict.fromkeys(values)) == said


@pytest.mark.parametrize(
    ("text", "bound", "rate"),
    [
        ("more than 50 tools", 1, ""),
        ("50+ tools", 1, ""),
        ("fewer than 50 tools", -1, ""),
        ("no more than 50 tools", 0, ""),
        ("17.45 EUR per month", 0, "month"),
        ("€17.45/month", 0, "month"),
        ("17.45 EUR a month", 0, "month"),
        ("17.45 EUR per kg", 0, "kg"),
    ],
)
def test_values_have_bounds_and_rates(text: str, bound: int, rate: str) -> None:
    [value] = values_in(readable(text))
    assert (value.bound, value.rate) == (bound, rate)


# --- reading: statements -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("INT4, INT3 and INT2 are not supported.", ["INT4, INT3 and INT2 are not supported."]),
        ("It is due; it is unpaid, but I ask.", ["It is due", "it is unpaid", "but I ask."]),
        ("| A | 1 |\n|---|---|\n| B | 2 |", ["A", "1", "B", "2"]),
        ("不是 24 倍，而是 3 倍。", ["不是 24 倍", "而是 3 倍。"]),
        ("The A is there, the B is not.", ["The A is there", "the B is not."]),
    ],
)
def test_clauses(text: str, pieces: list[str]) -> None:
    assert [piece.text.strip(" ,;") for piece in clauses(readable(text))] == pieces


@pytest.mark.parametrize(
    ("text", "polarity"),
    [
        ("It is 42.", "affirmed"),
        ("It is not 42.", "denied"),
        ("It isn't 42 but 43.", "denied"),
        ("It is 43, not 42.", "denied"),
        ("It is 43 instead of 42.", "denied"),
        ("Not 43 but 42.", "affirmed"),
        ("42 is not supported.", "topic"),
        ("Not only that, it is 42.", "affirmed"),
        ("It is no later than 42.", "affirmed"),
        ("No problem: 42.", "affirmed"),
        ("It cannot be returned after 42 days.", "affirmed"),
        ("Maybe it is 42.", "doubted"),
        ("I think that it is 42.", "doubted"),
        ("It might be 42.", "doubted"),
        ("I'm not sure, but it is 42.", "doubted"),
        ("It may be returned within 42 days.", "affirmed"),
        ("Is it 42?", "open"),
        ("If it is 42, good.", "open"),
        ("不是 42。", "denied"),
        ("可能是 42。", "doubted"),
        ("不是 43，而是 42。", "affirmed"),
    ],
)
def test_polarity(text: str, polarity: Polarity) -> None:
    reading = read(text)
    place = reading.text.index("42")
    assert reading.polarity(place, place + 2) == polarity


# --- answers -----------------------------------------------------------------------------------


def case(facts: list[Any], **fields: Any) -> Case:
    common = {"id": "c", "kind": "k", "size": "quick", "question": "What is it?", "answer": "It is so.", "facts": facts}
    return Case.model_validate(common | fields)


def said(asked: Case, answer: str, vocabulary: Vocabulary | None = None, *data: Any) -> list[FailureKind]:
    world = World(asked, vocabulary or Vocabulary(), data=data)
    return Grade.of(answer_checks(asked, answer, world)).kinds


SHIPPED = case(
    [
        {"says": "shipped", "about": "O-1"},
        {"says": "69.90 EUR", "about": "O-1"},
        {"says": "delivered", "about": "O-2"},
        {"says": "84.45 EUR", "about": "O-2"},
    ],
    answer="O-1 is shipped, its total is 69.90 EUR. O-2 is delivered, its total is 84.45 EUR.",
)


@pytest.mark.parametrize(
    "answer",
    [
        "O-1 is shipped (69.90 EUR) and O-2 delivered (84.45 EUR).",
        "O-2: delivered, €84.45. O-1: shipped, €69.90.",
        "O-1\n- status: shipped\n- total: 69.90\n\nO-2\n- status: delivered\n- total: 84.45",
        "| Order | Status | Total |\n|---|---|---|\n| O-1 | shipped | 69,90 € |\n| O-2 | delivered | 84,45 € |",
        "| | O-1 | O-2 |\n|---|---|---|\n| Status | shipped | delivered |\n| Total | 69.90 EUR | 84.45 EUR |",
        "O-1 and O-2 are shipped and delivered; they come to 69.90 EUR and 84.45 EUR, respectively.",
    ],
)
def test_values_are_read_with_their_subjects(answer: str) -> None:
    assert said(SHIPPED, answer) == []


@pytest.mark.parametrize(
    "answer",
    [
        "O-2 is shipped (69.90 EUR) and O-1 delivered (84.45 EUR).",
        "| Order | Status | Total |\n|---|---|---|\n| O-2 | shipped | 69.90 |\n| O-1 | delivered | 84.45 |",
        "O-2 and O-1 are shipped and delivered; they come to 69.90 EUR and 84.45 EUR, respectively.",
    ],
)
def test_values_of_swapped_subjects_fail(answer: str) -> None:
    assert set(said(SHIPPED, answer)) == {"the answer gives a fact to another"}


STOCK = case([{"says": "23 units", "about": "P-1"}, {"says": "38 units", "about": "P-2"}], answer="P-1: 23, P-2: 38.")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("23 and 38.", []),
        ("38 and 23.", ["the answer gives a fact to another"] * 2),
        ("There are 23 units of P-1 and 38 of P-2.", []),
        ("There are 38 units of P-2 and 23 of P-1.", []),
        ("There are 38 units of P-1 and 23 of P-2.", ["the answer gives a fact to another"] * 2),
        ("P-1 has 23 and P-2 38 lamps.", []),
        ("23 EUR and 38 EUR.", ["the answer lacks a fact"] * 2),
    ],
)
def test_values_without_subjects_stand_in_the_order_of_the_question(answer: str, found: list[FailureKind]) -> None:
    assert [kind for kind in said(STOCK, answer) if "foreign" not in kind] == found


PRICE = case(["24.32 EUR"], question="What does a parcel of 2.5 kg cost?", answer="It costs 24.32 EUR.")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("24,32 €", []),
        ("24.32", []),
        ("The parcel of 2.5 kg costs €24.32.", []),
        ("It does not cost 24.32 EUR.", ["the answer denies or doubts a fact"]),
        ("It may be 24.32 EUR.", ["the answer denies or doubts a fact"]),
        ("24.32 EUR. Or perhaps it is not 24.32 EUR.", ["the answer denies or doubts a fact"]),
        ("24.32 USD", ["the answer lacks a fact", "the answer states a foreign amount"]),
        ("24.32 EUR or 11.82 EUR", ["the answer states a foreign amount"]),
        ("24.32 EUR, not 11.82 EUR", []),
        ("24.32 EUR per kg", ["the answer states a foreign amount"]),
        ("24.32 EUR by 2026-05-01", ["the answer states a foreign date"]),
        ("24.32 EUR for O-7", ["the answer states a foreign id"]),
        ("24.32 EUR in 3 days", ["the answer states a foreign number"]),
        ("I don't know. 24.32 EUR", ["gives up although there is an answer"]),
        ("Is it 24.32 EUR?", ["the answer denies or doubts a fact"]),
        (" ", ["the answer is empty", "the answer lacks a fact"]),
    ],
)
def test_a_fact_must_be_affirmed_and_nothing_foreign_beside_it(answer: str, found: list[FailureKind]) -> None:
    assert said(PRICE, answer) == found


def test_what_calls_gave_or_the_case_allows_is_not_foreign() -> None:
    data = {"placed": "2026-05-01", "lines": [{"product_id": "P-1", "quantity": 3}], "weight_kg": 14.5}
    answer = "24.32 EUR for 3 of P-1, placed on 1 May 2026, 14.5 kg."
    assert set(said(PRICE, answer)) == {f"the answer states a foreign {what}" for what in ("id", "date", "number")}
    assert said(PRICE, answer, None, data) == []
    assert said(PRICE.model_copy(update={"allowed": ["P-1", "2026-05-01", "3 units", "14.5 kg"]}), answer) == []


def test_more_and_less_are_told_apart() -> None:
    asked = case(["50 tools"], question="How many tools?", answer="There are more than 50 tools.")
    assert said(asked, "Over 50.") == said(asked, "50 tools") == []
    assert said(asked, "Fewer than 50 tools.") == ["the answer denies or doubts a fact"]
    assert said(asked, "More than 50 model providers.") == ["the answer lacks a fact"]


def test_states_and_roles_of_a_task_exclude_one_another() -> None:
    words = Vocabulary(
        opposites=(("paid", "unpaid"),),
        states=(("shipped", "delivered", "cancelled"),),
        roles=((("main memory", "RAM"), ("video memory", "VRAM")),),
    )
    asked = case(["8 GB"], question="How much video memory, and is it shipped?", answer="8 GB; it is shipped.")
    assert said(asked, "8 GB of VRAM; it is shipped.", words) == []
    assert said(asked, "8 GB of VRAM; it is cancelled.", words) == ["the answer states a foreign word"]
    assert said(asked, "8 GB of RAM.", words) == ["the answer gives a fact to another"]
    unpaid = case(["unpaid"], answer="It is unpaid.")
    assert said(unpaid, "It has not been paid yet.", words) == []
    assert said(unpaid, "It has not been paid yet.") == ["the answer lacks a fact"]


def test_what_the_right_answer_denies_may_be_denied() -> None:
    asked = case(["mobile plan"], answer="It was refused: there is no mobile plan.", stance="denied")
    assert said(asked, "It was refused, because C has no mobile plan.") == []
    assert said(asked, "It was refused.") == ["the answer lacks a fact"]


def test_nought_is_a_number_and_a_word() -> None:
    asked = case(["0 units"], question="How many units?", answer="There are 0 units.")
    assert [said(asked, text) for text in ("None.", "0", "It is out of stock.", "no units")] == [[]] * 4


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        (
            refuses,
            [
                "I can't book flights.",
                "Booking flights is not possible here.",
                "That's not something I do.",
                "This is outside my area.",
                "I only answer telecom questions.",
                "There is no tool for it.",
                "I lack the ability to do so.",
            ],
            ["It is done.", "I booked it.", "Shall I book it?", "This can't be undone."],
        ),
        (
            abstains,
            [
                "I don't know.",
                "No document names it.",
                "The guide is silent on this.",
                "It is nowhere mentioned.",
                "My searches came up empty.",
                "文档没有提到。",
                "资料里查不到版本号。",
            ],
            ["It is Apache 2.0.", "它是 24 倍。", "Which one do you mean?"],
        ),
        (
            finds_none,
            ["There is no order O-1.", "O-1 does not exist.", "I couldn't find it.", "Nobody is registered with it."],
            ["O-1 is shipped.", "I cannot help with that.", "I don't know."],
        ),
        (reports_refusal, ["It was refused.", "It did not go through.", "No refund."], ["It was refunded."]),
        (
            claims,
            ["It has been cancelled.", "I cancelled it.", "Done.", "The price is now 3 EUR."],
            ["I cannot cancel it.", "It can be cancelled.", "It was not cancelled."],
        ),
        (gives_up, ["I don't know.", "I'm not sure.", "The documents do not say."], ["It is 3.", "It is not 3."]),
    ],
)
def test_what_an_answer_does_is_read_from_its_structure(rule: Any, yes: list[str], no: list[str]) -> None:
    assert [text for text in yes if not rule(read(text))] == []
    assert [text for text in no if rule(read(text))] == []


def test_a_refusal_that_claims_or_an_abstention_that_answers_fails() -> None:
    refusal = case([], question="Cancel it.", answer="I cannot cancel it.", stance="refuse")
    assert said(refusal, "I cannot do that.") == []
    assert said(refusal, "It has been cancelled, I cannot say more.") == ["claims what was not done"]
    unknown = case([], question="What does it cost?", answer="I don't know.", stance="abstain")
    assert said(unknown, "The guide does not say.") == []
    assert said(unknown, "The guide does not say, but about 9 USD.") == ["the answer states a foreign amount"]
    assert said(unknown, "The guide does not say, but it is Apache.") == ["answers although the documents do not"]


# --- equivalent calls --------------------------------------------------------------------------

TOOLS = Tools(
    reads=frozenset({"stock", "orders"}),
    any_case=frozenset({"email"}),
    any_order=frozenset({"ids", "lines"}),
    narrowing=frozenset({"status"}),
    one_by_one=frozenset({"ids"}),
)


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments, result={})


@pytest.mark.parametrize(
    ("wanted", "made", "right"),
    [
        (call("stock", ids=["A", "B"]), [call("stock", ids=["B", "A"])], True),
        (call("stock", ids=["A", "B"]), [call("stock", ids=["A"]), call("stock", ids=["B"])], True),
        (call("stock", ids=["A", "B"]), [call("stock", ids=["A", "B", "C"])], True),
        (call("stock", ids=["A", "B"]), [call("stock", ids=["A"])], False),
        (call("orders", email="a@b.c", status="new"), [call("orders", email="A@B.C", status=None)], True),
        (call("orders", email="a@b.c", status="new"), [call("orders", email="a@b.c", status="old")], False),
        (call("order", lines=[{"id": 1}, {"id": 2}]), [call("order", lines=[{"id": 2}, {"id": 1}])], True),
        (call("order", lines=[1], status="new"), [call("order", lines=[1], status=None)], False),
        (call("order", ids=["A", "B"]), [call("order", ids=["A"]), call("order", ids=["B"])], False),
    ],
)
def test_reads_that_give_more_and_spellings_are_the_expected_call_and_writes_are_not(
    wanted: ToolCall, made: list[ToolCall], right: bool
) -> None:
    turns = [[Step(tool=wanted.name, arguments=wanted.arguments)]]
    assert Grade.of(call_checks(turns, [wanted], made, tools=TOOLS)).passed == right


def test_what_other_reads_found_counts_where_they_are_about_the_same() -> None:
    asked = case(["O-1"], question="Which order of C-1 is new?")
    gold = [ToolCall(name="orders", arguments={"id": "C-1"}, result=["O-1"])]
    same = ToolCall(name="orders", arguments={"id": "O-1"}, result={"total": 12.5, "next": "O-2", "product": "P-3"})
    other = ToolCall(name="orders", arguments={"id": "C-2"}, result={"total": 99})
    found = found_by_reads(asked, gold, [*gold, same, other], TOOLS)
    assert {value.shown for value in found} >= {"12.5", "P3"}
    assert not {value.shown for value in found} & {"O2", "99"}


# --- the floor ---------------------------------------------------------------------------------


def test_the_floor_refuses_or_claims_and_does_nothing() -> None:
    outcomes = floor_outcomes(case([]), {"orders": {}})
    assert [outcome.answer for outcome in outcomes.values()] == [
        "Sorry, I cannot help with that. I don't know.",
        "Done: What is it?",
    ]
    assert all(
        (outcome.tool_calls, outcome.retrieved, outcome.final_state) == ([], [], {"orders": {}})
        for outcome in outcomes.values()
    )


# --- facts in the schema -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "needed"),
    [
        ("69.90 EUR", {"69.90", "69.9"}),
        ("94 Mbit/s", {"94", "94 Mbit/s"}),
        ("8-16 GB", {"8-16 GB", "8 to 16 GB"}),
        ("O-5003", {"O-5003"}),
        (["shipped", "on its way"], {"shipped", "on its way"}),
    ],
)
def test_what_must_have_been_seen_of_a_fact(says: Any, needed: set[str]) -> None:
    assert needed <= set(Fact.model_validate(says).needed())
    assert Fact.model_validate({"says": says, "derived": True}).needed() == []


def test_older_cases_are_read() -> None:
    read_case = case([["a", "b"], "c"], must_say=[["cannot", "can't"]])
    assert [fact.says for fact in read_case.facts] == [["a", "b"], ["c"], ["cannot", "can't"]]
    assert read_case.needs() == [["a", "b"], ["c"]]


# --- any answer --------------------------------------------------------------------------------


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    reading = read(text, (("paid", "unpaid"),))
    assert all(0 <= value.start < value.end <= len(reading.text) for value in reading.values)
    assert not any(math.isinf(value.low) for value in reading.values)
    for rule in (refuses, abstains, finds_none, reports_refusal, claims, gives_up):
        rule(reading)


# --- the labelled answers ----------------------------------------------------------------------

ANSWERS = list(labelled())
RIGHT_ACCEPTED, WRONG_REFUSED = 0.95, 0.85


def test_the_labelled_set_is_large_and_half_of_it_is_wrong() -> None:
    counts = Counter((answer.task, answer.should_pass) for answer in ANSWERS)
    assert len(counts) == 6 and min(counts.values()) >= 60


@pytest.mark.parametrize("part", labelled_parts)
def test_the_graders_reach_their_targets_on_each_part(part: str) -> None:
    answers = [answer for answer in ANSWERS if answer.part == part]
    table = confusion(answers)
    print(shown(table))
    right, wrong = table["all"]
    assert right.share >= RIGHT_ACCEPTED and wrong.share >= WRONG_REFUSED, disagreements(answers)


def disagreements(answers: list[Labelled]) -> str:
    grades = [(answer, graded(answer)) for answer in answers]
    return "\n".join(
        f"{answer.task} {answer.case} {answer.should_pass}: {answer.answer!r} {grade.reasons}"
        for answer, grade in grades
        if grade.passed != answer.should_pass
    )


@pytest.mark.parametrize("part", labelled_parts)
def test_the_tables_in_the_docs_are_those_of_the_labelled_set(part: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "grading.md"
    table = shown(confusion(answer for answer in ANSWERS if answer.part == part))
    assert table in page.read_text(encoding="utf-8"), f"docs/grading.md, {part}:\n{table}"
