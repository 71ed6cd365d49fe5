"""How the text of a tool message differs from what the tool gave: its result as JSON, or the words of its error."""

import ast
import json
from collections.abc import Mapping
from typing import Any

_NESTED = 5
"""Levels of wrapping that are looked through."""

_NO_DATA = object()
_DEEPEST = 20
_MOST_STARTS = 50
"""How many brackets are tried as the start of a result that text was added to."""


def result_changes(result: Any, error: str | None, text: str) -> list[str]:
    """Each way in which `text` differs, in a few words.

    Blanks in JSON, the order of keys, and anything around the words of an error are no difference.
    """
    if error is not None:
        is_told = error in text or any(error in one for one in leaves(_data_in(text)))
        return [] if is_told else ["error lost"]
    ways = _ways(text, result)
    if ways is not None:
        return [*_but_plain_json(ways), *(["letters escaped"] if escaped(result, text) else [])]
    starts = [place for place, character in enumerate(text) if character in "[{"]
    for start in starts[:_MOST_STARTS]:
        try:
            inner, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if (ways := _ways(inner, result)) is not None:
            return ["text added", *ways]
    beginning = "".join(text.split()).rstrip(".…")
    if beginning and "".join(json.dumps(result, ensure_ascii=False).split()).startswith(beginning):
        return ["truncated"]
    values = leaves(result)
    return ["other wording" if values and all(value in text for value in values) else "other content"]


def _ways(value: Any, result: Any, depth: int = 0) -> list[str] | None:
    """By what ways `value` leads to `result`; None where it does not."""
    if _equal(value, result):
        return []
    if depth > _NESTED:
        return None
    if isinstance(value, str):
        inner = _data_in(value)
        rest = None if inner is _NO_DATA or inner == value else _ways(inner, result, depth + 1)
        return None if rest is None else ["JSON in a text" if _is_json(value) else "Python repr", *rest]
    if isinstance(value, dict):
        for key, inner in value.items():
            if (rest := _ways(inner, result, depth + 1)) is not None:
                return [f"wrapped as {key}", *rest]
    if isinstance(value, list | tuple) and len(value) == 1:
        rest = _ways(value[0], result, depth + 1)
        return None if rest is None else ["wrapped in a list", *rest]
    return None


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same as JSON: 4 and 4.0 are, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _but_plain_json(ways: list[str]) -> list[str]:
    """The ways without the outermost JSON, which is what is expected."""
    rest = ways[1:] if ways[:1] == ["JSON in a text"] else ways
    return list(dict.fromkeys(rest))


def escaped(data: Any, text: str) -> bool:
    """Whether letters of the data, such as ä, are not in the text that is made of it, but `\\u00e4`, say."""
    letters = {letter for leaf in leaves(data) if not leaf.isascii() for letter in leaf if not letter.isascii()}
    return any(letter not in text for letter in letters)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _data_in(text: str) -> Any:
    """The data that a text spells as JSON or as Python would print it; `_NO_DATA` where it spells none."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return _NO_DATA


def leaves(value: Any, depth: int = 0) -> list[str]:
    """All values in nested data, as text."""
    if value is None or value is _NO_DATA or depth > _DEEPEST:
        return []
    if isinstance(value, dict | list | tuple):
        values = value.values() if isinstance(value, dict) else value
        return [leaf for inner in values for leaf in leaves(inner, depth + 1)]
    return [str(value)]


def search_text(text: str, passages: Mapping[str, str]) -> tuple[str, list[str]]:
    """A search result's text, taken out of JSON or a Python repr where no passage stands in it as it is; and how."""
    if any(passage in text for passage in passages.values()):
        return text, []
    data = _data_in(text)
    if data is _NO_DATA or data == text:
        return text, []
    plain, how = search_text("\n\n".join(leaves(data)), passages)
    return plain, ["JSON in a text" if _is_json(text) else "Python repr", *how]
