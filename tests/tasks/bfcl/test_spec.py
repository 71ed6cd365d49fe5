"""What a run is given of a case of BFCL, and what is taken down of it, without the suite's package."""

import inspect
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError, validate_call

from evaluator.models.upstreams.scripted import ScriptedUpstream
from tasks.base import Tool
from tasks.bfcl.spec import INSTRUCTIONS, RESULT, BfclCase, prepare, script
from tasks.bfcl.wire import on_the_wire

TRAINS = {
    "name": "trains.find",
    "description": "Find trains.",
    "parameters": {
        "type": "object",
        "properties": {
            "_class": {"type": "string", "enum": ["first", "second"], "description": "The class."},
            "_from": {"type": "string", "description": "Where from."},
            "seats": {"anyOf": [{"type": "integer"}, {"type": "string", "enum": ["dontcare"]}]},
            "headers": {"type": "object", "properties": {"Content-Type": {"type": "string"}}, "required": []},
        },
        "required": ["_from"],
    },
}
WEATHER = {
    "name": "weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def case(**fields: Any) -> BfclCase:
    given: dict[str, Any] = {
        "id": "multiple_0",
        "kind": "multiple",
        "size": "full",
        "question": "Find a train from Oslo.",
        "answer": "It is done.",
        "version": "1",
        "data": "0123456789abcdef",
        "functions": [TRAINS, WEATHER],
        "turns": [[{"tool": "trains_find", "arguments": {"from_": "Oslo"}}]],
    }
    return BfclCase.model_validate({**given, **fields})


def tools_of(one: BfclCase) -> dict[str, Tool]:
    return {tool.__name__: tool for tool in prepare(one).brief.tools}


def test_functions_become_tools_with_names_that_model_servers_take() -> None:
    tools = tools_of(case())
    assert [*tools] == ["trains_find", "weather"]
    assert [*inspect.signature(tools["trains_find"]).parameters] == ["from_", "class_", "seats", "headers"]
    schema = TypeAdapter(tools["trains_find"]).json_schema()
    assert schema["required"] == ["from_"]
    assert {"type": "string", "const": "dontcare"} in schema["properties"]["seats"]["anyOf"]


def test_all_calls_are_taken_down_with_the_names_of_the_suite_and_without_what_was_left_out() -> None:
    prepared = prepare(case())
    trains, weather = map(validate_call, prepared.brief.tools)
    headers = {"Content-Type": "text/plain", "X-Other": "1"}
    said = [weather("Oslo"), trains(from_="Oslo", seats=2, headers=headers), trains("Bergen", None)]
    assert said == [RESULT] * 3
    assert prepared.final_state() == {
        "calls": [
            {"name": "weather", "arguments": {"city": "Oslo"}},
            {"name": "trains.find", "arguments": {"_from": "Oslo", "seats": 2, "headers": headers}},
            {"name": "trains.find", "arguments": {"_from": "Bergen"}},
        ]
    }


def test_a_call_that_a_function_does_not_take_is_not_taken_down() -> None:
    prepared = prepare(case())
    with pytest.raises(ValidationError):
        validate_call(prepared.brief.tools[0])(from_="Oslo", seats="many")
    assert prepared.final_state() == {"calls": []}


def test_runs_have_nothing_in_common() -> None:
    one = case()
    first, second = prepare(one), prepare(one)
    first.brief.tools[1]("Oslo")
    assert second.final_state() == {"calls": []}


def test_the_instructions_are_those_of_the_case_where_it_has_some() -> None:
    assert prepare(case()).brief.instructions == INSTRUCTIONS
    assert prepare(case(system="Speak Norwegian.")).brief.instructions == "Speak Norwegian."


def test_on_the_wire() -> None:
    brief = prepare(case()).brief
    wire = on_the_wire(brief)
    assert wire.question == "Find a train from Oslo."
    assert [(agent.instructions, agent.tools) for agent in wire.agents] == [(INSTRUCTIONS, tuple(brief.tools))]


def test_what_a_run_does_not_depend_on_is_not_among_its_inputs() -> None:
    plain = case()
    told = case(possible_answers=[{"weather": {"city": ["Oslo"]}}], types={"weather": {"city": ["string"]}})
    assert told.inputs() == plain.inputs()
    assert case(system="Be short.").inputs() != plain.inputs()


def test_an_expected_call_is_of_a_function_that_is_offered() -> None:
    with pytest.raises(ValidationError, match="trains_find is expected to be called but is not offered: weather"):
        case(functions=[WEATHER])


def test_functions_have_names_of_their_own_as_tools_too() -> None:
    with pytest.raises(ValidationError, match="functions have the same name"):
        case(functions=[TRAINS, {**TRAINS, "name": "trains_find"}])


async def test_the_scripted_model_plays_it_and_then_stops() -> None:
    session = ScriptedUpstream().session(script(case()))
    function = {"name": "trains_find", "parameters": {"type": "object", "properties": {}}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Find a train from Oslo."}]
    tools = [{"type": "function", "function": function}]
    said = session.complete({"model": "scripted", "messages": messages, "tools": tools})["choices"][0]["message"]
    [call] = said["tool_calls"]
    assert call["function"]["arguments"] == '{"from_":"Oslo"}'
    messages += [said, {"role": "tool", "tool_call_id": call["id"], "content": RESULT}]
    said = session.complete({"model": "scripted", "messages": messages, "tools": tools})["choices"][0]["message"]
    assert said == {"role": "assistant", "content": "It is done."}
