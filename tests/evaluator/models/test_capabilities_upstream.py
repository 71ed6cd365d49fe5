"""The model of capability tasks and its server: what they say depends on the request, and they do as the case says."""

import asyncio
import json
from typing import Any

import pytest

from evaluator.models.upstreams import BrokenOff
from evaluator.models.upstreams.capabilities import CapabilitySession, CapabilityUpstream, answer
from tasks.base import Step
from tasks.capability import Play, Refusal

BOOK, PAY = Step(tool="book", arguments={"seat": 1}), Step(tool="pay", arguments={"amount": 2.5})
TRIP = Play(turns=[[BOOK], [PAY]], answer="Done.")


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def called(*names: str, first: int = 1) -> dict[str, Any]:
    calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for number, name in enumerate(names, start=first)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(number: int, text: str = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"c{number}", "content": text}


def names(message: dict[str, Any]) -> list[str]:
    return [call["function"]["name"] for call in message.get("tool_calls") or []]


TOOLS = [tool("book", seat={"type": "integer"}), tool("server-1_pay", amount={"type": "number"})]


def test_a_turn_is_over_once_its_calls_stand_in_the_request_whoever_asks() -> None:
    messages = [user("Go")]
    assert names(answer(TRIP, {"messages": messages, "tools": TOOLS})) == ["book"]
    messages += [called("book"), result(1)]
    assert names(answer(TRIP, {"messages": messages, "tools": TOOLS})) == ["server-1_pay"]  # by a longer name
    messages += [called("server-1_pay", first=2), result(2)]
    assert answer(TRIP, {"messages": messages, "tools": TOOLS})["content"] == "Done."


async def asked(play: Play, *messages: dict[str, Any], session: CapabilitySession | None = None, **fields: Any) -> Any:
    request = {"model": "first-model", "messages": list(messages), **fields}
    return await CapabilityUpstream().chat(b"", request, session or CapabilitySession(play), 10)


@pytest.mark.parametrize(
    "messages",
    [
        [user("Go"), called("book")],
        [user("Go"), called("book", "pay"), result(1)],
        [user("Go"), called("book"), user("and?"), result(1)],
    ],
    ids=["none", "one of two", "not after it"],
)
async def test_calls_whose_results_do_not_follow_are_refused_as_hosted_servers_do(messages: Any) -> None:
    reply = await asked(TRIP, *messages, tools=TOOLS)
    assert reply.status == 400
    assert "must be followed by tool messages" in json.loads(reply.body)["error"]["message"]


ORDER = {"article": "lamp", "number": 2}
TYPED = Play(answer="", output=ORDER, spoiled={"article": "lamp", "number": "two"})
SCHEMA = {"type": "json_schema", "json_schema": {"name": "Order", "schema": {}}}


def test_a_typed_value_comes_as_it_is_asked_for() -> None:
    play = TYPED.model_copy(update={"spoiled": None})
    as_text = answer(play, {"messages": [user("?")], "response_format": SCHEMA, "tools": []})
    assert json.loads(as_text["content"]) == ORDER
    final = tool("final_result", article={"type": "string"}, number={"type": "integer"})
    [call] = answer(play, {"messages": [user("?")], "tools": [tool("find", customer={}), final]})["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("final_result", ORDER)
    assert json.loads(answer(play, {"messages": [user("Say it as JSON.")]})["content"]) == ORDER


def test_an_invalid_value_is_given_until_it_stands_in_the_request() -> None:
    request: dict[str, Any] = {"messages": [user("?")], "response_format": SCHEMA}
    first = answer(TYPED, request)
    assert json.loads(first["content"]) == TYPED.spoiled
    assert json.loads(answer(TYPED, request)["content"]) == TYPED.spoiled
    request["messages"] += [first, user("number: not an integer")]
    assert json.loads(answer(TYPED, request)["content"]) == ORDER


MEMORY = Play(answer="You like seat 61.", known={"Which seat?": "I like seat 61."}, told="Remember: I like seat 61.")


def test_a_fact_is_known_if_it_was_sent_and_noted_with_whatever_tool_there_is() -> None:
    note = tool("save_memory", text={"type": "string"}, tags={"type": "array", "items": {"type": "string"}})
    told = [user("Remember: I like seat 61.")]
    [call] = answer(MEMORY, {"messages": told, "tools": [note]})["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"text": "I like seat 61.", "tags": ["I like seat 61."]}
    assert answer(MEMORY, {"messages": told})["content"] == "Noted."
    remembered = [user("About the user: I like seat 61.\n\nLovely day.")]
    assert answer(MEMORY, {"messages": remembered, "tools": [note]})["content"] == "Noted."  # told already
    asks = user("Which seat?")
    assert answer(MEMORY, {"messages": [asks]})["content"] == "I do not know"
    known = {"role": "system", "content": "About the user: I like seat 61"}
    assert answer(MEMORY, {"messages": [known, asks]})["content"] == "You like seat 61."
    recall = tool("recall", query={"type": "string"})
    assert names(answer(MEMORY, {"messages": [asks], "tools": [recall]})) == ["recall"]


def test_a_summary_is_given_to_who_asks_for_one_and_holds_the_fact() -> None:
    told = "User: I like seat 61. Assistant: Noted."
    asks = [{"role": "system", "content": "Summarize the conversation."}, user(told)]
    assert "I like seat 61." in answer(MEMORY, {"messages": asks})["content"]
    summary = {"role": "system", "content": "Summary so far: I like seat 61."}
    assert answer(MEMORY, {"messages": [summary, user("Lovely day.")]})["content"] == "Noted."


async def test_the_server_refuses_as_often_and_whom_it_is_told_to() -> None:
    refusal = Refusal(status=429, times=1, model="first-model", retry_after_s=2, says="Wait")
    play = Play(answer="Yes.", refusals=[refusal])
    session = CapabilitySession(play)
    refused = await asked(play, user("?"), session=session)
    assert (refused.status, refused.retry_after, json.loads(refused.body)["error"]["message"]) == (429, "2", "Wait")
    assert (await asked(play, user("?"), session=session)).status == 200
    other = CapabilitySession(play)
    request = {"model": "second-model", "messages": [user("?")]}
    assert (await CapabilityUpstream().chat(b"", request, other, 10)).status == 200


async def test_a_call_that_is_withheld_is_never_answered() -> None:
    play = Play(answer="Yes.", withheld=1)
    session = CapabilitySession(play)
    assert (await asked(play, user("?"), session=session)).status == 200
    waiting = asyncio.create_task(asked(play, user("?"), session=session))
    await session.holding.wait()
    assert not waiting.done()
    session.released.set()
    with pytest.raises(BrokenOff):
        await waiting
    assert (await asked(play, user("?"), session=session)).status == 200  # of the next process


async def test_calls_that_belong_together_are_answered_together() -> None:
    play = Play(answer="Yes.", together=2)
    session = CapabilitySession(play)
    first = asyncio.create_task(asked(play, user("?"), session=session))
    await asyncio.sleep(0.05)
    assert not first.done()
    assert (await asked(play, user("?"), session=session)).status == 200
    assert (await first).status == 200


async def test_a_stream_is_spaced_and_whole() -> None:
    play = Play(answer="One two three.", space_s=0.01)
    reply = await asked(play, user("?"), stream=True, stream_options={"include_usage": True})
    pieces = [piece async for piece in reply.body]
    chunks = [json.loads(piece.removeprefix(b"data: ")) for piece in pieces[:-1]]
    deltas = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    assert [delta for delta in deltas if delta] == ["One", " two", " three."]
    assert chunks[-1]["usage"]["completion_tokens"] > 0 and pieces[-1] == b"data: [DONE]\n\n"
