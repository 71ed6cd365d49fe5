"""Each quirk: what a framework sends, and what goes upstream."""

import copy
from typing import Any

import pytest

from evaluator.providers import quirks

TOOL = {"type": "function", "function": {"name": "f", "strict": True, "parameters": {}}}
LOOSE = {"type": "function", "function": {"name": "f", "parameters": {}}}
PARTS = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
IMAGE = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "data:"}}]


def said(**message: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hello"}, message]}


CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("drop_empty_tools", {"a": 1, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {"a": 1}),
    ("drop_nulls", {"a": None, "b": 1, "tool_choice": None}, {"b": 1}),
    ("null_content_to_empty", said(role="assistant", content=None), said(role="assistant", content="")),
    ("join_text_parts", said(role="user", content=PARTS), said(role="user", content="one\ntwo")),
    ("join_text_parts", said(role="tool", content=[]), said(role="tool", content="")),
    ("drop_message_names", said(role="user", content="x", name="ada"), said(role="user", content="x")),
    ("developer_to_system", said(role="developer", content="x"), said(role="system", content="x")),
    ("drop_strict", {"tools": [TOOL, LOOSE]}, {"tools": [LOOSE, LOOSE]}),
    (
        "drop_strict",
        {"input": "x", "tools": [{"type": "function", "name": "f", "strict": False}]},
        {"input": "x", "tools": [{"type": "function", "name": "f"}]},
    ),
    ("drop_parallel_tool_calls", {"parallel_tool_calls": False, "a": 1}, {"a": 1}),
    ("drop_stream_options", {"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ("max_completion_tokens", {"max_tokens": 5, "a": 1}, {"max_completion_tokens": 5, "a": 1}),
    ("max_completion_tokens", {"max_tokens": 5, "max_completion_tokens": 6}, {"max_completion_tokens": 6}),
    ("max_tokens", {"max_completion_tokens": 5, "a": 1}, {"max_tokens": 5, "a": 1}),
    ("drop_temperature", {"temperature": 0.0, "a": 1}, {"a": 1}),
]

UNCHANGED: list[tuple[str, dict[str, Any]]] = [
    ("drop_empty_tools", {"tools": [TOOL], "tool_choice": "auto"}),
    ("drop_empty_tools", {"tool_choice": "auto"}),
    ("drop_nulls", {"a": 0, "b": [], "messages": [{"role": "assistant", "content": None}]}),
    ("null_content_to_empty", said(role="assistant", tool_calls=[])),
    ("join_text_parts", said(role="user", content=IMAGE)),
    ("join_text_parts", said(role="assistant", content=None)),
    ("join_text_parts", said(role="user", content=[{"type": "text", "text": 5}])),
    ("drop_message_names", said(role="user", content="name")),
    ("developer_to_system", said(role="system", content="developer")),
    ("drop_strict", {"tools": [LOOSE, "odd", {"function": None}]}),
    ("max_completion_tokens", {"max_completion_tokens": 5}),
    ("max_tokens", {"max_tokens": 5}),
]


@pytest.mark.parametrize(("name", "before", "after"), CHANGES)
def test_a_quirk_changes_what_it_says_and_nothing_else(name: str, before: Any, after: Any) -> None:
    kept = copy.deepcopy(before)
    changed, changes = quirks.applied([name], before)
    assert (changed, changes) == (after, [name])
    assert list(changed) == list(after)  # the order, too
    assert before == kept
    assert quirks.applied([name], changed) == (changed, [])


@pytest.mark.parametrize(("name", "request_"), UNCHANGED)
def test_a_quirk_leaves_alone_what_it_is_not_about(name: str, request_: Any) -> None:
    changed, changes = quirks.applied([name], request_)
    assert changed is request_ and changes == []


ODD: list[dict[str, Any]] = [
    {},
    {"messages": None, "tools": None},
    {"messages": "x", "tools": "x"},
    {"messages": [None, 5, "x", [], {"content": 5}, {"content": [None]}], "tools": [None, {"function": 5}]},
]


@pytest.mark.parametrize("request_", ODD, ids=str)
@pytest.mark.parametrize("name", quirks.BY_NAME)
def test_no_request_breaks_a_quirk(name: str, request_: Any) -> None:
    quirks.applied([name], request_)


def test_every_quirk_has_a_case_here() -> None:
    assert {name for name, _, _ in CHANGES} == set(quirks.BY_NAME)
    assert len(quirks.BY_NAME) == len(quirks.QUIRKS)


def test_quirks_are_applied_in_their_order_and_only_those_that_changed_something_are_named() -> None:
    request = {"max_tokens": 5, "temperature": 0.0, "tools": [LOOSE]}
    assert quirks.applied(["drop_strict", "max_completion_tokens", "drop_temperature"], request) == (
        {"max_completion_tokens": 5, "tools": [LOOSE]},
        ["max_completion_tokens", "drop_temperature"],
    )
