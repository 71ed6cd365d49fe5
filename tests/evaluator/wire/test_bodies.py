"""Bodies of requests and responses: read as leniently as clients read them, and held as a trace can hold them."""

import json
import math
from typing import Any

import orjson
import pytest

from evaluator.wire.bodies import END_OF_STREAM, as_json, json_of, parsed

ONE, TWO = {"choices": [{"delta": {"content": "a"}}]}, {"choices": [{"delta": {"content": "b"}}]}
DEEP = b'{"a":' * 2000 + b"1" + b"}" * 2000


def event(chunk: Any, end: str = "\n\n", begin: str = "data: ") -> str:
    return f"{begin}{json.dumps(chunk)}{end}"


@pytest.mark.parametrize(
    "stream",
    [
        event(ONE) + event(TWO) + "data: [DONE]\n\n",
        event(ONE) + event(TWO),
        event(ONE, begin="data:") + event(TWO, begin="data:") + "data:[DONE]",
        event(ONE, "\r\n\r\n") + event(TWO, "\r\n\r\n") + "data: [DONE]\r\n\r\n",
        event(ONE, "\r\r") + event(TWO, "\r\r"),
        event(ONE, "\n") + event(TWO, "\n") + "data: [DONE]\n",
        f": ping\n\nevent: x\nid: 5\n{event(ONE)}retry: 10\n\n: ping\n\n{event(TWO)}",
        "".join(f"data: {line}\n" for line in json.dumps(ONE, indent=1).splitlines()) + "\n" + event(TWO),
    ],
)
def test_a_stream_is_its_chunks(stream: str) -> None:
    assert parsed(stream.encode()) == [ONE, TWO]


def test_an_event_that_is_no_json_is_a_text() -> None:
    assert parsed(f"data: {{broken\n\n{event(TWO)}".encode()) == ["{broken", TWO]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"", None),
        (b'{"a": 1}', {"a": 1}),
        (b"Bad gateway", "Bad gateway"),
        (b'{"a": "x\\ud83d"}', {"a": "x\\ud83d"}),
        (b'{"a": 1%s}' % (b"0" * 400), {"a": hex(10**400)}),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_a_body_is_held_as_a_trace_can_hold_it(body: bytes, value: Any) -> None:
    assert parsed(body) == value
    orjson.dumps(parsed(body))


def test_python_reads_what_strict_json_does_not_have() -> None:
    value = json_of(b'{"a": NaN, "b": "x\\ud83d", "c": 1e400}')
    assert math.isnan(value["a"]) and value["b"] == "x\ud83d" and value["c"] == math.inf
    assert json_of(as_json({"b": "x\ud83d"})) == {"b": "x\ud83d"}
    assert as_json({"a": 1}) == b'{"a":1}'


def test_what_is_nested_too_deeply_is_a_text() -> None:
    assert parsed(DEEP) == DEEP.decode()
    with pytest.raises(ValueError, match="nested too deeply"):
        json_of(b"[" * 200_000 + b"]" * 200_000)


@pytest.mark.parametrize(
    ("data", "ended"), [(b"data: [DONE]", 1), (b"data:[DONE]\r\n", 1), (b'data: {"a": "[DONE]"}', 0)]
)
def test_the_mark_that_ends_a_stream(data: bytes, ended: int) -> None:
    assert bool(END_OF_STREAM.search(data)) is bool(ended)
