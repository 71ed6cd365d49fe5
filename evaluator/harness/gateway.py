"""The loopback server that all model calls pass through, and that records them.

Each run has a path of its own, `http://127.0.0.1:<port>/<token>/v1`, so that every request is
attributed to its run without trusting the framework. Requests pass unchanged but for the model's
name, the key, and what an endpoint's quirks say, which is recorded. While a call is under way only
bytes and times are kept; they are parsed when the run is closed.

With a limiter, a call waits for its turn before it goes upstream. What the server refuses all the same,
since there is too much for it, is sent again after the time that it says; the framework sees none of that,
and the run's time stands still meanwhile.
"""

import asyncio
import base64
import contextlib
import gc
import hashlib
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, cast

import numpy as np
import orjson
import uvicorn
from numpy.typing import NDArray
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from evaluator.harness.limiter import Limiter
from evaluator.models.upstreams import (
    JSON_HEADERS,
    BrokenOff,
    Reply,
    ResponsesUpstream,
    Session,
    Upstream,
    UpstreamError,
)
from evaluator.providers.waiting import ANSWER_TOKENS, LONGEST_WAIT_S
from evaluator.stats.intervals import covered_length
from evaluator.trace import Api, ModelCall
from evaluator.wire import failures
from evaluator.wire.bodies import END_OF_STREAM, as_recorded, json_of, parsed
from evaluator.wire.messages import CUT_OFF, counted
from evaluator.wire.usage import Usage, usage_of
from tasks.cases import Script

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Forward = Callable[[bytes, dict[str, Any], Session, float], Awaitable[Reply]]
Refusal = Literal["call_limit", "timeout"]
_LOG = logging.getLogger(__name__)
_GC_THRESHOLDS = (10_000, 20, 50)
IDLE_S = 75
"""Seconds for which nothing comes on a connection before it is closed. Clients keep one for less (httpx 5 s), so none
is closed as it is used again."""

_TRY_AGAIN_S, _TRY_AGAIN_AT_MOST_S = 1.0, 30.0
"""Seconds until a call is sent again whose refusal does not say when; twice as long each time."""

_LINE = "bakeoff.line"
"""The extension of the scope that knows the connection: a `_Line`."""

_MARK = 12
"""Bytes of a stream's end mark, which may lie across two pieces."""

VERBATIM_INPUTS = 4
"""Embedding requests with more inputs than this are recorded by digest."""


class EmbeddingModel(Protocol):
    """What the gateway needs of the embedding model."""

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """One vector a text, shape (n, dimensions)."""
        ...

    def count_tokens(self, texts: list[str]) -> int:
        """Number of tokens of all texts together."""
        ...


@dataclass(slots=True)
class _Call:
    """One call as it happens: bytes and monotonic seconds.

    From `held` on it waited for a limit, until it was `sent`, for the last time after `refusals`. `entered` are the
    tokens that it entered the limiter with, until it leaves it.
    """

    operation: Literal["chat", "embeddings"]
    start: float
    body: bytes
    stream: bool = False
    api: Api = "chat_completions"
    retry_after: str | None = None
    sent: float = 0.0
    first_byte: float = 0.0
    received: float = 0.0
    end: float = 0.0
    status: int = 0
    response: bytes | bytearray = b""
    stream_ended: bool = False
    line: "_Line | None" = None
    whole: bool = False
    error: str | None = None
    held: float = 0.0
    entered: int | None = None
    refusals: int = 0


@dataclass(slots=True)
class _Line:
    """The connection that a request came on: `close` closes it as it is, `left` is when the framework did."""

    close: Callable[[], None]
    left: float | None = None


@dataclass(slots=True)
class GatewayRun:
    """A live run: its limits, and the calls recorded so far.

    `refusal` is set once a limit was hit, `refused_calls` counts the chat calls beyond `max_model_calls`,
    `upstream_failure` is set while the last call could not be made because the model's server was out of reach or
    broke off. `gateway_failed` tells that the gateway itself did, by a mistake in it. `held` are the calls that had to
    wait for a limit, or still do; the run's time stands still as long as any of them does, at most for `may_wait_s`.
    """

    token: str
    max_model_calls: int
    deadline: float
    session: Session
    calls: list[_Call] = field(default_factory=list)
    chat_calls: int = 0
    refused_calls: int = 0
    refusal: Refusal | None = None
    upstream_failure: str | None = None
    gateway_failed: bool = False
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    held: list[_Call] = field(default_factory=list)
    may_wait_s: float = 0.0

    def waited_s(self, start: float, end: float) -> float:
        """Seconds between two moments in which a call waited for a limit, or several did."""
        waits = ((max(call.held, start), min(call.sent or end, end)) for call in self.held)
        return covered_length([wait for wait in waits if wait[0] < wait[1]])

    def time_left_s(self, now: float) -> float:
        """Seconds that the run still has."""
        return self.deadline + (self.waited_s(0.0, now) if self.held else 0.0) - now

    @property
    def last_failed(self) -> bool:
        """Whether the last chat call that was made came to nothing: then it was that, and no limit, that stood in the
        way."""
        chats = [call for call in self.calls if call.operation == "chat"]
        return bool(chats) and (chats[-1].status >= 400 or chats[-1].error is not None)

    @property
    def under_way(self) -> bool:
        """Whether a call waits for its reply whose connection is still there."""
        return any(not call.end and (call.line is None or call.line.left is None) for call in self.calls)

    def model_calls(self, run_start: float) -> list[ModelCall]:
        """All calls of a run that was closed, timed from `run_start`."""
        return [_recorded(call, run_start, self.session) for call in self.calls]


class Gateway:
    """An ASGI application and its server. Use as an async context manager.

    `open_run` makes a path live, `close_run` ends it and gives the recorded calls.
    """

    def __init__(
        self,
        upstream: Upstream,
        embedder: EmbeddingModel | None,
        model_names: list[str],
        limiter: Limiter | None = None,
    ) -> None:
        self._upstream = upstream
        self._limiter = limiter
        self._embedder = embedder
        self._model_names = model_names
        self._runs: dict[str, GatewayRun] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._port = 0
        self._while_open = contextlib.ExitStack()

    async def __aenter__(self) -> "Gateway":
        self._while_open.enter_context(_collecting_rarely())
        listener = listening()
        self._port = listener.getsockname()[1]
        self._server = _Server(server_config(self))
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            await asyncio.sleep(0.005)
        return self

    async def __aexit__(self, *_: object) -> None:
        for token in list(self._runs):
            self.close_run(token)
        self._server.should_exit = True
        self._server.force_exit = True
        await self._serving
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._upstream.close()
        self._while_open.close()

    @property
    def is_limited(self) -> bool:
        """Whether calls wait for limits."""
        return self._limiter is not None

    @property
    def waiting_since(self) -> list[float]:
        """Since when each of the calls waits that wait for a limit now, in monotonic seconds."""
        return [call.held for run in list(self._runs.values()) for call in run.held if not call.sent]

    def base_url(self, run: GatewayRun) -> str:
        """The base URL of a live run."""
        return f"http://127.0.0.1:{self._port}/{run.token}/v1"

    def open_run(self, script: Script, max_model_calls: int, timeout_s: float) -> GatewayRun:
        """Make a new path live for `timeout_s` seconds and `max_model_calls` chat completions or responses."""
        run = GatewayRun(
            token=secrets.token_urlsafe(16),
            max_model_calls=max_model_calls,
            deadline=time.monotonic() + timeout_s,
            session=self._upstream.session(script),
            may_wait_s=0.0 if self._limiter is None else max_model_calls * LONGEST_WAIT_S,
        )
        self._runs[run.token] = run
        return run

    def close_run(self, token: str) -> None:
        """End a run: its path is gone, and calls under way are cut off and marked so.

        A stream whose end mark has come is whole, whatever else the framework did not wait for.
        """
        run = self._runs.pop(token)
        for task in run.tasks:
            task.cancel()
        now = time.monotonic()
        for call in run.calls:
            if not call.end:
                if not call.stream_ended:
                    call.error = call.error or CUT_OFF
                call.sent, call.first_byte = call.sent or now, call.first_byte or now
                call.received, call.end = call.received or now, now

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        token, _, route = scope["path"].lstrip("/").partition("/")
        run = self._runs.get(token)
        if run is None:
            return await _send_error(send, 404, "not_found", "no live run has this path")
        handler: Callable[[GatewayRun, float, bytes, dict[str, Any], Send, _Line], Awaitable[None]]
        match scope["method"], route:
            case "POST", "v1/chat/completions":
                handler = partial(self._model_call, "chat_completions", self._upstream.chat)
            case "POST", "v1/responses" if isinstance(self._upstream, ResponsesUpstream):
                handler = partial(self._model_call, "responses", self._upstream.responses)
            case "POST", "v1/embeddings":
                handler = self._embeddings
            case "GET", "v1/models":
                return await _send_json(send, 200, self._models())
            case _:
                return await _send_error(send, 404, "not_found", f"{scope['method']} /{route} is not served here")
        start = time.monotonic()
        line: _Line = scope["extensions"][_LINE]
        task = asyncio.current_task()
        assert task is not None
        run.tasks.add(task)
        try:
            body = await _read(receive)
            try:
                request = json_of(body)
            except ValueError as error:
                return await _send_error(send, 400, "invalid_request_error", f"the body is not JSON: {error}")
            if not isinstance(request, dict):
                return await _send_error(send, 400, "invalid_request_error", "the body is not a JSON object")
            if run.time_left_s(start) <= 0:
                run.refusal = "timeout"
                return await _send_error(send, 400, "timeout", "this run is out of time")
            await handler(run, start, body, request, send, line)
        except asyncio.CancelledError:
            if token in self._runs:
                raise
        except BrokenOff:
            line.close()
            await asyncio.sleep(0)  # in which the connection hears of it, so that nobody wants to say more on it
        finally:
            run.tasks.discard(task)

    async def _model_call(
        self,
        api: Api,
        forward: Forward,
        run: GatewayRun,
        start: float,
        body: bytes,
        request: dict[str, Any],
        send: Send,
        line: _Line,
    ) -> None:
        if run.chat_calls >= run.max_model_calls:
            run.refusal = "call_limit"
            run.refused_calls += 1
            message = f"this run may make {run.max_model_calls} model calls and has made them"
            return await _send_error(send, 400, "call_limit", message)
        run.chat_calls += 1
        call = _Call("chat", start, body, bool(request.get("stream")), api, line=line)
        run.calls.append(call)
        try:
            if self._limiter is None:
                call.sent = time.monotonic()
                reply = await forward(body, request, run.session, run.deadline - call.sent)
            else:
                reply = await _within_limits(self._limiter, forward, run, call, request, line)
            call.first_byte = time.monotonic()
            await _deliver(call, reply, send, line if run.session.ends_when_left else None)
            call.whole = call.error is None and line.left is None
            run.upstream_failure = None
        except TimeoutError:
            run.refusal = "timeout"
            now = time.monotonic()
            run.deadline -= max(run.time_left_s(now), 0.0)  # a replayed run may be out of time sooner
            call.error = "timeout"
            if not call.status:
                call.status = 504
                await _send_error(send, 504, "timeout", "this run is out of time")
        except _LeftMeanwhile:
            call.error = CUT_OFF
        except BrokenOff as broken:
            call.error = str(broken)
            raise
        except UpstreamError as error:
            call.error = run.upstream_failure = str(error)
            if not call.status:
                call.status = 502
                await _send_error(send, 502, "upstream_error", str(error))
        except Exception as error:
            _LOG.exception("the gateway failed")
            call.error = f"the gateway failed: {error!r}"
            run.gateway_failed = True
            if not call.status:
                call.status = 500
                await _send_error(send, 500, "gateway_error", call.error)
        finally:
            call.end = time.monotonic()
            call.sent = call.sent or call.end
            call.received = call.received or call.end
            call.first_byte = call.first_byte or call.received
            if self._limiter is not None and call.entered is not None:
                leaving = asyncio.create_task(_leave(self._limiter, call, call.entered))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)

    async def _embeddings(
        self, run: GatewayRun, start: float, body: bytes, request: dict[str, Any], send: Send, line: _Line
    ) -> None:
        inputs = request.get("input")
        texts = [inputs] if isinstance(inputs, str) else inputs
        if self._embedder is None:
            return await _send_error(send, 404, "not_found", "no embedding model is served here")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            message = "input must be a text or a list of texts; lists of token numbers are not supported"
            return await _send_error(send, 400, "invalid_request_error", message)
        call = _Call("embeddings", start, body, sent=time.monotonic())
        run.calls.append(call)
        if run.session.refuses_to_embed(texts):
            call.status, call.error = 500, "status 500"
            call.first_byte = call.received = call.end = time.monotonic()
            return await _send_error(send, 500, "server_error", "the server had an error")
        try:
            vectors = await asyncio.to_thread(self._embedder.embed, texts)
            tokens = self._embedder.count_tokens(texts)
        except Exception as error:
            _LOG.exception("the gateway failed")
            call.status, call.error = 500, f"the gateway failed: {error!r}"
            run.gateway_failed = True
            call.first_byte = call.received = call.end = time.monotonic()
            return await _send_error(send, 500, "gateway_error", call.error)
        call.status = 200
        call.first_byte = call.received = time.monotonic()
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        as_base64 = request.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": i, "embedding": _base64(vector) if as_base64 else vector.tolist()}
            for i, vector in enumerate(vectors)
        ]
        response = {"object": "list", "model": request.get("model"), "usage": usage}
        digest = hashlib.sha256(vectors.tobytes()).hexdigest()
        call.response = orjson.dumps({**response, "data": {"shape": vectors.shape, "sha256": digest}})
        await _send_json(send, 200, {**response, "data": data})
        call.end = time.monotonic()

    def _models(self) -> dict[str, Any]:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "bakeoff"} for name in self._model_names]
        return {"object": "list", "data": data}


@contextlib.contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Meanwhile the garbage collector leaves alone what is there now, and lets more come together first.

    It stops every call under way, and was a fourth of the processor time of one among many.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def listening() -> socket.socket:
    """A listener on a free port of the loopback, for connections that send each piece at once.

    They inherit that from it. Left to itself asyncio's own loop would not set it, as the sockets of `create_server`
    do not say that they are TCP; a reply on a kept connection would then wait some 40 ms for an acknowledgement.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def server_config(application: Any) -> uvicorn.Config:
    """A server that does nothing beyond HTTP: each of its extras would be paid for by every call."""
    return uvicorn.Config(
        application,
        http=_Connection,
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="critical",  # a stream that breaks off is recorded in the trace, not on the user's terminal
        access_log=False,
        timeout_keep_alive=IDLE_S,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )


class _Connection(HttpToolsProtocol):
    """A connection that is also closed when no whole request comes: uvicorn waits for ever for the first, and for the
    rest of one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._line = _Line(transport.abort)
        super().connection_made(transport)
        self._wait_for_more()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self._unset_keepalive_if_required()
            self._wait_for_more()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._line = _Line(self.transport.abort)
        self.scope["extensions"] = {_LINE: cast(Any, self._line)}

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.left = time.monotonic()
        super().connection_lost(exc)

    def _wait_for_more(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.transport.close)


class _Server(uvicorn.Server):
    """A server inside the harness: the harness handles signals, not the server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _read(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    more = True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


class _LeftMeanwhile(Exception):
    """The framework has closed the connection while its call waited for a limit: there is nobody to answer."""


async def _within_limits(
    limiter: Limiter, forward: Forward, run: GatewayRun, call: _Call, request: dict[str, Any], line: _Line
) -> Reply:
    """The upstream's reply to a call, once the limiter has let it through, and the server takes it.

    Raises `UpstreamError` where that takes more than `LONGEST_WAIT_S`.
    """
    tokens = _estimated(call.body, request)
    call.held = time.monotonic()
    run.held.append(call)
    refusal: failures.Refusal | None = None
    while True:
        try:
            async with asyncio.timeout(call.held + LONGEST_WAIT_S - time.monotonic()):
                await limiter.enter(tokens)
        except TimeoutError:
            why = f"{refusal}" if refusal else "too many runs at once for its limits: give a smaller --jobs"
            raise UpstreamError(f"a call waited {LONGEST_WAIT_S:.0f} s for the model's server: {why}") from None
        call.entered = tokens
        if line.left is not None:
            raise _LeftMeanwhile
        call.sent = time.monotonic()
        reply = await forward(call.body, request, run.session, run.time_left_s(call.sent))
        if reply.status not in failures.WAITING_HELPS:
            return reply
        if not isinstance(reply.body, bytes):
            reply.body = b"".join([piece async for piece in reply.body])
        refusal = failures.Refusal(reply.status, parsed(reply.body), reply.retry_after)
        if (wait_s := _until_again_s(refusal, reply, call.refusals)) is None:
            return reply
        call.sent, call.refusals = 0.0, call.refusals + 1
        await limiter.slow_down(wait_s)
        call.entered = None
        await limiter.leave(tokens, 0)


def _until_again_s(refusal: failures.Refusal, reply: Reply, before: int) -> float | None:
    """Seconds until a call should be sent again that was refused, for the how-manieth time after `before`; None where
    that is the framework's to see: another call would not help, or not soon."""
    if refusal.is_of_all or refusal.come_back:
        return None
    said = refusal.wait_s
    with contextlib.suppress(ValueError):
        said = float(dict(reply.headers).get(b"retry-after-ms", b"")) / 1000
    if said is not None and not said <= LONGEST_WAIT_S:
        return None
    if said is None and refusal.status != 429:
        return None
    return said if said and said > 0 else min(_TRY_AGAIN_S * 2**before, _TRY_AGAIN_AT_MOST_S)


def _estimated(body: bytes, request: dict[str, Any]) -> int:
    """About how many tokens a request will take: a token is some four bytes."""
    limits = (request.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
    answer = next((limit for limit in limits if isinstance(limit, int) and limit > 0), ANSWER_TOKENS)
    return len(body) // 4 + answer


async def _leave(limiter: Limiter, call: _Call, tokens: int) -> None:
    """Tell the limiter what a call took that is over. That is read now, when the framework has its reply."""
    await limiter.leave(tokens, await asyncio.to_thread(_used, call))


def _used(call: _Call) -> int | None:
    """The tokens that a call took; None where nobody knows."""
    if call.error is not None:
        return None
    if call.status >= 400:
        return 0
    response = parsed(call.response)
    usage = usage_of(call.api, response)
    if call.api == "chat_completions" and (usage.prompt is None or usage.completion is None):
        usage = counted(json_of(call.body), response) or usage
    return None if usage.prompt is None else usage.prompt + (usage.completion or 0)


async def _deliver(call: _Call, reply: Reply, send: Send, line: _Line | None) -> None:
    """Hand the reply to the framework as it comes in, and keep a copy; no further once it has left the `line`, if one
    is given."""
    call.status = reply.status
    if reply.status >= 400:
        call.retry_after = reply.retry_after
    if isinstance(reply.body, bytes):
        call.response = reply.body
        call.received = call.first_byte
        length = (b"content-length", b"%d" % len(reply.body))
        await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, length]})
        await send({"type": "http.response.body", "body": reply.body})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    call.response = response = bytearray()  # there at once: the run may be closed before the stream is
    try:
        async for piece in reply.body:
            if not response:
                call.first_byte = time.monotonic()
            response += piece
            if not call.stream_ended:  # whatever comes after its end mark, the model has said all
                call.received = time.monotonic()
                call.stream_ended = bool(END_OF_STREAM.search(response, max(len(response) - len(piece) - _MARK, 0)))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if line is not None and line.left is not None and not call.stream_ended:
                call.error = CUT_OFF
                return
    finally:
        if not call.stream_ended:
            call.received = time.monotonic()
    await send({"type": "http.response.body", "body": b""})


async def _send_json(send: Send, status: int, value: Any) -> None:
    body = orjson.dumps(value)
    headers = [*JSON_HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_error(send: Send, status: int, kind: str, message: str) -> None:
    await _send_json(send, status, {"error": {"type": kind, "code": kind, "message": message}})


def _recorded(call: _Call, run_start: float, session: Session) -> ModelCall:
    sent, response = json_of(call.body), session.without_secrets(parsed(call.response))
    request = session.without_secrets(_recordable(sent, call.body))
    usage, source = usage_of(call.api, response), "upstream"
    error = call.error or (f"status {call.status}" if call.status >= 400 else None)
    is_chat = call.operation == "chat" and call.api == "chat_completions"  # with `responses` the server may know more
    if is_chat and error is None and (usage.prompt is None or usage.completion is None):
        usage, source = counted(request, response) or Usage(), "counted"
    if (
        call.operation == "embeddings"
        and isinstance(request.get("input"), list)
        and len(request["input"]) > VERBATIM_INPUTS
    ):
        digest = hashlib.sha256(orjson.dumps(request["input"])).hexdigest()
        request = {**request, "input": {"count": len(request["input"]), "sha256": digest}}
    return ModelCall.model_validate(
        {
            "gen_ai.operation.name": call.operation,
            "gen_ai.request.model": str(request.get("model")),
            "api": call.api,
            "gen_ai.usage.input_tokens": usage.prompt,
            "gen_ai.usage.output_tokens": usage.completion,
            "gen_ai.usage.cache_read.input_tokens": usage.cached,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
            "usage_source": source if usage.prompt is not None else None,
            "stream": call.stream,
            "status": call.status,
            "error.type": error,
            "retry_after": session.without_secrets(call.retry_after),
            "start_s": _since(run_start, call.start),
            "sent_s": _since(run_start, call.sent),
            "first_byte_s": _since(run_start, call.first_byte),
            "received_s": _since(run_start, call.received),
            "end_s": _since(run_start, call.end),
            "waited_s": round(call.sent - call.held, 6) if call.held else None,
            "refusals": call.refusals,
            "left_s": None if (left := _left(call)) is None else _since(run_start, left),
            "changes": session.changes(sent) if call.operation == "chat" else [],
            "request": request,
            "response": response,
        }
    )


def _left(call: _Call) -> float | None:
    """When the framework closed the connection, if it did before it had all."""
    return None if call.whole or call.stream_ended or call.line is None else call.line.left


def _base64(vector: NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _since(start: float, moment: float) -> float:
    return round(moment - start, 6)


def _recordable(request: dict[str, Any], body: bytes) -> dict[str, Any]:
    """The request as sent, or its text where it is nested too deep to be written into a trace."""
    held = as_recorded(request, body)
    return held if isinstance(held, dict) else {"nested_too_deep": held}
