"""From the runs of capability tasks to cells, and what is right in each task, by traces made by hand."""

from pathlib import Path
from typing import Any

import pytest
from factories import capability_trace, chat, effect

from evaluator.analysis.capabilities import CaseRun, Cell, checks, gather
from evaluator.catalog.capabilities import Capability, all_capabilities
from evaluator.catalog.frameworks import all_frameworks
from evaluator.trace import write_trace

CAPABILITIES = all_capabilities()
ANSWERED = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function", "function": {}}]}


def case_of(capability: str, name: str) -> Any:
    return next(case for case in CAPABILITIES[capability].cases if case.id == name)


def failed(capability: str, case: str, **seen: Any) -> dict[str, str]:
    """The checks that do not hold for a run, by name, each with its reason."""
    trace = capability_trace(capability, case_of(capability, case), **seen)
    return {check.name: check.reason for check in checks(CAPABILITIES[capability], trace) if not check.held}


# --- durable ---------------------------------------------------------------------------------

CHARGE = effect(1.0, "charge_card", customer="C-1", amount=89.9)
BOOK = effect(6.0, "book_seat", customer="C-1", train="ICE-592")
DURABLE: dict[str, Any] = {
    "answer": "Done: the card was charged and seat 12A is booked.",
    "calls": [chat(0.5), chat(1.5, error="cut off"), chat(5.5), chat(6.5)],
    "effects": [CHARGE, BOOK],
    "parts": [("killed", 0.0, 2.0), ("answered", 5.0, 7.0)],
}


def test_durable_each_effect_once_and_no_answer_asked_for_again() -> None:
    assert failed("durable", "while-model-answers", **DURABLE) == {}
    again = {**DURABLE, "effects": [CHARGE, effect(5.2, "charge_card", customer="C-1", amount=89.9), BOOK]}
    assert failed("durable", "while-model-answers", **again) == {"charge_card once": "charge_card ran twice"}
    more = {**DURABLE, "calls": [chat(0.5), chat(5.1), chat(5.5), chat(6.5)]}
    assert list(failed("durable", "while-model-answers", **more)) == ["no answer asked for again"]
    never = {**DURABLE, "effects": [CHARGE], "answer": "", "error": "ValueError: no such thread"}
    assert failed("durable", "while-model-answers", **never) == {
        "book_seat once": "book_seat ran never",
        "finished": "it is not finished right: ValueError: no such thread",
    }


# --- approval --------------------------------------------------------------------------------

WAITING = [{"tool": "refund", "arguments": {"order_id": "A-200", "amount": 900.0}}]
REASON = "Above 500 EUR the head of department must sign."
DENIED: dict[str, Any] = {
    "answer": "Order A-200 was not refunded: the head of department must sign.",
    "calls": [chat(0.5), chat(5.5, ANSWERED, {"role": "tool", "tool_call_id": "1", "content": f"Denied. {REASON}"})],
    "told": [("waiting", WAITING, 1.0)],
    "parts": [("answered", 0.0, 1.5), ("answered", 5.0, 6.0)],
}


def test_approval_nothing_before_the_decision_and_the_reason_reaches_the_model() -> None:
    assert failed("approval", "deny", **DENIED) == {}
    silent = {**DENIED, "calls": [chat(0.5), chat(5.5, ANSWERED)]}
    assert failed("approval", "deny", **silent) == {"the reason": "the model is not told the reason"}
    anew = {**DENIED, "calls": [chat(0.5), chat(5.2), DENIED["calls"][1]]}
    assert list(failed("approval", "deny", **anew)) == ["not asked again"]
    early = {**DENIED, "effects": [effect(0.8, "refund", order_id="A-200", amount=900.0)]}
    assert failed("approval", "deny", **early) == {"nothing before the decision": "the tool ran before the decision"}
    wrong = {**DENIED, "told": [("waiting", [{"tool": "refund", "arguments": {}}], 1.0)]}
    assert "the person is shown" in failed("approval", "deny", **wrong)["waits"]


def test_approval_of_edited_arguments_these_and_no_others() -> None:
    waiting = [{"tool": "refund", "arguments": {"order_id": "A-300", "amount": 80.0}}]
    edited: dict[str, Any] = {
        **DENIED,
        "answer": "Done: order A-300 was refunded.",
        "told": [("waiting", waiting, 1.0)],
        "effects": [effect(5.2, "refund", order_id="A-300", amount=55.0)],
    }
    assert failed("approval", "edit", **edited) == {}
    original = {**edited, "effects": [effect(5.2, "refund", order_id="A-300", amount=80.0)]}
    assert list(failed("approval", "edit", **original)) == ["what was decided"]


# --- streaming, resilience, parallel, memory, guardrail, structured output --------------------


def test_streaming_the_reader_leaves() -> None:
    pieces = [("piece", word, 1.0 + number / 10) for number, word in enumerate(["A", " sleeper", " train"])]
    left: dict[str, Any] = {"told": [*pieces, ("closing", None, 1.3), ("closed", None, 1.4)]}
    stopped = chat(0.5, end_s=1.5, left_s=1.45, error="cut off")
    assert failed("streaming", "cancel", calls=[stopped], **left) == {}
    assert failed("streaming", "cancel", calls=[chat(0.5, end_s=9.0)], **left) == {
        "stops the model": "the connection to the model is still open when the run is over"
    }
    late = chat(0.5, end_s=5.0, left_s=4.0)
    assert "2.7 s after the reader left" in failed("streaming", "cancel", calls=[late], **left)["stops the model"]
    assert list(failed("streaming", "cancel", calls=[stopped, chat(2.0)], **left)) == [
        "stops the model",
        "no call afterwards",
    ]


def test_resilience_waits_as_told_and_gives_up_in_time() -> None:
    right = "A sleeper train is about 400 m long."
    refused, asked = chat(0.0, end_s=0.1, status=429), chat(2.2, end_s=2.3)
    assert failed("resilience", "too-many-requests", answer=right, calls=[refused, asked]) == {}
    hasty = failed("resilience", "too-many-requests", answer=right, calls=[refused, chat(0.6, end_s=0.7)])
    assert hasty == {"waits as told": "it is asked again after 0.5 s, and said to come back after 2 s"}
    oldest = "The station of Kiel was opened in 1899."
    gave_up = [chat(0.0, end_s=8.0, left_s=2.1, error="cut off"), chat(2.5, end_s=2.6)]
    assert failed("resilience", "no-answer", answer=oldest, calls=gave_up) == {}
    assert failed("resilience", "no-answer", answer=oldest, calls=[chat(0.0, end_s=8.0)]) == {
        "gives up in time": "it waits on"
    }


def test_memory_of_another_user_leaks() -> None:
    parts = [("answered", 0.0, 1.0), ("answered", 5.0, 6.0)]
    asks = {"role": "user", "content": "Which seat do I like?"}
    apart = chat(5.5, asks, text="I do not know")
    assert failed("memory", "another-user", answer="I do not know", calls=[apart], parts=parts) == {}
    known = {"role": "system", "content": "I always want seat 61 at the window."}
    leak = failed("memory", "another-user", answer="You…", calls=[chat(5.5, known, asks)], parts=parts)
    assert leak["kept from others"] == "another user's fact stands in the request"


def test_guardrail_an_input_that_is_blocked_reaches_no_model() -> None:
    why = "Messages that ask to ignore instructions are not handled."
    assert failed("guardrail", "input", answer=why) == {}
    assert failed("guardrail", "input", answer=why, calls=[chat(0.5)]) == {
        "the model is not asked": "the model is asked once all the same"
    }


def test_structured_output_says_what_was_wrong() -> None:
    case = case_of("structured_output", "invalid-first")
    value = [("value", {"type": "Ticket", "typed": True, "value": case.output}, 2.0)]
    first = {"role": "user", "content": case.question}
    told = [chat(0.5, first), chat(1.0, first, {"role": "user", "content": "priority: not allowed"})]
    assert failed("structured_output", "invalid-first", told=value, calls=told) == {}
    again = [chat(0.5, first), chat(1.0, first)]
    assert list(failed("structured_output", "invalid-first", told=value, calls=again)) == ["told what is wrong"]
    assert list(failed("structured_output", "nested", told=[], calls=[chat(0.5)])) == ["typed", "as expected"]


# --- cells -----------------------------------------------------------------------------------


def run(case: str, *reasons: str) -> CaseRun:
    return CaseRun(case, case, reasons, calls=2, tokens=30, wall_s=1.0)


@pytest.mark.parametrize(
    ("cell", "standing", "words"),
    [
        (Cell("x", "durable", (run("a"), run("b")), lines=30), "full", "full (30 lines)"),
        (Cell("x", "durable", (run("a"), run("b", "ran twice")), lines=30), "partly", "1 of 2 (30 lines)"),
        (Cell("x", "durable", (run("a", "no"), run("b", "no")), lines=30), "none", "0 of 2 (30 lines)"),
        (Cell("x", "durable", (run("a"), run("b")), by_hand=True, lines=30), "full", "by hand (30 lines)"),
        (
            Cell("x", "durable", (run("a", "no"), run("b")), by_hand=True, lines=3),
            "partly",
            "by hand, 1 of 2 (3 lines)",
        ),
        (Cell("x", "durable", why="It has none (a.py:1)."), "not offered", "not offered"),
        (Cell("x", "durable"), "not implemented", "not implemented"),
        (Cell("x", "durable", lines=30), "no runs", "no runs"),
    ],
)
def test_a_cell_in_words(cell: Cell, standing: str, words: str) -> None:
    assert (cell.standing, cell.words) == (standing, words)


@pytest.fixture
def durable() -> Capability:
    return CAPABILITIES["durable"]


def test_cells_are_gathered_from_traces_and_damaged_files_are_named(tmp_path: Path, durable: Capability) -> None:
    baseline = all_frameworks()["baseline"]
    path = write_trace(tmp_path, capability_trace("durable", durable.cases[0], **DURABLE))
    path.with_name("broken.1.json").write_text("{")
    found = gather(tmp_path, [baseline], {"durable": durable})
    [cell] = found.cells
    assert ([one.case for one in cell.runs], cell.standing, cell.calls) == (["while-model-answers"], "full", 4)
    assert [one.path.name for one in found.damaged] == ["broken.1.json"]


def test_a_trace_of_a_case_of_another_form_is_not_right_and_says_so(durable: Capability) -> None:
    trace = capability_trace("durable", durable.cases[0], **DURABLE)
    [check] = checks(durable, trace.model_copy(update={"case": {"id": "x"}}))
    assert not check.held and check.reason.startswith("the case is none of this task's")
