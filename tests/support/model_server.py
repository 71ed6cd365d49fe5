"""A model's server in a thread of its own, which answers as a test says."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer: a body, or the pieces of a stream, which may break off after them."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()
    breaks_off: bool = False


@dataclass
class ModelServer:
    """Where it is, and what it was sent: paths, headers with small names, and bodies."""

    url: str
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


def completion(text: str, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **fields}


@contextlib.contextmanager
def serving(answer: Answer | Callable[[int, dict[str, str]], Answer], port: int = 0) -> Iterator[ModelServer]:
    """Give this answer, or the one for the number of the request (from 0) and its headers; 0 stands for a free port."""
    server = ModelServer("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            number = len(server.paths)
            server.paths.append(self.path)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            given = answer(number, server.headers[number]) if callable(answer) else answer
            self.send_response(given.status)
            body = given.body if isinstance(given.body, bytes) else json.dumps(given.body).encode()
            ends = {"Transfer-Encoding": "chunked"} if given.pieces else {"Content-Length": str(len(body))}
            kind = "text/event-stream" if given.pieces else "application/json"
            for name, value in {"Content-Type": kind, **ends, **given.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            for piece in given.pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            if given.pieces and not given.breaks_off:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = given.breaks_off

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{http.server_port}/v1"
        try:
            yield server
        finally:
            http.shutdown()
