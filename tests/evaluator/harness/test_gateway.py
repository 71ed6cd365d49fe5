import asyncio
import base64
import contextlib
import gc
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import orjson
import psutil
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluator.harness.gateway import VERBATIM_INPUTS, Gateway, GatewayRun
from evaluator.models.upstreams import STREAM_HEADERS, BrokenOff, Reply, Session, Upstream, UpstreamError
from evaluator.models.upstreams.scripted import ScriptedUpstream
from evaluator.trace import ModelCall
from evaluator.wire.messages import completion_of
from tasks.base import Step
from tasks.cases import Script

SCRIPT = Script(answer="Good day.")
HELLO: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "Hello?"}]}


class FakeEmbedder:
    """The vector of a text is its length and its first character's code."""

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        return np.array([[len(text) / 3, ord(text[0])] for text in texts], dtype=np.float32)

    def count_tokens(self, texts: list[str]) -> int:
        return sum(len(text.split()) for text in texts)


class Custom(ScriptedUpstream):
    """An upstream that does as it is told."""

    def __init__(self, chat: Any) -> None:
        self._chat = chat

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        reply: Reply = await self._chat(request)
        return reply


@contextlib.asynccontextmanager
async def gateway_to(upstream: Upstream) -> AsyncIterator[tuple[Gateway, aiohttp.ClientSession]]:
    async with (
        Gateway(upstream, FakeEmbedder(), ["scripted", "fake-embedding"]) as gateway,
        aiohttp.ClientSession() as client,
    ):
        yield gateway, client


@pytest.fixture
async def opened() -> AsyncIterator[tuple[Gateway, aiohttp.ClientSession]]:
    async with gateway_to(ScriptedUpstream()) as both:
        yield both


def open_run(gateway: Gateway, script: Script = SCRIPT, max_model_calls: int = 20, timeout_s: float = 60) -> GatewayRun:
    return gateway.open_run(script, max_model_calls, timeout_s)


def closed(gateway: Gateway, run: GatewayRun, run_start: float = 0.0) -> list[ModelCall]:
    gateway.close_run(run.token)
    return run.model_calls(run_start)


async def post(
    client: aiohttp.ClientSession, url: str, body: Any, route: str = "/chat/completions"
) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    async with client.post(url + route, data=data) as response:
        answer: dict[str, Any] = await response.json()
        return response.status, answer


def code(answer: dict[str, Any]) -> str:
    return str(answer["error"]["code"])


# --- who is let in --------------------------------------------------------------------------------


async def test_a_wrong_token_is_not_let_in_and_not_recorded(opened: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    url = gateway.base_url(run)
    for wrong in (run.token[:-1], run.token + "x", "", "v1", run.token.swapcase()):
        status, answer = await post(client, url.replace(run.token, wrong), HELLO)
        assert (status, code(answer)) == (404, "not_found")
    assert closed(gateway, run) == []


async def test_a_closed_run_is_not_let_in(opened: Any) -> None:
    gateway, client = opened
    run, other = open_run(gateway), open_run(gateway)
    assert (await post(client, gateway.base_url(run), HELLO))[0] == 200
    assert len(closed(gateway, run)) == 1
    assert (await post(client, gateway.base_url(run), HELLO))[0] == 404
    assert len(run.model_calls(0)) == 1
    assert (await post(client, gateway.base_url(other), HELLO))[0] == 200


async def test_it_listens_on_the_loopback_only(opened: Any) -> None:
    gateway, _ = opened
    port = urlsplit(gateway.base_url(open_run(gateway))).port
    listening = [c for c in psutil.Process().net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert [c.laddr.ip for c in listening if c.laddr.port == port] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "sent",
    (
        b"",
        b"POST /",
        b"POST {run}/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    ids=("nothing", "half a head", "half a body", "a request, and no other"),
)
async def test_a_connection_on_which_nothing_comes_is_closed_after_a_while(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("evaluator.harness.gateway.IDLE_S", 0.2)
    async with gateway_to(ScriptedUpstream()) as (gateway, client):
        url = gateway.base_url(open_run(gateway))
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(sent.replace(b"{run}", urlsplit(url).path.encode()))
        async with asyncio.timeout(5):
            said = await reader.read()
        assert said.startswith(b"HTTP/1.1 404") is sent.startswith(b"GET")
        writer.close()
        assert (await post(client, url, HELLO))[0] == 200


@pytest.mark.parametrize("streamed", (False, True))
async def test_a_connection_is_closed_where_the_upstream_says_so(streamed: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'data: {"choices": []}\n\n'
        raise BrokenOff("broken off in the middle")

    async def chat(*_: Any) -> Reply:
        if not streamed:
            raise BrokenOff("closed before anything came")
        return Reply(200, STREAM_HEADERS, pieces())

    async with gateway_to(Custom(chat)) as (gateway, client):
        run = open_run(gateway)
        with pytest.raises(aiohttp.ClientError):
            async with client.post(gateway.base_url(run) + "/chat/completions", json=HELLO) as response:
                await response.read()
        [call] = closed(gateway, run)
    assert run.upstream_failure is None and not run.gateway_failed
    assert (call.error, call.status) == (
        ("broken off in the middle", 200) if streamed else ("closed before anything came", 0)
    )


async def test_a_slow_request_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.harness.gateway.IDLE_S", 0.4)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (body[i : i + 20] for i in range(0, len(body), 20)):
            await asyncio.sleep(0.15)
            yield piece

    body = orjson.dumps(HELLO)
    async with gateway_to(ScriptedUpstream()) as (gateway, client):
        url = gateway.base_url(open_run(gateway))
        async with client.post(url + "/chat/completions", data=pieces()) as response:
            assert response.status == 200 and len(body) > 60


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_replies_are_sent_at_once_under_every_loop(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Else the second reply on a kept connection waits for the acknowledgement of the first."""

    async def accepted_has_no_delay() -> bool:
        async with gateway_to(ScriptedUpstream()) as (gateway, client):
            url = urlsplit(gateway.base_url(open_run(gateway)))
            async with client.get(url.geturl() + "/models") as response:
                await response.read()
                [accepted] = [
                    connection.fd
                    for connection in psutil.Process().net_connections("tcp")
                    if connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == url.port
                ]
                with socket.socket(fileno=os.dup(accepted)) as connection:
                    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(accepted_has_no_delay())


async def test_the_garbage_collector_is_left_as_it_was() -> None:
    of_the_process = gc.get_threshold()  # in which another gateway may be open
    before = (701, 11, 11)
    gc.set_threshold(*before)
    try:
        async with gateway_to(ScriptedUpstream()):
            assert gc.get_freeze_count() > 0 and gc.get_threshold() != before
        assert gc.get_freeze_count() == 0 and gc.get_threshold() == before
    finally:
        gc.set_threshold(*of_the_process)


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("GET", "/chat/completions"),
        ("POST", "/chat/completions/"),
        ("POST", "/completions"),
        ("POST", "/responses"),
        ("POST", "/../chat/completions"),
        ("GET", "/models/scripted"),
        ("DELETE", "/models"),
        ("OPTIONS", "/models"),
        ("GET", ""),
        ("GET", "/%ff%00%2e%2e/"),
    ],
)
async def test_other_routes_are_not_served(opened: Any, method: str, route: str) -> None:
    gateway, client = opened
    run = open_run(gateway)
    async with client.request(method, gateway.base_url(run) + route, data=b"{}") as response:
        assert response.status == 404
    assert closed(gateway, run) == []


async def test_the_models_are_listed(opened: Any) -> None:
    gateway, client = opened
    async with client.get(gateway.base_url(open_run(gateway)) + "/models") as response:
        assert [model["id"] for model in (await response.json())["data"]] == ["scripted", "fake-embedding"]


# --- chat -------------------------------------------------------------------------------------------


async def test_a_plain_call_is_answered_and_recorded(opened: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    status, answer = await post(client, gateway.base_url(run), HELLO)
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "Good day.")
    [call] = closed(gateway, run)
    assert (call.operation, call.request_model, call.stream, call.status, call.error) == (
        "chat",
        "scripted",
        False,
        200,
        None,
    )
    assert (call.request, call.response) == (HELLO, answer)
    assert (call.input_tokens, call.output_tokens, call.usage_source) == (2, 3, "upstream")


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_streamed_call_is_answered_and_recorded(opened: Any, include_usage: bool) -> None:
    gateway, client = opened
    run = open_run(gateway)
    request = {**HELLO, "stream": True, "stream_options": {"include_usage": include_usage}}
    async with client.post(gateway.base_url(run) + "/chat/completions", json=request) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *events, done, _ = (await response.read()).split(b"\n\n")
    assert done == b"data: [DONE]"
    [call] = closed(gateway, run)
    assert call.stream
    assert call.response == [json.loads(event.removeprefix(b"data: ")) for event in events]
    assert completion_of(call.response).text == "Good day."
    assert (call.input_tokens, call.output_tokens) == (2, 3)
    assert call.usage_source == ("upstream" if include_usage else "counted")


async def test_tool_calls_of_a_stream_are_assembled(opened: Any) -> None:
    gateway, client = opened
    turn = [Step(tool="one", arguments={"text": "é"}), Step(tool="two")]
    run = open_run(gateway, Script(turns=[turn], answer="x"))
    tools = [{"type": "function", "function": {"name": step.tool}} for step in turn]
    async with client.post(
        gateway.base_url(run) + "/chat/completions", json={**HELLO, "tools": tools, "stream": True}
    ) as response:
        await response.read()
    [call] = closed(gateway, run)
    asked = [(call.name, call.arguments) for call in completion_of(call.response).calls]
    assert asked == [("one", '{"text":"é"}'), ("two", "{}")]


async def test_times_are_in_order(opened: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    for request in (HELLO, {**HELLO, "stream": True}):
        async with client.post(gateway.base_url(run) + "/chat/completions", json=request) as response:
            await response.read()
    await post(client, gateway.base_url(run), {"model": "e", "input": "text"}, "/embeddings")
    calls = closed(gateway, run)
    assert len(calls) == 3
    for call in calls:
        times = [call.start_s, call.sent_s, call.first_byte_s, call.received_s, call.end_s]
        assert times == sorted(times)
    assert [call.start_s for call in calls] == sorted(call.start_s for call in calls)


async def test_runs_at_the_same_time_do_not_mix(opened: Any) -> None:
    gateway, client = opened
    runs = [open_run(gateway, Script(answer=f"Answer {n}.")) for n in range(50)]

    async def ask(number: int, run: GatewayRun) -> None:
        for question in range(4):
            request = {**HELLO, "messages": [{"role": "user", "content": f"Question {number}.{question}"}]}
            _, answer = await post(client, gateway.base_url(run), request)
            assert answer["choices"][0]["message"]["content"] == f"Answer {number}."

    await asyncio.gather(*(ask(number, run) for number, run in enumerate(runs)))
    for number, run in enumerate(runs):
        asked = [call.request["messages"][0]["content"] for call in closed(gateway, run)]
        assert asked == [f"Question {number}.{question}" for question in range(4)]


# --- limits -----------------------------------------------------------------------------------------


async def test_the_call_beyond_the_limit_is_refused_and_not_recorded(opened: Any) -> None:
    gateway, client = opened
    run = open_run(gateway, max_model_calls=2)
    for _ in range(2):
        assert (await post(client, gateway.base_url(run), HELLO))[0] == 200
    assert (run.refusal, run.refused_calls) == (None, 0)
    for number in (1, 2):
        status, answer = await post(client, gateway.base_url(run), HELLO)
        assert (status, code(answer), run.refusal, run.refused_calls) == (400, "call_limit", "call_limit", number)
    assert (await post(client, gateway.base_url(run), {"model": "e", "input": "x"}, "/embeddings"))[0] == 200
    assert [call.operation for call in closed(gateway, run)] == ["chat", "chat", "embeddings"]


@pytest.mark.parametrize(
    ("route", "body"), [("/chat/completions", HELLO), ("/embeddings", {"model": "e", "input": "x"})]
)
async def test_a_run_out_of_time_is_refused(opened: Any, route: str, body: dict[str, Any]) -> None:
    gateway, client = opened
    run = open_run(gateway, timeout_s=0)
    status, answer = await post(client, gateway.base_url(run), body, route)
    assert (status, code(answer), run.refusal) == (400, "timeout", "timeout")
    assert closed(gateway, run) == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_closing_a_run_cuts_off_its_calls(
    streamed: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    under_way = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: {}\n\n"
        under_way.set()
        await asyncio.sleep(60)

    async def slow(_: dict[str, Any]) -> Reply:
        if streamed:
            return Reply(200, [], pieces())
        under_way.set()
        await asyncio.sleep(60)
        raise AssertionError

    async with gateway_to(Custom(slow)) as (gateway, client):
        run, other = open_run(gateway), open_run(gateway)
        asking = asyncio.create_task(client.post(gateway.base_url(run) + "/chat/completions", json=HELLO))
        await under_way.wait()
        [call] = closed(gateway, run)
        assert call.error == "the run ended before the response did"
        times = [call.start_s, call.sent_s, call.first_byte_s, call.received_s, call.end_s]
        assert times == sorted(times)
        if streamed:
            with pytest.raises(aiohttp.ClientPayloadError):
                await (await asking).read()
        else:
            assert (await asking).status == 500
        async with client.get(gateway.base_url(other) + "/models") as response:
            assert response.status == 200
    assert not caplog.records
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("last", "error"), [(b"data: [DONE]\n\n", None), (b'data: "x"\n\n', "the run ended before the response did")]
)
async def test_what_came_of_a_stream_before_its_run_ended_is_kept(last: bytes, error: str | None) -> None:
    """A framework may end its run at the end mark, before the connection of the upstream has ended."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b'data: {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}\n\n'
        yield last
        await asyncio.sleep(60)

    async def streamed(_: dict[str, Any]) -> Reply:
        return Reply(200, [], pieces())

    async with gateway_to(Custom(streamed)) as (gateway, client):
        run = open_run(gateway)
        async with client.post(gateway.base_url(run) + "/chat/completions", json={**HELLO, "stream": True}) as reply:
            while last not in await reply.content.readany():
                pass
            [call] = closed(gateway, run)
    assert (call.status, call.error, call.input_tokens, call.output_tokens) == (200, error, 7, 2)


class _EndsWhenLeft(Session):
    ends_when_left = True


@pytest.mark.parametrize("ends", [True, False])
async def test_when_a_framework_leaves_is_recorded_and_ends_a_stream_where_the_upstream_wants_that(ends: bool) -> None:
    handed: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(40):
            handed.append(number)
            yield b'data: {"choices": []}\n\n'
            await asyncio.sleep(0.01)

    async def chat(*_: Any) -> Reply:
        return Reply(200, STREAM_HEADERS, pieces())

    upstream = Custom(chat)
    if ends:
        upstream.session = lambda script: _EndsWhenLeft()  # type: ignore[assignment, method-assign, return-value]
    async with gateway_to(upstream) as (gateway, client):
        run = open_run(gateway)
        response = await client.post(f"{gateway.base_url(run)}/chat/completions", json={"stream": True})
        await response.content.readany()
        left = time.monotonic()
        response.close()
        await asyncio.sleep(0.8)
        [call] = closed(gateway, run)
    assert call.left_s is not None and abs(call.left_s - left) < 0.5
    assert (len(handed) < 40) is ends
    assert call.error == ("the run ended before the response did" if ends else None)


async def test_a_call_that_was_answered_whole_was_not_left(opened: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    await post(client, gateway.base_url(run), {"messages": [{"role": "user", "content": "Hi"}]})
    [call] = closed(gateway, run)
    assert call.left_s is None


async def test_a_request_still_coming_in_when_its_run_ends_reaches_no_model() -> None:
    async def never(_: dict[str, Any]) -> Reply:
        raise AssertionError("asked")

    async with gateway_to(Custom(never)) as (gateway, _client):
        run = open_run(gateway)
        url = urlsplit(gateway.base_url(run))
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(f"POST {url.path}/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n".encode())
        while not run.tasks:
            await asyncio.sleep(0.001)
        gateway.close_run(run.token)
        writer.write(b"{}")
        assert b" 500 " in await reader.readline()
        writer.close()
        assert run.model_calls(0) == []


@pytest.mark.parametrize(
    ("error", "status", "recorded", "refusal"),
    [
        (UpstreamError("it is gone"), 502, "it is gone", None),
        (TimeoutError(), 504, "timeout", "timeout"),
        (ZeroDivisionError("oh"), 500, "the gateway failed: ZeroDivisionError('oh')", None),
    ],
)
async def test_faults_behind_the_gateway_are_recorded(
    error: Exception, status: int, recorded: str, refusal: str | None
) -> None:
    async def faulty(_: dict[str, Any]) -> Reply:
        raise error

    async with gateway_to(Custom(faulty)) as (gateway, client):
        run = open_run(gateway)
        got, answer = await post(client, gateway.base_url(run), HELLO)
        [call] = closed(gateway, run)
    assert (got, call.status, call.error, run.refusal) == (status, status, recorded, refusal)
    assert answer["error"]["message"]
    assert (call.input_tokens, call.usage_source) == (None, None)


# --- embeddings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", ["one two", ["one two"], ["one", "two three", "é"]], ids=repr)
async def test_float_and_base64_embeddings_are_equal(opened: Any, inputs: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    request = {"model": "fake-embedding", "input": inputs}
    url = gateway.base_url(run)
    _, floats = await post(client, url, {**request, "encoding_format": "float"}, "/embeddings")
    _, coded = await post(client, url, {**request, "encoding_format": "base64"}, "/embeddings")
    texts = [inputs] if isinstance(inputs, str) else inputs
    expected = FakeEmbedder().embed(texts)
    assert np.array_equal(np.array([item["embedding"] for item in floats["data"]], dtype="<f4"), expected)
    decoded = [np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4") for item in coded["data"]]
    assert np.array_equal(np.array(decoded), expected)
    assert [item["index"] for item in floats["data"]] == list(range(len(texts)))
    calls = closed(gateway, run)
    assert [call.request["input"] for call in calls] == [inputs, inputs]
    assert {(call.input_tokens, call.output_tokens, call.usage_source) for call in calls} == {
        (FakeEmbedder().count_tokens(texts), None, "upstream")
    }
    assert calls[0].response == calls[1].response
    assert calls[0].response["data"]["shape"] == list(expected.shape)


@pytest.mark.parametrize("inputs", [[1, 2], [[1, 2], [3]], [], None, 5, {"text": "x"}, ["x", None]], ids=repr)
async def test_other_inputs_are_refused(opened: Any, inputs: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    status, answer = await post(client, gateway.base_url(run), {"model": "e", "input": inputs}, "/embeddings")
    assert (status, code(answer)) == (400, "invalid_request_error")
    assert closed(gateway, run) == []


async def test_many_inputs_are_recorded_by_digest(opened: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    for count in (VERBATIM_INPUTS, VERBATIM_INPUTS + 1):
        await post(client, gateway.base_url(run), {"model": "e", "input": ["text"] * count}, "/embeddings")
    few, many = closed(gateway, run)
    assert few.request["input"] == ["text"] * VERBATIM_INPUTS
    assert many.request["input"]["count"] == VERBATIM_INPUTS + 1
    assert set(many.request["input"]) == {"count", "sha256"}


async def test_an_embedding_model_that_fails_is_recorded(opened: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    status, _ = await post(client, gateway.base_url(run), {"model": "e", "input": ""}, "/embeddings")
    [call] = closed(gateway, run)
    assert status == call.status == 500
    assert call.error == "the gateway failed: IndexError('string index out of range')"


async def test_without_an_embedding_model_there_are_no_embeddings() -> None:
    async with Gateway(ScriptedUpstream(), None, []) as gateway, aiohttp.ClientSession() as client:
        status, _ = await post(client, gateway.base_url(open_run(gateway)), {"input": "x"}, "/embeddings")
        assert status == 404


# --- garbage ------------------------------------------------------------------------------------------

SPECIALIST = Script(turns=[[Step(tool="search", agent="billing", arguments={"id": "O-1"})]], answer="x")


@pytest.mark.parametrize("route", ["/chat/completions", "/embeddings"])
@pytest.mark.parametrize(
    "body",
    [
        *[b"", b"hello", b"[]", b"null", b'"text"', b"5", b"{", b"\xff\xfe{}", b'{"a": "\xff"}'],
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_a_body_that_is_no_json_object_is_refused(opened: Any, route: str, body: bytes) -> None:
    gateway, client = opened
    run = open_run(gateway)
    status, answer = await post(client, gateway.base_url(run), body, route)
    assert (status, code(answer)) == (400, "invalid_request_error")
    assert closed(gateway, run) == []


@pytest.mark.parametrize(
    "change",
    [
        {"messages": None},
        {"messages": "x"},
        {"messages": [1]},
        {"messages": [[]]},
        {"messages": {"role": "user"}},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "assistant", "tool_calls": None}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": None}}]}]},
        {"messages": [{"role": "user", "content": "x" * 5_000_000}]},
        {"messages": [{"role": "user", "content": json.loads("[" * 240 + "]" * 240)}]},
        {"tools": [{}]},
        {"tools": [None]},
        {"tools": {"a": 1}},
        {"tools": [{"function": {"name": 5}}]},
        {"tools": [{"function": {"name": "transfer", "parameters": {"properties": [1], "required": {}}}}]},
        {"model": None},
        {"model": ["x"]},
        {"stream": "yes", "stream_options": 5},
        {"stream_options": []},
    ],
    ids=lambda change: str(change)[:60],
)
async def test_odd_requests_never_break_the_gateway(opened: Any, change: dict[str, Any]) -> None:
    gateway, client = opened
    run = open_run(gateway, SPECIALIST)
    async with client.post(gateway.base_url(run) + "/chat/completions", json={**HELLO, **change}) as response:
        assert response.status in (200, 400)
        assert await response.read()
    [call] = closed(gateway, run)
    assert orjson.dumps(call.model_dump(mode="json", by_alias=True))


async def test_a_request_nested_too_deep_is_recorded_as_text(opened: Any) -> None:
    gateway, client = opened
    run = open_run(gateway)
    body = b'{"model": "scripted", "messages": ' + b"[" * 500 + b"]" * 500 + b"}"
    status, answer = await post(client, gateway.base_url(run), body)
    assert (status, code(answer)) == (400, "invalid_request_error")
    [call] = closed(gateway, run)
    assert call.request == {"nested_too_deep": body.decode()}
    assert orjson.dumps(call.model_dump(mode="json", by_alias=True))


NAMES = ["messages", "tools", "role", "content", "tool_calls", "function", "name", "arguments", "parameters"]
NAMES += ["properties", "required", "type", "enum", "anyOf", "tool_call_id", "stream", "stream_options", "input"]
TEXTS = st.sampled_from(["user", "tool", "billing", "transfer_to", "agent_name", "string", "text", "x", "call_1_1"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=20,
)
MESSAGES = st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), max_size=3)
PARAMETERS = st.dictionaries(st.sampled_from(["properties", "required", "type"]), JSON, max_size=3)
FUNCTIONS = st.fixed_dictionaries({"name": TEXTS | JSON, "parameters": PARAMETERS | JSON})
OFFERED = st.lists(st.fixed_dictionaries({"function": FUNCTIONS | JSON}), max_size=3)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES | JSON, tools=OFFERED | JSON, more=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=2))
def test_no_request_breaks_the_scripted_model(messages: Any, tools: Any, more: dict[str, Any]) -> None:
    request = {"model": "scripted", **more, "messages": messages, "tools": tools}
    for script in (SPECIALIST, Script(searches=["x"], needs=[["y"]], answer="z")):
        upstream = ScriptedUpstream()
        reply = asyncio.run(upstream.chat(orjson.dumps(request), request, upstream.session(script), 60))
        assert reply.status in (200, 400)


@pytest.mark.parametrize(
    "start",
    [
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /%00 HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\nhost: x\r\n\r\n",
    ],
)
async def test_garbage_on_the_socket_does_no_harm(opened: Any, start: bytes, caplog: pytest.LogCaptureFixture) -> None:
    gateway, client = opened
    run = open_run(gateway)
    port = urlsplit(gateway.base_url(run)).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    assert (await reader.readline()).split(b" ")[1] in (b"400", b"404")
    writer.close()
    assert (await post(client, gateway.base_url(run), HELLO))[0] == 200
    assert not caplog.records


async def test_it_can_be_left_while_calls_are_under_way() -> None:
    async def slow(_: dict[str, Any]) -> Reply:
        await asyncio.sleep(60)
        raise AssertionError

    async with aiohttp.ClientSession() as client:
        async with Gateway(Custom(slow), None, []) as gateway:
            run = open_run(gateway)
            url = gateway.base_url(run)
            asking = asyncio.create_task(client.post(url + "/chat/completions", json=HELLO))
            while not run.calls:
                await asyncio.sleep(0.001)
        with contextlib.suppress(aiohttp.ClientError):
            assert (await asking).status == 500
        [call] = run.model_calls(0)
        assert call.error == "the run ended before the response did"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0))
