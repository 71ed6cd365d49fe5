import asyncio
import contextlib
import gzip
import itertools
import json
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import brotli
import orjson
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey
from backports import zstd

from evaluator.harness.gateway import Gateway, GatewayRun
from evaluator.models.upstreams import Session, UpstreamError
from evaluator.models.upstreams.http import HttpUpstream
from evaluator.models.upstreams.http import Server as HttpServer
from evaluator.models.upstreams.http import reason as reason_of
from evaluator.providers.endpoint import Endpoint
from evaluator.trace import ModelCall
from evaluator.wire.tokens import count_tokens
from tasks.cases import Script

KEY = "sk-the-users-own-key"
FRAMEWORK_KEY = "a-key-of-the-framework"
HELLO: dict[str, Any] = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hello there"}]}
MESSAGE = {"role": "assistant", "content": "Good day to you."}
COMPLETION = {"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": MESSAGE}]}
USAGE = {"prompt_tokens": 70, "completion_tokens": 30, "prompt_tokens_details": {"cached_tokens": 20}}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """An OpenAI-compatible server that answers as the test says, and keeps what it was sent."""

    answer: Answer
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return await self.answer(request)


@dataclass
class Opened:
    """A gateway in front of a server, and one live run."""

    server: Server
    gateway: Gateway
    run: GatewayRun
    client: aiohttp.ClientSession

    def post(self, body: Any = HELLO, route: str = "/chat/completions") -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {"Authorization": f"Bearer {FRAMEWORK_KEY}", "X-Framework": "yes", "Content-Type": "application/json"}
        return self.client.post(self.gateway.base_url(self.run) + route, data=data, headers=headers)

    def calls(self) -> list[ModelCall]:
        self.gateway.close_run(self.run.token)
        calls = self.run.model_calls(0)
        for call in calls:
            times = [call.start_s, call.sent_s, call.first_byte_s, call.received_s, call.end_s]
            assert times == sorted(times)
            recorded = orjson.dumps(call.model_dump(mode="json", by_alias=True)).decode()
            for secret in (KEY, FRAMEWORK_KEY, "127.0.0.1"):
                assert secret not in recorded
        return calls


@contextlib.asynccontextmanager
async def opened(
    answer: Answer | dict[str, Any],
    *,
    model: str = "gpt-x",
    key: str | None = KEY,
    timeout_s: float = 60,
    quirks: tuple[str, ...] = (),
) -> AsyncIterator[Opened]:
    if isinstance(answer, dict):
        body = answer

        async def answer(request: web.Request) -> web.StreamResponse:
            return web.json_response(body)

    server = Server(answer)
    application = web.Application(client_max_size=2**26)
    application.router.add_post("/v1/chat/completions", server.handle)
    application.router.add_post("/v1/responses", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    try:
        async with (
            Gateway(HttpUpstream(Endpoint(model, server.url, key, quirks)), None, [model]) as gateway,
            aiohttp.ClientSession() as client,
        ):
            yield Opened(server, gateway, gateway.open_run(Script(answer="x"), 20, timeout_s), client)
    finally:
        await runner.cleanup()


def streaming(*chunks: Any, breaks: bool = False, hangs: bool = False) -> Answer:
    """Answers with server-sent events; then `[DONE]`, or a broken connection, or silence."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for chunk in chunks:
            data = chunk if isinstance(chunk, bytes) else b"data: " + orjson.dumps(chunk) + b"\n\n"
            await response.write(data)
        if hangs:
            await asyncio.sleep(60)
        if breaks:
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(b"data: [DONE]\n\n")
        return response

    return answer


def delta(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


# --- what reaches the server -----------------------------------------------------------------------

REQUESTS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "hé"}, {"type": "text", "text": ""}]}]},
    {"tools": [], "tool_choice": None, "stop": None},
    {"messages": [{"name": "ada", "role": "user", "content": None}]},
    {"zeta": 1, "alpha": {"b": [1, 2.5, True, None], "a": "x"}, "extra_body": {"unknown": []}},
    {"temperature": 0.0, "seed": 123456789, "top_p": 1, "logit_bias": {"50256": -100}},
    {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": '天气 \\ " \n \u2028 </script>'}]},
]


@pytest.mark.parametrize("change", REQUESTS, ids=lambda change: str(change)[:50])
@pytest.mark.parametrize("asked", ["gpt-x", "another"])
async def test_a_request_passes_unchanged_but_for_the_models_name(change: dict[str, Any], asked: str) -> None:
    request = {"first": 1, "model": asked, **change, "last": {"z": 1, "a": 2}}
    body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
    async with opened({**COMPLETION, "usage": USAGE}) as both:
        async with both.post(body) as response:
            assert response.status == 200
        assert both.server.bodies == [body.replace(f'"{asked}"'.encode(), b'"gpt-x"')]
        [call] = both.calls()
    assert call.request == request
    assert call.request_model == asked


async def test_a_body_for_the_right_model_passes_byte_for_byte() -> None:
    body = b'{ "model":"gpt-x",\n "x": 1.0e5, "big": 123456789012345678901, "text": "\\u00e9\\/" }'
    async with opened(COMPLETION) as both:
        async with both.post(body) as response:
            assert response.status == 200
        assert both.server.bodies == [body]


@pytest.mark.parametrize("key", [KEY, None])
async def test_the_users_key_replaces_the_frameworks(key: str | None) -> None:
    async with opened(COMPLETION, key=key) as both:
        async with both.post() as response:
            await response.read()
        [headers] = both.server.headers
        assert headers.get("authorization") == (f"Bearer {KEY}" if key else None)
        assert "x-framework" not in headers
        assert FRAMEWORK_KEY not in str(headers)
        assert len(both.calls()) == 1


QUIRKS = ("drop_strict", "max_completion_tokens", "drop_temperature")
LOOSE = {"type": "function", "function": {"name": "f"}}
STRICT = {"type": "function", "function": {"name": "f", "strict": True}}


async def test_quirks_change_what_goes_upstream_and_the_trace_says_so() -> None:
    async with opened(COMPLETION, quirks=QUIRKS) as both:
        for tool in (STRICT, LOOSE):
            async with both.post({**HELLO, "tools": [tool], "temperature": 0}) as response:
                assert response.status == 200
        assert [json.loads(body) for body in both.server.bodies] == [{**HELLO, "tools": [LOOSE]}] * 2
        first, second = both.calls()
    assert first.request == {**HELLO, "tools": [STRICT], "temperature": 0}
    assert first.changes == ["drop_strict", "drop_temperature"]
    assert second.changes == ["drop_temperature"]


async def test_where_no_quirk_applies_the_body_passes_byte_for_byte() -> None:
    body = b'{ "model":"gpt-x", "messages": [],  "x": 1.0e5 }'
    async with opened(COMPLETION, quirks=QUIRKS) as both:
        async with both.post(body) as response:
            assert response.status == 200
        assert both.server.bodies == [body]
        assert both.calls()[0].changes == []


async def test_changes_are_recorded_for_a_call_that_fails_too() -> None:
    upstream = HttpUpstream(Endpoint("gpt-x", f"http://127.0.0.1:{free_port()}/v1", None, QUIRKS))
    async with Gateway(upstream, None, []) as gateway, aiohttp.ClientSession() as client:
        run = gateway.open_run(Script(answer="x"), 20, 60)
        async with client.post(gateway.base_url(run) + "/chat/completions", json={**HELLO, "temperature": 0}):
            pass
        gateway.close_run(run.token)
    assert run.model_calls(0)[0].changes == ["drop_temperature"]


# --- responses ------------------------------------------------------------------------------------

ASKED: dict[str, Any] = {"model": "gpt-x", "input": "Hello there", "temperature": 0}
RESPONSE: dict[str, Any] = {
    "object": "response",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Good day."}]}],
    "usage": {"input_tokens": 70, "output_tokens": 30, "input_tokens_details": {"cached_tokens": 20}},
}


@pytest.mark.parametrize("stream", [False, True])
async def test_responses_are_passed_through_recorded_and_counted(stream: bool) -> None:
    events = [{"type": "response.created", "response": {"usage": None}}, {"type": "x"}]
    events.append({"type": "response.completed", "response": RESPONSE})
    async with opened(streaming(*events) if stream else RESPONSE, quirks=("drop_temperature",)) as both:
        async with both.post({**ASKED, "stream": stream}, "/responses") as response:
            assert response.status == 200
            await response.read()
        assert json.loads(both.server.bodies[0]) == {"model": "gpt-x", "input": "Hello there", "stream": stream}
        assert both.server.headers[0]["authorization"] == f"Bearer {KEY}"
        assert both.run.chat_calls == 1
        [call] = both.calls()
    assert (call.operation, call.api, call.stream) == ("chat", "responses", stream)
    assert (call.input_tokens, call.output_tokens, call.cached_tokens, call.usage_source) == (70, 30, 20, "upstream")
    assert call.request == {**ASKED, "stream": stream}
    assert call.response == (events if stream else RESPONSE)
    assert call.changes == ["drop_temperature"]


async def test_responses_without_usage_are_not_guessed() -> None:
    async with opened({"object": "response", "output": []}) as both:
        async with both.post(ASKED, "/responses") as response:
            assert response.status == 200
        [call] = both.calls()
    assert (call.input_tokens, call.usage_source, call.error) == (None, None, None)


async def test_responses_count_against_the_cap() -> None:
    async with opened(RESPONSE) as both:
        both.run.max_model_calls = 2
        statuses = []
        for route in ("/chat/completions", "/responses", "/responses"):
            async with both.post(ASKED, route) as response:
                statuses.append(response.status)
        assert statuses == [200, 200, 400]
        assert both.run.refusal == "call_limit"
        assert [call.api for call in both.calls()] == ["chat_completions", "responses"]


# --- what comes back ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "recorded"),
    [
        (USAGE, (70, 30, 20, "upstream")),
        ({"prompt_tokens": 70, "completion_tokens": 30}, (70, 30, None, "upstream")),
        ({"prompt_tokens": 70, "completion_tokens": None, "prompt_tokens_details": []}, (2, 5, None, "counted")),
        ({"prompt_tokens": 0, "completion_tokens": 30}, (2, 5, None, "counted")),
        ({"prompt_tokens": -1, "completion_tokens": 30}, (2, 5, None, "counted")),
        ({"input_tokens": 70, "output_tokens": 30, "prompt_cache_hit_tokens": 20}, (70, 30, 20, "upstream")),
        (None, (2, 5, None, "counted")),
        ({}, (2, 5, None, "counted")),
        ({"prompt_tokens": None}, (2, 5, None, "counted")),
        ({"prompt_tokens": "many", "completion_tokens": 1.5}, (2, 5, None, "counted")),
        ("unknown", (2, 5, None, "counted")),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_usage_is_the_upstreams_or_counted(usage: Any, recorded: Any, stream: bool) -> None:
    assert (count_tokens("Hello there"), count_tokens(MESSAGE["content"])) == (2, 5)
    chunks = [delta("Good day"), delta(" to you."), {"choices": [], "usage": usage}]
    async with opened(streaming(*chunks) if stream else {**COMPLETION, "usage": usage}) as both:
        async with both.post({**HELLO, "stream": stream}) as response:
            await response.read()
        [call] = both.calls()
    assert (call.input_tokens, call.output_tokens, call.cached_tokens, call.usage_source) == recorded
    assert call.error is None


async def test_a_stream_without_a_usage_chunk_is_counted() -> None:
    async with opened(streaming(delta("Good day"), delta(" to you."))) as both:
        async with both.post({**HELLO, "stream": True}) as response:
            delivered = await response.read()
        [call] = both.calls()
    assert (call.input_tokens, call.output_tokens, call.usage_source) == (2, 5, "counted")
    assert call.response == [delta("Good day"), delta(" to you.")]
    assert delivered.endswith(b"data: [DONE]\n\n")


async def test_text_with_odd_line_ends_stays_one_chunk() -> None:
    chunk = delta("one\u2028two\u0085three")
    async with opened(streaming(b": a comment\n\n", chunk)) as both:
        async with both.post({**HELLO, "stream": True}) as response:
            await response.read()
        assert both.calls()[0].response == [chunk]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, {}),
        (401, {}),
        (404, {}),
        (429, {"Retry-After": "7", "x-should-retry": "true", "x-request-id": "req-1"}),
        (500, {"retry-after-ms": "250"}),
        (503, {"Content-Type": "text/html"}),
    ],
)
async def test_refusals_pass_on_as_sent(status: int, headers: dict[str, str]) -> None:
    body = b'{"error": {"message": "no", "code": null}}'

    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={"Content-Type": "application/json", **headers})

    async with opened(refuse) as both:
        async with both.post() as response:
            assert (response.status, await response.read()) == (status, body)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                assert response.headers[name] == value
        [call] = both.calls()
    assert (call.status, call.error, call.retry_after) == (status, f"status {status}", headers.get("Retry-After"))
    assert call.response == json.loads(body)
    assert (call.input_tokens, call.usage_source) == (None, None)


async def test_a_server_that_shows_the_key_does_not_bring_it_into_the_trace() -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=401, text=f"wrong key: {request.headers['Authorization']}")

    async with opened(refuse) as both:
        async with both.post() as response:
            assert (response.status, await response.text()) == (401, f"wrong key: Bearer {KEY}")
        assert both.calls()[0].response == "wrong key: Bearer ***"


async def test_the_key_is_taken_out_of_what_is_recorded_and_the_framework_gets_what_was_sent() -> None:
    async def show(request: web.Request) -> web.StreamResponse:
        key = request.headers["Authorization"]
        headers = {"x-request-id": key, "Retry-After": key}
        if not json.loads(await request.read()).get("stream"):
            return web.json_response({**COMPLETION, "shown": key}, headers=headers)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
        await response.prepare(request)
        for start in range(0, len(key), 3):
            await response.write((b"data: " if start == 0 else b"") + key[start : start + 3].encode())
            await asyncio.sleep(0.01)
        await response.write(b"\n\n" + b"data: " + orjson.dumps(delta(key)) + b"\n\n")
        return response

    async with opened(show) as both:
        for stream in (False, True):
            async with both.post({**HELLO, "stream": stream}) as response:
                text = await response.text()
                assert f"Bearer {KEY}" in text
                assert response.headers["x-request-id"] == response.headers["Retry-After"] == f"Bearer {KEY}"
        plain, streamed = both.calls()
    assert plain.response["shown"] == "Bearer ***"
    assert streamed.response == ["Bearer ***", delta("Bearer ***")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"[1]",
        b'{"choices": null}',
        b'{"choices": {}}',
        b'{"choices": [1]}',
        b'{"choices": [{"message": "hello"}]}',
        b'{"choices": [{"message": {"content": 5, "tool_calls": [{"function": null}]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"function": {"name": 5}}]}}]}',
        b'{"usage": [1]}',
        b'{"x": NaN}',
        b'{"x": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'data: {"choices": [5]}\n\ndata: {"choices": [{"delta": 5}]}\n\ndata: {broken\n\n',
    ],
    ids=lambda body: repr(body[:50]),
)
async def test_a_malformed_body_passes_on_and_is_recorded(body: bytes) -> None:
    content_types = ["application/json", "text/event-stream", "text/html; charset=utf-16", "nonsense"]
    left = list(content_types)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": left.pop(0)})

    async with opened(answer) as both:
        for content_type in content_types:
            async with both.post() as response:
                assert response.headers["content-type"] == content_type
                assert (response.status, await response.read()) == (200, body)
        calls = both.calls()
    assert [(call.status, call.error) for call in calls] == [(200, None)] * len(content_types)


async def test_what_speaks_no_http_is_named() -> None:
    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()

    garbling = await asyncio.start_server(garble, "127.0.0.1", 0)
    port = garbling.sockets[0].getsockname()[1]
    for scheme, reason in (
        ("http", "what it answers is not HTTP"),
        ("https", "no TLS with it; is its address http://"),
    ):
        upstream = HttpUpstream(Endpoint("gpt-x", f"{scheme}://127.0.0.1:{port}/v1"))
        with pytest.raises(UpstreamError, match=reason):
            await upstream.chat(b"{}", HELLO, upstream.session(Script(answer="x")), 60)
        await upstream.close()
    garbling.close()


# --- as lenient as the client ---------------------------------------------------------------------------


def packed(encoding: str, data: bytes) -> bytes:
    match encoding:
        case "gzip":
            return gzip.compress(data)
        case "deflate":
            return zlib.compress(data)
        case "br":
            return bytes(brotli.compress(data))
        case _:
            return bytes(zstd.compress(data))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_comes_compressed_unasked_can_be_read(encoding: str, stream: bool) -> None:
    body = b"data: " + orjson.dumps(delta("Good")) + b"\n\n" if stream else orjson.dumps(COMPLETION)

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        kind = "text/event-stream" if stream else "application/json"
        return web.Response(body=packed(encoding, body), headers={"Content-Encoding": encoding, "Content-Type": kind})

    async with opened(answer) as both:
        async with both.post({**HELLO, "stream": stream}) as response:
            assert "content-encoding" not in response.headers
            assert await response.read() == body
        assert both.calls()[0].response == ([delta("Good")] if stream else COMPLETION)


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_is_followed_with_the_request_as_it_was(status: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query_string != "again":
            return web.Response(status=status, headers={"Location": "/v1/chat/completions?again"})
        return web.json_response(COMPLETION)

    async with opened(answer) as both:
        async with both.post() as response:
            assert (response.status, await response.json()) == (200, COMPLETION)
        assert both.server.bodies == [orjson.dumps(HELLO)] * 2
        assert [headers["authorization"] for headers in both.server.headers] == [f"Bearer {KEY}"] * 2


async def test_the_key_is_sent_to_no_other_host() -> None:
    async with opened(COMPLETION) as other:

        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": f"{other.server.url}/chat/completions"})

        async with opened(answer) as both, both.post() as response:
            assert response.status == 200
        assert "authorization" not in other.server.headers[0]


async def test_a_server_that_redirects_for_ever_is_named() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/v1/chat/completions"})

    async with opened(answer) as both:
        async with both.post() as response:
            assert response.status == 502
        assert both.calls()[0].error == "the model's server cannot be used: it redirects more than 20 times"


async def test_long_headers_are_read() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(COMPLETION, headers={"Set-Cookie": "a" * 60_000})

    async with opened(answer) as both, both.post() as response:
        assert response.status == 200


async def test_a_reply_without_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.models.upstreams.http.LARGEST_BODY", 1_000_000)
    async with opened({"x": "y" * 1_100_000}) as both:
        async with both.post() as response:
            assert response.status == 502
        assert both.calls()[0].error == "the model's server sent more than 1 MB in one reply"


@pytest.mark.parametrize("late_s", [0, 0.5])
async def test_the_time_of_the_model_ends_with_the_end_mark_of_its_stream(late_s: float) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: " + orjson.dumps(delta("Good")) + b"\n\ndata: [DO")
        await asyncio.sleep(0.3)
        await response.write(b"NE]\n\n")
        await asyncio.sleep(late_s)
        return response

    async with opened(answer) as both:
        async with both.post({**HELLO, "stream": True}) as response:
            await response.read()
        [call] = both.calls()
    assert call.end_s - call.received_s >= late_s
    assert call.received_s - call.first_byte_s >= 0.1  # the first piece may be seen late


BASES = [
    ("http://h/v1", "http://h/v1/chat/completions"),
    ("http://h/v1/", "http://h/v1/chat/completions"),
    ("http://h", "http://h/chat/completions"),
    (
        "http://h/deployments/x?api-version=2026-01-01&a=%2F",
        "http://h/deployments/x/chat/completions?api-version=2026-01-01&a=%2F",
    ),
    ("http://[::1]:8080/v1", "http://[::1]:8080/v1/chat/completions"),
    ("https://user:pass@h/a%2Fb/v1", "https://h/a%2Fb/v1/chat/completions"),
]


@pytest.mark.parametrize(("base", "url"), BASES)
def test_the_path_is_put_behind_that_of_the_base_url(base: str, url: str) -> None:
    assert str(HttpServer(Endpoint("m", base)).url("chat/completions")) == url


async def test_credentials_in_the_base_url_take_the_place_of_the_key_and_are_not_recorded() -> None:
    async def show(request: web.Request) -> web.StreamResponse:
        said = f"http://ada:secret-password@10.0.0.1 failed; {request.headers['Authorization']}"
        return web.json_response({"error": {"message": said}}, status=500)

    async with opened(show) as both:
        base = both.server.url.replace("http://", "http://ada:secret-password@")
        async with Gateway(HttpUpstream(Endpoint("gpt-x", base, KEY)), None, []) as gateway:
            run = gateway.open_run(Script(answer="x"), 20, 60)
            async with both.client.post(gateway.base_url(run) + "/chat/completions", json=HELLO) as response:
                assert response.status == 500
            gateway.close_run(run.token)
        assert both.server.headers[-1]["authorization"] == "Basic YWRhOnNlY3JldC1wYXNzd29yZA=="
    [call] = run.model_calls(0)
    assert call.response == {"error": {"message": "http://***@10.0.0.1 failed; Basic ***"}}


@pytest.mark.parametrize(
    ("base", "variables", "proxy"),
    [
        ("http://api.example/v1", {"http_proxy": "http://p:1"}, "http://p:1"),
        ("https://api.example/v1", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("https://api.example/v1", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("https://api.example/v1", {"http_proxy": "http://p:1"}, None),
        ("https://api.example/v1", {"https_proxy": "http://p:1", "no_proxy": "example"}, None),
        ("http://127.0.0.1:8000/v1", {"http_proxy": "http://p:1"}, None),
        ("http://localhost:8000/v1", {"http_proxy": "http://p:1"}, None),
        ("http://[::1]:8000/v1", {"http_proxy": "http://p:1"}, None),
    ],
)
def test_proxies_are_those_of_the_environment_and_never_for_this_machine(
    base: str, variables: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert HttpServer(Endpoint("m", base)).proxy() == proxy


async def test_a_server_behind_a_proxy_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.models.upstreams.http.is_loopback", lambda host: False)
    async with opened(COMPLETION) as proxy:  # asked with the whole address, as proxies are
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.server.url.removesuffix("/v1"))
        upstream = HttpUpstream(Endpoint("gpt-x", "http://far.invalid/v1", KEY))
        reply = await upstream.chat(b"{}", {"model": "gpt-x"}, Session(), 10)
        await upstream.close()
        assert reply.status == 200 and proxy.server.headers[0]["host"] == "far.invalid"


# --- when the server does not work --------------------------------------------------------------------


async def test_a_stream_that_breaks_off_is_broken_for_the_client_too() -> None:
    async with opened(streaming(delta("Good"), breaks=True)) as both:
        async with both.post({**HELLO, "stream": True}) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        [call] = both.calls()
    assert call.error == "the model's server broke off its reply: it closed the connection before the end"
    assert (call.status, call.response, call.usage_source) == (200, [delta("Good")], None)
    assert both.run.refusal is None


async def test_a_body_that_breaks_off_is_a_bad_gateway() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    async with opened(answer) as both:
        async with both.post() as response:
            assert response.status == 502
        assert (
            both.calls()[0].error == "the model's server broke off its reply: it closed the connection before the end"
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("base_url", "reason"),
    [
        ("http://127.0.0.1:{port}/v1", "Connection refused"),
        ("http://host.invalid/v1", "its name cannot be resolved"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_named_in_words(base_url: str, reason: str) -> None:
    upstream = HttpUpstream(Endpoint("gpt-x", base_url.format(port=free_port()), KEY))
    async with Gateway(upstream, None, []) as gateway, aiohttp.ClientSession() as client:
        run = gateway.open_run(Script(answer="x"), 20, 60)
        async with client.post(gateway.base_url(run) + "/chat/completions", json=HELLO) as response:
            assert response.status == 502
            message = (await response.json())["error"]["message"]
        gateway.close_run(run.token)
        [call] = run.model_calls(0)
    assert message.startswith(f"the model's server cannot be used: {reason}")
    assert call.error == message
    assert not any(part in message for part in ("127.0.0.1", "host.invalid", KEY))


def test_certificates_that_are_not_there_are_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ConnectionKey("host", 443, True, True, None, None, None)
    error = aiohttp.ClientConnectorCertificateError(key, ssl.SSLCertVerificationError())
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert "is its certificate valid?" in reason_of(error)
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    assert reason_of(error) == "no TLS with it: SSL_CERT_FILE names a file that is not there"


async def test_a_slow_server_meets_the_time_limit_of_the_run() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    async with opened(slow, timeout_s=0.2) as both:
        async with both.post() as response:
            assert (response.status, (await response.json())["error"]["code"]) == (504, "timeout")
        assert both.run.refusal == "timeout"
        async with both.post() as response:
            assert (response.status, (await response.json())["error"]["code"]) == (400, "timeout")
        [call] = both.calls()
    assert (call.status, call.error, call.input_tokens) == (504, "timeout", None)


async def test_a_stream_that_hangs_meets_the_time_limit_of_the_run() -> None:
    async with opened(streaming(delta("Good"), hangs=True), timeout_s=0.3) as both:
        async with both.post({**HELLO, "stream": True}) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        assert both.run.refusal == "timeout"
        [call] = both.calls()
    assert (call.status, call.error, call.response) == (200, "timeout", [delta("Good")])


async def test_no_time_left_is_not_all_the_time_in_the_world() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    async with opened(slow) as both:
        upstream = HttpUpstream(Endpoint("gpt-x", both.server.url))
        with pytest.raises(TimeoutError):
            await upstream.chat(b"{}", HELLO, upstream.session(Script(answer="x")), 0)
        await upstream.close()


async def test_runs_at_the_same_time_do_not_mix() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.read())["messages"][0]["content"]
        await asyncio.sleep(0.001 * (len(asked) % 3))
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": f"{asked}!"}}]})

    async with opened(echo) as both:
        runs = [both.gateway.open_run(Script(answer="x"), 20, 60) for _ in range(50)]

        async def ask(number: int, run: GatewayRun) -> None:
            for question in range(3):
                request = {**HELLO, "messages": [{"role": "user", "content": f"{number}.{question}"}]}
                url = both.gateway.base_url(run) + "/chat/completions"
                async with both.client.post(url, json=request) as response:
                    message = (await response.json())["choices"][0]["message"]
                    assert message["content"] == f"{number}.{question}!"

        await asyncio.gather(*(ask(number, run) for number, run in enumerate(runs)))
        for number, run in enumerate(runs):
            both.gateway.close_run(run.token)
            calls = run.model_calls(0)
            assert [call.request["messages"][0]["content"] for call in calls] == [f"{number}.{n}" for n in range(3)]
            assert [call.response["choices"][0]["message"]["content"] for call in calls] == [
                f"{number}.{n}!" for n in range(3)
            ]


# --- kept connections ------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def closing_after(answers: int) -> AsyncIterator[tuple[str, list[int]]]:
    """A server that gives so many answers over each connection, and closes it at the next request.

    Gives its base URL, and the number of the connection that each request came over.
    """
    came: list[int] = []
    connections = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(connections)
        for answered in itertools.count():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = re.search(rb"content-length: (\d+)", head.lower())
            assert length is not None
            await reader.readexactly(int(length[1]))
            came.append(connection)
            if answered == answers:
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", came
    finally:
        server.close()


async def test_a_kept_connection_that_turns_out_closed_is_no_failure() -> None:
    async with closing_after(1) as (url, came):
        upstream = HttpUpstream(Endpoint("m", url))
        for _ in range(3):
            assert (await upstream.chat(b"{}", {"model": "m"}, Session(), 10)).status == 200
        await upstream.close()
    assert came == [0, 0, 1, 1, 2]  # over the kept one, and again over a new one


async def test_over_a_new_connection_a_request_is_never_sent_twice() -> None:
    async with closing_after(0) as (url, came):
        upstream = HttpUpstream(Endpoint("m", url))
        with pytest.raises(UpstreamError, match="cannot be used"):
            await upstream.chat(b"{}", {"model": "m"}, Session(), 10)
        await upstream.close()
    assert came == [0]
