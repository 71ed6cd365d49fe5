"""The bodies of requests and responses: JSON, or a stream of events, read as leniently as clients read them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from evaluator.trace import recordable

END_OF_STREAM = re.compile(rb"data: ?\[DONE\]")
"""The event that ends a stream, whatever still comes."""

_LINE_END = re.compile(r"\r\n|\n|\r")


def json_of(text: bytes | bytearray | str) -> Any:
    """The JSON value that a text is; also with `NaN`, half of a surrogate pair, or a number of any size.

    Python's own reader takes these, and with it nearly all frameworks. Raises `ValueError` where it is no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def as_json(value: Any) -> bytes:
    """The value as JSON text, where it can be written at all; what strict JSON cannot have, as `json_of` reads it."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def parsed(body: bytes | bytearray) -> Any:
    """A JSON body, the chunks of a stream, or the text that it is, each as a trace can hold it; never raises."""
    if not body:
        return None
    try:
        return as_recorded(json_of(body), body)
    except ValueError:
        text = body.decode(errors="replace")
        return list(_chunks(text)) or text


def as_recorded(value: Any, text: bytes | bytearray | str) -> Any:
    """The value as a trace can hold it; its text where it is nested too deeply for that."""
    try:
        orjson.dumps([[[[[[[[value]]]]]]]])  # a trace nests it a few levels down
    except TypeError:
        if not _is_deep(value):
            return recordable(value)
        return text if isinstance(text, str) else text.decode(errors="replace")
    return value


_DEEPEST = 90
"""Levels; a little less than what `recordable` cuts off."""


def _is_deep(value: Any, left: int = _DEEPEST) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left == 0 or any(_is_deep(one, left - 1) for one in inner)


def _chunks(text: str) -> Iterator[Any]:
    """The data of each event. What is no JSON is a text."""
    for data in _events(text):
        try:
            yield as_recorded(json_of(data), data)
        except ValueError:
            yield data


def _events(text: str) -> Iterator[str]:
    """The data of each event but the end mark.

    An event may have several lines of data, up to a blank one. Some servers leave the blank line out, so lines that
    are JSON each are events each.
    """
    lines: list[str] = []
    for line in [*_LINE_END.split(text), ""]:
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").strip())
        elif not line and lines:
            whole = len(lines) > 1 and _is_json("\n".join(lines))
            yield from (data for data in (["\n".join(lines)] if whole else lines) if data != "[DONE]")
            lines = []


def _is_json(text: str) -> bool:
    try:
        json_of(text)
    except ValueError:
        return False
    return True
