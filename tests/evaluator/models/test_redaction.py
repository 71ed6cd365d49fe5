"""What of the user's secrets is found in what a server sent, and what is no secret."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.models.upstreams.redaction import PLACEHOLDERS, SHORTEST, CleanedBytes, Redactor, secrets_of
from evaluator.wire.bodies import parsed

KEY = "sk-abab/abac+="

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([KEY, f"a {KEY}{KEY} b", KEY[:-1], "", "x"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", KEY, f"b{KEY}"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(values)
def test_the_key_is_nowhere_in_what_is_recorded_and_the_rest_is_as_it_was(value: Any) -> None:
    cleaned = Redactor([KEY]).clean(value)
    assert KEY not in repr(cleaned)
    assert Redactor([KEY]).clean(cleaned) == cleaned
    assert Redactor().clean(value) is value


@pytest.mark.parametrize("spelled", [KEY, KEY.replace("/", "\\/"), "".join(f"\\u{ord(letter):04x}" for letter in KEY)])
def test_it_is_found_however_json_spells_it(spelled: str) -> None:
    body = f'{{"error": "no {spelled}."}}'.encode()
    assert Redactor(secrets_of(KEY, None, None)).clean(parsed(body)) == {"error": "no ***."}


@pytest.mark.parametrize(
    "key", [None, "", "EMPTY", "none", "ollama", "LM-Studio", "x" * (SHORTEST - 1), *sorted(PLACEHOLDERS)]
)
def test_a_placeholder_is_no_secret(key: str | None) -> None:
    assert secrets_of(key, None, None) == []


def test_the_credentials_of_a_url_are_secrets() -> None:
    basic = base64.b64encode(b"ada:secret-password").decode()
    told = f"http://ada:secret-password@host and Basic {basic} and secret-password of ada"
    cleaned = Redactor(secrets_of(None, "ada", "secret-password")).clean(told)
    assert cleaned == "http://***@host and Basic *** and *** of ada"


def test_a_short_password_is_found_where_it_stands_with_its_user_and_is_a_word_elsewhere() -> None:
    redactor = Redactor(secrets_of(None, "ada", "pass"))
    assert redactor.clean("http://ada:pass@host has passed") == "http://***@host has passed"


@given(st.lists(st.sampled_from([KEY, "sk-abab/", "sk-", "s", "ab", "\n", "x", KEY[:-1]]), max_size=6), st.data())
def test_bytes_without_the_key_are_the_same_however_they_are_cut(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    cleaned = CleanedBytes(Redactor([KEY]))
    pieces = [cleaned.add(whole[start:end]) for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert b"".join([*pieces, cleaned.rest()]) == whole.replace(KEY.encode(), b"***")


def test_without_secrets_bytes_go_on_at_once() -> None:
    assert CleanedBytes(Redactor()).add(b"sk-") == b"sk-"


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def chunk(text: str, *, choice: int = 0, call: int | None = None) -> dict[str, Any]:
    piece = {"content": text} if call is None else {"tool_calls": [{"index": call, "function": {"arguments": text}}]}
    return {"object": "chat.completion.chunk", "choices": [{"index": choice, "delta": piece}]}


@given(st.lists(st.sampled_from([KEY, "sk-abab/", "sk-", "s", "x", KEY[:-1]]), max_size=6), st.data())
def test_a_key_in_pieces_of_a_stream_is_found_however_it_is_cut(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    cleaned = Redactor([KEY]).clean([chunk(piece) for piece in pieces_of(whole, cuts)])
    said = [one["choices"][0]["delta"]["content"] for one in cleaned]
    assert "".join(said) == whole.replace(KEY, "***") and len(said) == len(cuts) + 1


def test_pieces_of_different_texts_are_not_joined() -> None:
    first, second = KEY[:5], KEY[5:]
    redactor = Redactor([KEY])
    apart = [chunk(first, call=0), chunk(second, call=1), chunk(first, choice=1), chunk(second, choice=2)]
    assert redactor.clean(apart) == apart
    mixed = [chunk(first, call=0), chunk("x", call=1), chunk(second, call=0), chunk("y", call=1)]
    assert redactor.clean(mixed) == [chunk("***", call=0), chunk("x", call=1), chunk("", call=0), chunk("y", call=1)]


def test_a_key_in_pieces_of_a_stream_of_responses_is_found() -> None:
    kind = "response.output_text.delta"
    pieces = [{"type": kind, "output_index": 0, "delta": piece} for piece in (f"a {KEY[:3]}", KEY[3:7], KEY[7:] + " b")]
    assert [one["delta"] for one in Redactor([KEY]).clean(pieces)] == ["a ***", "", " b"]
