"""The reader of replies: what it reads, plain and streamed alike, and that nothing makes it raise."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.wire.messages import AskedCall, Completion, calls_in, completion_of, counted, parsed, usage_of

CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "get_order", "arguments": '{"order_id": "O-1"}'}},
    {"id": "call_2", "type": "function", "function": {"name": "refund", "arguments": "{}"}},
]
ASKED = (AskedCall("call_1", "get_order", '{"order_id": "O-1"}'), AskedCall("call_2", "refund", "{}"))
USAGE = {"prompt_tokens": 7, "completion_tokens": 2}


def plain(finish_reason: Any = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}], "usage": USAGE}


def streamed(*deltas: dict[str, Any], finish_reason: str = "stop") -> list[Any]:
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    return [*chunks, {"choices": [], "usage": USAGE}]


@pytest.mark.parametrize(
    "response",
    [
        plain("tool_calls", role="assistant", content="Wait.", tool_calls=CALLS),
        streamed(
            {"role": "assistant", "content": "Wa"},
            {"content": "it."},
            {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_", "arguments": '{"order_id"'}}]},
            {"tool_calls": [{"index": 0, "id": None, "function": {"name": "order", "arguments": ': "O-1"}'}}]},
            {"tool_calls": [{"index": 1, **CALLS[1]}]},
            finish_reason="tool_calls",
        ),
    ],
    ids=["plain", "streamed"],
)
def test_text_calls_end_and_usage_are_read(response: Any) -> None:
    completion = completion_of(parsed(orjson.dumps(response)))
    assert (completion.text, completion.calls) == ("Wait.", ASKED)
    assert (completion.finish_reason, completion.usage) == ("tool_calls", USAGE)


@pytest.mark.parametrize(
    "response", [None, "", "text", 5, [], {}, {"error": {"message": "no"}}, {"choices": []}, ["x"], [{"choices": [5]}]]
)
def test_what_is_no_chat_completion_has_no_message(response: Any) -> None:
    assert completion_of(response) == Completion(None, None, None)
    assert counted({"messages": []}, response) is None


def test_what_is_not_of_its_type_is_passed_over_and_the_rest_is_read() -> None:
    deltas = [{"content": 5}, 5, {"tool_calls": {"index": 0}}, {"tool_calls": [5, {"index": [], "function": 5}]}]
    chunks = [*streamed({"content": "a"}), *({"choices": [{"delta": delta}]} for delta in deltas), "broken", None]
    completion = completion_of(chunks)
    assert (completion.text, completion.finish_reason, completion.usage) == ("a", "stop", USAGE)
    broken = [None, 5, {"function": None}, {"id": 5, "function": {"name": 5}}, CALLS[1]]
    assert calls_in({"tool_calls": broken}) == (AskedCall(None, "", None), ASKED[1])


@pytest.mark.parametrize(
    "response", [plain(content=[{"type": "text", "text": "a"}, {"text": "b"}]), plain(content="a\nb")]
)
def test_text_in_parts_is_text(response: Any) -> None:
    assert completion_of(response).text == "a\nb"


def test_arguments_that_are_no_text_stay_as_they_were_written() -> None:
    """Not every server writes them as the protocol wants them, and doctor says so."""
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
    for response in (plain(tool_calls=[call]), streamed({"tool_calls": [call]})):
        assert completion_of(response).calls == (AskedCall("c", "f", {"a": 1}),)


def test_usage_of_responses_is_told_in_the_words_of_chat_completions() -> None:
    whole = {"usage": {"input_tokens": 7, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}}}
    wanted = {**USAGE, "prompt_tokens_details": {"cached_tokens": 1}}
    assert usage_of("responses", whole) == wanted
    assert usage_of("responses", [{"type": "x"}, {"response": {"usage": None}}, {"response": whole}]) == wanted


NAMES = (
    "choices",
    "message",
    "delta",
    "content",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "index",
    "id",
    "usage",
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(NAMES)
hostile = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from((*NAMES, "prompt_tokens", "input_tokens", "response", "finish_reason", "text")),
            inner,
            max_size=5,
        )
    ),
    max_leaves=40,
)


def in_a_choice(part: Any) -> list[Any]:
    """The same anywhere that the reader looks."""
    call = {"function": part, "index": part, "id": part}
    messages = [part, {"content": part}, {"tool_calls": part}, {"tool_calls": [part, call]}]
    return [part, {"choices": part}, *({"choices": [{"message": message, "delta": message}]} for message in messages)]


@given(hostile, hostile)
def test_nothing_makes_the_reader_raise(one: Any, other: Any) -> None:
    for response in [*in_a_choice(one), [*in_a_choice(one), *in_a_choice(other)]]:
        completion = completion_of(response)
        assert isinstance(completion.text, str)
        assert all(isinstance(call.name, str) for call in completion.calls)
        counted({"messages": [one], "tools": other}, response)
        for api in ("chat_completions", "responses"):
            usage_of(api, response)


@given(st.binary() | hostile.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\ndata: [DONE]\n"))
def test_any_bytes_are_parsed_and_read(body: bytes) -> None:
    completion_of(parsed(body))
