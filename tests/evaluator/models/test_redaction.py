"""The user's key in what a server sends, whole or in pieces."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.models.upstreams.redaction import SHORTEST, Redactor

KEY = "sk-abab/abac+="


def cleaned(redactor: Redactor, pieces: list[bytes]) -> list[bytes]:
    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def collect() -> list[bytes]:
        return [piece async for piece in redactor.clean_stream(stream())]

    return asyncio.run(collect())


@given(st.lists(st.sampled_from([KEY, "sk-abab/", "sk-", "s", "ab", "\n", "data: x", KEY[:-1]]), max_size=6), st.data())
def test_a_stream_without_the_key_is_the_same_however_it_is_cut(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    joined = b"".join(cleaned(Redactor(KEY), pieces))
    assert joined == whole.replace(KEY.encode(), b"***")
    assert KEY.encode() not in joined


def test_what_cannot_be_the_beginning_of_the_key_goes_on_at_once() -> None:
    assert cleaned(Redactor(KEY), [b"data: one\n\n", b"data: two\n\n"]) == [b"data: one\n\n", b"data: two\n\n"]
    assert cleaned(Redactor(KEY), [b"one sk-", b"two"]) == [b"one ", b"sk-two"]
    assert cleaned(Redactor(None), [b"sk-", b"x"]) == [b"sk-", b"x"]


def test_the_spelling_of_json_text_is_found_too() -> None:
    assert Redactor(KEY).clean(b'{"error": "no sk-abab\\/abac+="}') == b'{"error": "no ***"}'
    assert b"".join(cleaned(Redactor(KEY), [b"sk-abab\\", b"/abac+=."])) == b"***."


@pytest.mark.parametrize("key", [None, "", "EMPTY", "ollama", "x" * (SHORTEST - 1)])
def test_a_placeholder_is_no_secret(key: str | None) -> None:
    text = b"the ollama server at EMPTY street, xxxxxxxxxxx"
    assert Redactor(key).clean(text) == text
