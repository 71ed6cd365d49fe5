"""The reader of replies: what it reads, plain and streamed alike, and that nothing makes it raise."""

import json
import random
import re
from dataclasses import asdict
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.wire import reasoning
from evaluator.wire.bodies import parsed
from evaluator.wire.messages import AskedCall, Completion, all_text, calls_in, completion_of, counted
from evaluator.wire.tokens import count_tokens
from evaluator.wire.usage import usage_of

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
def test_text_calls_and_end_are_read(response: Any) -> None:
    completion = completion_of(parsed(orjson.dumps(response)))
    assert (completion.text, completion.calls, completion.finish_reason) == ("Wait.", ASKED, "tool_calls")


@pytest.mark.parametrize(
    "response", [None, "", "text", 5, [], {}, {"error": {"message": "no"}}, {"choices": []}, ["x"], [{"choices": [5]}]]
)
def test_what_is_no_chat_completion_has_no_message(response: Any) -> None:
    assert completion_of(response) == Completion(None, None)
    assert counted({"messages": []}, response) is None


def test_what_is_not_of_its_type_is_passed_over_and_the_rest_is_read() -> None:
    deltas = [{"content": 5}, 5, {"tool_calls": {"index": 0}}, {"tool_calls": [5, {"index": [], "function": 5}]}]
    chunks = [*streamed({"content": "a"}), *({"choices": [{"delta": delta}]} for delta in deltas), "broken", None]
    completion = completion_of(chunks)
    assert (completion.text, completion.finish_reason) == ("a", "stop")
    broken = [None, 5, {"function": None}, {"id": 5, "function": {"name": 5}}, CALLS[1]]
    assert calls_in({"tool_calls": broken}) == (AskedCall(None, "", None), ASKED[1])


@pytest.mark.parametrize(
    "response", [plain(content=[{"type": "text", "text": "a"}, {"text": "b"}]), plain(content="a\nb")]
)
def test_text_in_parts_is_text(response: Any) -> None:
    assert completion_of(response).text == "a\nb"


def test_whether_it_came_in_parts_is_known() -> None:
    parts = [{"type": "text", "text": "a"}]
    assert completion_of(plain(content=parts)).in_parts
    assert completion_of(streamed({"content": "a"}, {"content": parts})).in_parts
    assert not completion_of(plain(content="a")).in_parts and not completion_of(streamed({"content": "a"})).in_parts


def test_arguments_that_are_no_text_stay_as_they_were_written_and_are_counted() -> None:
    """Not every server writes them as the protocol wants them, and doctor says so."""
    call = {"index": 0, "id": "", "function": {"name": "f", "arguments": {"a": 1}}}
    as_text = {**call, "function": {"name": "f", "arguments": '{"a":1}'}}
    for response in (plain(tool_calls=[call]), streamed({"tool_calls": [call]})):
        assert completion_of(response).calls == (AskedCall("", "f", {"a": 1}),)
        asked = {"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}
        wanted = counted({"messages": [{**asked["messages"][0], "tool_calls": [as_text]}]}, plain(tool_calls=[as_text]))
        assert wanted is not None and counted(asked, response) == wanted


THOUGHT, SAID = "It was O-5.", "The order is O-3."
THINKING = [
    plain(content=SAID, reasoning_content=THOUGHT),
    plain(content=SAID, reasoning=THOUGHT),
    plain(content=[{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": SAID}]),
    plain(
        content=[{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, {"type": "text", "text": SAID}]
    ),
    plain(content=[{"type": "reasoning", "text": THOUGHT}, {"type": "text", "text": SAID}]),
    plain(content=f"<think>{THOUGHT}</think>{SAID}"),
    plain(content=f"<think>\n{THOUGHT}\n</think>\n\n{SAID}"),
    plain(content=f"{THOUGHT}</think>\n{SAID}"),
    streamed(
        {"reasoning_content": "It was "},
        {"reasoning_content": "O-5."},
        {"content": "The order "},
        {"content": "is O-3."},
    ),
    streamed({"content": "<thi"}, {"content": f"nk>{THOUGHT}</think>"}, {"content": SAID}),
    streamed({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]}, {"content": SAID}),
    streamed({"content": [{"type": "thinking", "thinking": THOUGHT}]}, {"content": [{"type": "text", "text": SAID}]}),
]


@pytest.mark.parametrize("response", THINKING)
def test_what_the_model_thought_stands_apart(response: Any) -> None:
    completion = completion_of(response)
    assert completion.text == SAID
    assert THOUGHT in completion.reasoning and SAID not in completion.reasoning


@pytest.mark.parametrize("response", THINKING)
def test_what_the_model_thought_is_counted(response: Any) -> None:
    """In a stream and in a plain body alike; the marks between may take a few tokens."""
    told, both = counted({"messages": []}, response), count_tokens(THOUGHT) + count_tokens(SAID)
    assert told is not None and told.completion is not None and both <= told.completion <= both + 8


def test_a_reply_that_does_not_think_is_left_as_it_is() -> None:
    text = "  I think it is O-3.\n"
    completion = completion_of(plain(content=text))
    assert (completion.text, completion.reasoning) == (text, "")
    assert completion_of(plain(content="<think>It was O-5, and then")).text == ""


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
    "x_groq",
    "reasoning",
    "reasoning_content",
    "thinking",
    "type",
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
        assert isinstance(completion.text, str) and isinstance(completion.reasoning, str)
        assert all(isinstance(call.name, str) for call in completion.calls)
        counted({"messages": [one], "tools": other}, response)
        for api in ("chat_completions", "responses"):
            assert all(count is None or count >= 0 for count in asdict(usage_of(api, response)).values())


@given(st.binary() | hostile.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\ndata: [DONE]\n"))
def test_any_bytes_are_parsed_and_read(body: bytes) -> None:
    completion_of(parsed(body))


@pytest.mark.parametrize("seed", range(100))
def test_tags_without_a_beginning_are_found_without_looking_at_each_letter(seed: int) -> None:
    """Letter by letter, an answer of 50 MB would take gigabytes."""
    chance = random.Random(seed)
    tags = ["<think>", "</think>", "<thinking>", "</thinking>", "<think", "a", " ", "\n"]
    text = "".join(chance.choice(tags) for _ in range(chance.randrange(9)))
    before = re.match(r"(?:(?!<think(?:ing)?>).)*?</think(?:ing)?>", text, re.DOTALL)
    begun = before[0] if before else ""
    rest = re.compile(r"<(think(?:ing)?)>.*?(?:</\1>|\Z)", re.DOTALL)
    said = rest.sub("", text[len(begun) :])
    assert reasoning.without_reasoning(text) == (text if said == text else said.strip())
    assert reasoning.in_tags(text) == begun + "".join(match[0] for match in rest.finditer(text, len(begun)))


def test_all_that_a_request_says_is_read_without_escapes_and_whatever_it_holds() -> None:
    call = {"function": {"name": "f", "arguments": json.dumps({"to": "Jürgen"})}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": None, "tool_calls": [call, {"function": {}}, 3]},
        {"role": "tool", "content": json.dumps({"text": 'Grüße, "Ada"'})},
        "no message",
    ]
    text = all_text({"messages": messages})
    assert 'Grüße, "Ada"' in text and "Jürgen" in text and text.startswith("Hi")
    assert all_text({"messages": 3}) == all_text([]) == ""
