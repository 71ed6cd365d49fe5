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
