"""Two requests are the same but for the order of keys, ids of tool calls, and made-up uuids and times."""

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.wire.canonical import canonical, canonical_bytes, differences, stamps

UUIDS = ("0b1c2d3e-4f50-4162-8374-8596a7b8c9d0", "9e8d7c6b-5a49-4837-a625-14f3e2d1c0bf")

words = st.sampled_from(["", " ", "a", "b", "Be brief.", "é", "0", "null", "call"])
leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | words
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
ids = st.sampled_from(["x1", "x2", "x3"])
calls = st.builds(
    lambda i, name: {"id": i, "type": "function", "function": {"name": name, "arguments": "{}"}}, ids, words
)
messages = st.one_of(
    st.builds(lambda role, content: {"role": role, "content": content}, words, values),
    st.builds(lambda made: {"role": "assistant", "tool_calls": made}, st.lists(calls, min_size=1, max_size=3)),
    st.builds(lambda i, content: {"role": "tool", "tool_call_id": i, "content": content}, ids, words),
)
requests = st.builds(
    lambda said, tools, more: {**more, "model": "m", "messages": said, "tools": tools},
    st.lists(messages, max_size=5),
    st.lists(values, max_size=3),
    st.dictionaries(words.filter(bool), values, max_size=3),
)


def shuffled(value: Any, source: random.Random) -> Any:
    """The same data with its keys in another order."""
    if isinstance(value, dict):
        keys = source.sample(list(value), len(value))
        return {key: shuffled(value[key], source) for key in keys}
    return [shuffled(item, source) for item in value] if isinstance(value, list) else value


@given(requests)
def test_the_canonical_form_is_its_own(request: dict[str, Any]) -> None:
    form = canonical(request)
    assert canonical_bytes(form) == canonical_bytes(request)


@given(requests, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(request: dict[str, Any], source: random.Random) -> None:
    assert canonical_bytes(shuffled(request, source)) == canonical_bytes(request)


@given(requests, st.permutations(["x1", "x2", "y"]))
def test_ids_of_tool_calls_may_be_others_as_long_as_they_refer_to_the_same(
    request: dict[str, Any], names: list[str]
) -> None:
    text = json.dumps(request)
    for old, new in zip(["x1", "x2", "x3"], names, strict=True):
        text = text.replace(f'"{old}"', f'"<{new}>"')
    renamed = json.loads(text.replace('"<', '"').replace('>"', '"'))
    assert canonical_bytes(renamed) == canonical_bytes(request)


@given(requests, st.data())
def test_whatever_else_changes_makes_another_request(request: dict[str, Any], data: st.DataObject) -> None:
    """Exactly one leaf is changed; ids are left alone."""
    changed = copy.deepcopy(request)
    places = list(leaf_places(changed))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(leaves.filter(lambda value: json.dumps(value) != json.dumps(holder[key])))
    assert canonical_bytes(changed) != canonical_bytes(request)
    assert list(differences(canonical(request), canonical(changed)))


def leaf_places(value: Any) -> Any:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list):
            yield from leaf_places(item)
        elif key not in ("id", "tool_call_id"):
            yield value, key


@given(requests)
def test_equal_requests_have_no_differences(request: dict[str, Any]) -> None:
    assert list(differences(canonical(request), canonical(shuffled(request, random.Random(0))))) == []


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (said(f"run {UUIDS[0]}"), said(f"run {UUIDS[1]}"), True),
        (said(f"run {UUIDS[0].replace('-', '')}!"), said(f"run {UUIDS[1].replace('-', '')}!"), True),
        (said(f"{UUIDS[0]} {UUIDS[0]}"), said(f"{UUIDS[0]} {UUIDS[1]}"), False),
        (said("now: 2026-01-02T03:04:05.678Z."), said("now: 2027-11-12 13:14:15+02:00."), True),
        (said("It is 2026-01-02."), said("It is 2027-01-02."), True),
        (said("It is 2026-01-02."), said("It was 2026-01-02."), False),
        (said("", metadata={"created_at": 1790000000.5}), said("", metadata={"created_at": 1790000099}), True),
        (said("", metadata={"size": 1790000000.5}), said("", metadata={"size": 1790000099}), False),
        (said("O-5003"), said("O-5004"), False),
        (said("0123456789abcdef0123456789abcdef"), said("f123456789abcdef0123456789abcdef"), False),  # no uuid
        (
            said("", tools=[{"description": "Since 2026-01-02."}]),
            said("", tools=[{"description": "2026-01-03"}]),
            False,
        ),
        (said("", tools=["a", "b"]), said("", tools=["b", "a"]), False),
        (said("", temperature=0), said("", temperature=0.0), False),
        (said("", temperature=0), said("", temperature=False), False),
        (said("", stop=None), said(""), False),
    ],
    ids=repr,
)
def test_what_is_made_up_does_not_count(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (canonical_bytes(one) == canonical_bytes(other)) is same


def test_what_the_run_was_given_counts() -> None:
    one, other = said(f"Ticket {UUIDS[0]} of 2026-01-02"), said(f"Ticket {UUIDS[1]} of 2026-01-02")
    assert canonical_bytes(one) == canonical_bytes(other)
    known = stamps(json.dumps(one))
    assert known == {UUIDS[0], "2026-01-02"}
    assert canonical_bytes(one, known) != canonical_bytes(other, known)
    assert canonical_bytes(one, known) != canonical_bytes(said(f"Ticket {UUIDS[0]} of 2026-01-03"), known)


def test_ids_of_the_responses_interface_are_ids_too() -> None:
    def request(call_id: str, item_id: str) -> dict[str, Any]:
        call = {"type": "function_call", "id": item_id, "call_id": call_id, "name": "f", "arguments": "{}"}
        return {"input": [call, {"type": "function_call_output", "call_id": call_id, "output": "1"}]}

    assert canonical_bytes(request("a", "b")) == canonical_bytes(request("c", "d"))
    broken = request("a", "b")
    broken["input"][1]["call_id"] = "other"
    assert canonical_bytes(broken) != canonical_bytes(request("a", "b"))


LONG = "You answer questions about orders, and you answer them in as few words as you can. "


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}]}, ["a[0].b: 'x' became 'y'"]),
        ({"a": 0}, {"a": 0.0}, ["a: 0 became 0.0"]),
        ({"a": 1, "b": 2}, {"b": 2, "c": None}, ["a was left out", "c was added: null"]),
        ({"a": [1, 2, 3]}, {"a": [0, 1, 2, 3]}, ["a[0] was added: 0"]),
        ({"a": [1, 2, 3]}, {"a": [1, 3]}, ["a[1] was left out: 2"]),
        ({"a": "x"}, {"a": None}, ["a: 'x' became null"]),
        (
            {"a": LONG + "Be brief." + LONG},
            {"a": LONG + "Be short." + LONG},
            [
                "a: '…ords as you can. Be brief.You answer questions about orders,…' "
                "became '…ords as you can. Be short.You answer questions about orders,…'"
            ],
        ),
    ],
)
def test_differences_are_told_in_words(old: Any, new: Any, words: list[str]) -> None:
    assert list(differences(old, new)) == words


def test_a_request_nested_too_deep_is_an_error() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises((RecursionError, TypeError)):
        canonical_bytes({"messages": deep})
