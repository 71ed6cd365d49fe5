"""The table of faults: what each row of the model's layer makes of a sound reply, which stays as it was."""

import copy
import json
from typing import Any

import pytest

from evaluator.faults.script import placed
from evaluator.faults.table import BY_NAME, FAULTS, Around, Fault

CALL = {
    "id": "call_1_1",
    "type": "function",
    "function": {"name": "get_order", "arguments": '{"order_id":"O-1","full":true}'},
}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
HANDS_OVER = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1_1", "type": "function", "function": {"name": "transfer_to_sales", "arguments": "{}"}}
    ],
}
SAYS = {"role": "assistant", "content": "Order O-1 is delivered."}
TOOLS = {
    "get_order": {"name": "get_order", "parameters": {"properties": {"order_id": {}}, "required": ["order_id"]}},
    "transfer_to_sales": {"name": "transfer_to_sales"},
}
AROUND = Around(TOOLS, ("cancel_contract", {"customer_id": "C-1"}))
SOUND = {"call": ASKS, "handoff": HANDS_OVER, "answer": SAYS}
OF_THE_MODEL = [fault for fault in FAULTS if fault.spoil]


@pytest.mark.parametrize("fault", OF_THE_MODEL, ids=lambda fault: fault.name)
def test_a_sound_reply_is_spoiled_and_stays_as_it_was(fault: Fault) -> None:
    sound = copy.deepcopy(SOUND[fault.when])
    assert fault.spoil is not None
    spoiled = fault.spoil(sound, AROUND)
    assert spoiled is not None and spoiled.message != sound and sound == SOUND[fault.when]
    assert fault.layer == "reply" and spoiled.message["role"] == "assistant"


def arguments_of(name: str, number: int = 0) -> Any:
    spoil = BY_NAME[name].spoil
    assert spoil is not None
    spoiled = spoil(copy.deepcopy(ASKS), AROUND)
    assert spoiled is not None
    return spoiled.message["tool_calls"][number]["function"]["arguments"]


def test_what_becomes_of_the_arguments() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(arguments_of("broken_json"))
    assert json.loads(arguments_of("wrong_type")) == {"order_id": [[1]], "full": True}
    assert json.loads(arguments_of("missing_argument")) == {"full": True}
    assert json.loads(arguments_of("extra_argument")) == {"order_id": "O-1", "full": True, "verbosity": "high"}
    assert json.loads(arguments_of("same_call_twice", 1)) == json.loads(CALL["function"]["arguments"])  # type: ignore[index]
    assert json.loads(arguments_of("contradictory_calls", 1)) == {"order_id": "O-1-B", "full": True}


@pytest.mark.parametrize("name", ("broken_json", "wrong_type", "unknown_tool", "cut_call"))
def test_a_spoiled_call_is_of_no_step(name: str) -> None:
    spoil = BY_NAME[name].spoil
    assert spoil is not None and (spoiled := spoil(copy.deepcopy(ASKS), AROUND)) is not None
    assert spoiled.message["tool_calls"][0]["id"] != "call_1_1"


def test_a_call_beside_a_handoff_is_one_that_the_tool_takes() -> None:
    typed = {
        "id": {"type": "string"},
        "kind": {"enum": ["a", "b"]},
        "n": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }
    tools = {"find": {"name": "find", "parameters": {"properties": typed, "required": ["id", "kind", "n"]}}}
    spoil = BY_NAME["handoff_and_call"].spoil
    assert spoil is not None
    spoiled = spoil(copy.deepcopy(HANDS_OVER), Around(tools))
    assert spoiled is not None
    own, handoff = spoiled.message["tool_calls"]
    assert json.loads(own["function"]["arguments"]) == {"id": "unknown", "kind": "a", "n": 1}
    assert handoff == HANDS_OVER["tool_calls"][0]  # type: ignore[index]


def test_each_row_says_one_thing_and_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(FAULTS) > 30
    for fault in FAULTS:
        assert sum(one is not None for one in (fault.spoil, fault.transport, fault.tool, fault.retrieval)) == 1
        assert fault.happens.endswith(".") and fault.wanted


def test_places() -> None:
    assert placed([]) == {}
    assert placed([4]) == {"first": 4}
    assert placed([0, 2]) == {"first": 0, "last": 2}
    assert placed([0, 2, 5, 7]) == {"first": 0, "middle": 5, "last": 7}
