"""Calls that wait for limits of the model's server, and refusals that the gateway waits out."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import orjson
import pytest

from evaluator.harness.gateway import Gateway, GatewayRun
from evaluator.models.upstreams import STREAM_HEADERS, Reply, Session, Upstream, UpstreamError
from evaluator.models.upstreams.scripted import ScriptedUpstream
from evaluator.trace import ModelCall
from tasks.cases import Script

HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello?"}]}
ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Good day."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 7},
}


class Doorman:
    """A limiter that lets calls through as it is told, and notes what it is asked and told."""

    def __init__(self, is_open: bool = True) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.open = asyncio.Event()
        if is_open:
            self.open.set()
        self.changed = asyncio.Event()

    async def enter(self, tokens: int) -> None:
        self._note("asks", tokens)
        await self.open.wait()
        self._note("enters", tokens)

    async def leave(self, estimated: int, used: int | None) -> None:
        self._note("leaves", estimated, used)

    async def slow_down(self, seconds: float) -> None:
        self._note("slows down", seconds)

    def _note(self, *what: Any) -> None:
        self.said.append(what)
        self.changed.set()

    async def has_said(self, what: str, times: int = 1) -> None:
        while sum(said[0] == what for said in self.said) < times:
            self.changed.clear()
            await self.changed.wait()

    @property
    def words(self) -> list[str]:
        return [said[0] for said in self.said]


class Server(ScriptedUpstream):
    """An upstream that answers its calls with these, in turn, and the last of them ever after."""

    def __init__(self, *replies: Any) -> None:
        self._replies = list(replies)
        self.calls: list[float] = []

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        self.calls.append(time_left_s)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        made: Reply = reply() if callable(reply) else reply
        return made


def answers(body: Any = ANSWER, status: int = 200, **headers: str) -> Callable[[], Reply]:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return lambda: Reply(status, sent, orjson.dumps(body))


def refuses(status: int = 429, message: str = "too many requests", **headers: str) -> Callable[[], Reply]:
    return answers({"error": {"message": message}}, status, **headers)


@contextlib.asynccontextmanager
async def limited(upstream: Upstream, doorman: Doorman) -> AsyncIterator[tuple[Gateway, aiohttp.ClientSession]]:
    async with Gateway(upstream, None, ["m"], doorman) as gateway, aiohttp.ClientSession() as client:
        yield gateway, client


def opened(gateway: Gateway, timeout_s: float = 60) -> GatewayRun:
    return gateway.open_run(Script(answer="x"), 20, timeout_s)


def closed(gateway: Gateway, run: GatewayRun) -> list[ModelCall]:
    gateway.close_run(run.token)
    return run.model_calls(0.0)


async def ask(client: aiohttp.ClientSession, url: str, body: dict[str, Any] = HELLO) -> tuple[int, bytes]:
    async with client.post(f"{url}/chat/completions", data=orjson.dumps(body)) as response:
        return response.status, await response.read()


async def test_a_call_goes_upstream_only_once_it_is_let_through() -> None:
    doorman, server = Doorman(is_open=False), Server(answers())
    async with limited(server, doorman) as (gateway, client):
        run = opened(gateway)
        asking = asyncio.create_task(ask(client, gateway.base_url(run)))
        await doorman.has_said("asks")
        assert server.calls == []
        assert len(gateway.waiting_since) == 1
        doorman.open.set()
        assert (await asking)[0] == 200
        assert gateway.waiting_since == []
        [call] = closed(gateway, run)
    assert doorman.words == ["asks", "enters", "leaves"]
    assert call.waited_s is not None and call.waited_s > 0
    assert call.start_s <= call.begun_s <= call.sent_s <= call.received_s
    assert call.refusals == 0


@pytest.mark.parametrize(
    ("request_", "answer_tokens"),
    (({}, 256), ({"max_tokens": 50}, 50), ({"max_completion_tokens": 60}, 60), ({"max_tokens": None}, 256)),
)
async def test_a_call_is_estimated_by_its_bytes_and_what_it_may_write(
    request_: dict[str, Any], answer_tokens: int
) -> None:
    doorman = Doorman()
    async with limited(Server(answers()), doorman) as (gateway, client):
        body = HELLO | request_
        await ask(client, gateway.base_url(opened(gateway)), body)
    estimated = len(orjson.dumps(body)) // 4 + answer_tokens
    assert doorman.said == [("asks", estimated), ("enters", estimated), ("leaves", estimated, 37)]


def _stream(*pieces: bytes) -> Callable[[], Reply]:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return lambda: Reply(200, STREAM_HEADERS, body())


@pytest.mark.parametrize(
    ("reply", "used"),
    (
        (_stream(b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}\n\ndata: [DONE]\n\n'), 11),
        (answers({**ANSWER, "usage": None}), 5),  # counted with the tokenizer of the harness
        (refuses(400, "nonsense"), 0),
        (UpstreamError("gone"), None),
    ),
    ids=("stream", "without usage", "refused for what it asks", "out of reach"),
)
async def test_the_limiter_hears_what_a_call_took(reply: Any, used: int | None) -> None:
    doorman = Doorman()
    async with limited(Server(reply), doorman) as (gateway, client):
        await ask(client, gateway.base_url(opened(gateway)))
    assert [said[2] for said in doorman.said if said[0] == "leaves"] == [used]


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    (
        (refuses(429, retry_after="3"), 3),
        (refuses(429, retry_after="3", retry_after_ms="250"), 0.25),
        (refuses(503, retry_after="2"), 2),
        (refuses(529, retry_after="2"), 2),
        (refuses(429), 1),
        (refuses(429, retry_after="0"), 1),
    ),
    ids=("429", "in ms", "503", "529", "429 that says nothing", "429 at once"),
)
async def test_a_refusal_is_waited_out_and_the_framework_never_sees_it(refusal: Any, seconds: float) -> None:
    doorman, server = Doorman(), Server(refusal, refusal, answers())
    async with limited(server, doorman) as (gateway, client):
        run = opened(gateway)
        status, _ = await ask(client, gateway.base_url(run))
        [call] = closed(gateway, run)
    assert status == call.status == 200
    assert call.error is None and call.refusals == 2
    again = [1, 2] if seconds == 1 else [seconds, seconds]
    assert [said[1] for said in doorman.said if said[0] == "slows down"] == again
    once = ["asks", "enters", "slows down", "leaves"]
    assert doorman.words == [*once, *once, "asks", "enters", "leaves"]
    assert [said[2] for said in doorman.said if said[0] == "leaves"] == [0, 0, 37]
    assert run.chat_calls == 1


@pytest.mark.parametrize(
    "refusal",
    (
        refuses(503),
        refuses(500, retry_after="1"),
        refuses(429, retry_after="86400"),
        refuses(429, retry_after_ms="3600000"),
        refuses(429, retry_after_ms="inf"),
        refuses(429, message="You exceeded your current quota: insufficient_quota"),
    ),
    ids=("503 that says nothing", "500", "come back tomorrow", "in an hour, in ms", "never", "no credit"),
)
async def test_what_waiting_does_not_help_is_the_frameworks_to_see(refusal: Any) -> None:
    doorman, server = Doorman(), Server(refusal)
    async with limited(server, doorman) as (gateway, client):
        run = opened(gateway)
        status, body = await ask(client, gateway.base_url(run))
        [call] = closed(gateway, run)
    expected = refusal()
    assert (status, body) == (expected.status, expected.body)
    assert call.error == f"status {status}" and call.refusals == 0 and len(server.calls) == 1


async def test_without_limits_a_refusal_is_passed_on() -> None:
    server = Server(refuses(429, retry_after="1"))
    async with Gateway(server, None, ["m"]) as gateway, aiohttp.ClientSession() as client:
        run = opened(gateway)
        assert (await ask(client, gateway.base_url(run)))[0] == 429
        [call] = closed(gateway, run)
        assert not gateway.is_limited
    assert (call.status, call.retry_after, call.waited_s, call.refusals) == (429, "1", None, 0)
    assert not {"waited_s", "refusals"} & call.model_dump().keys()


async def test_a_runs_time_stands_still_while_a_call_waits() -> None:
    doorman, server = Doorman(is_open=False), Server(answers())
    async with limited(server, doorman) as (gateway, client):
        run = opened(gateway, timeout_s=0.5)
        asking = [asyncio.create_task(ask(client, gateway.base_url(run))) for _ in range(2)]
        await doorman.has_said("asks", 2)
        await asyncio.sleep(1)  # longer than the run may take
        doorman.open.set()
        assert [status for status, _ in await asyncio.gather(*asking)] == [200, 200]
        assert all(0 < left <= 0.5 for left in server.calls)  # and what two calls wait is not had twice
        calls = closed(gateway, run)
    waited = [call.waited_s or 0.0 for call in calls]
    assert max(waited) <= run.waited_s(0.0, time.monotonic()) < sum(waited)
    assert run.refusal is None


async def test_a_run_that_is_out_of_time_has_none_left() -> None:
    server = Server(TimeoutError())
    async with limited(server, Doorman()) as (gateway, client):
        run = opened(gateway)
        url = gateway.base_url(run)
        assert [(await ask(client, url))[0], (await ask(client, url))[0]] == [504, 400]
        assert run.refusal == "timeout" and len(server.calls) == 1


async def test_a_call_that_waits_for_too_long_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.harness.gateway.LONGEST_WAIT_S", 0.1)
    doorman, server = Doorman(is_open=False), Server(answers())
    async with limited(server, doorman) as (gateway, client):
        run = opened(gateway)
        status, body = await ask(client, gateway.base_url(run))
        assert status == 502
        assert run.upstream_failure is not None and "--jobs" in run.upstream_failure
        assert run.upstream_failure in body.decode()
        [call] = closed(gateway, run)
    assert doorman.words == ["asks"]  # it never entered, and does not leave
    assert call.sent_s == call.received_s


async def test_a_framework_that_leaves_meanwhile_is_not_answered() -> None:
    doorman, server = Doorman(is_open=False), Server(answers())
    async with limited(server, doorman) as (gateway, client):
        run = opened(gateway)
        asking = asyncio.create_task(ask(client, gateway.base_url(run)))
        await doorman.has_said("asks")
        asking.cancel()
        while run.under_way:
            await asyncio.sleep(0.01)
        doorman.open.set()
        await doorman.has_said("leaves")
        [call] = closed(gateway, run)
    assert server.calls == [] and call.error is not None


async def test_a_run_that_is_closed_while_its_call_waits_never_entered() -> None:
    doorman, server = Doorman(is_open=False), Server(answers())
    async with limited(server, doorman) as (gateway, client):
        run = opened(gateway)
        asking = asyncio.create_task(ask(client, gateway.base_url(run)))
        await doorman.has_said("asks")
        [call] = closed(gateway, run)
        with contextlib.suppress(aiohttp.ClientError):
            await asking
    assert doorman.words == ["asks"] and server.calls == []
    assert call.error is not None and call.waited_s is not None


async def test_a_server_of_its_own_time_is_no_waiting() -> None:
    """Only what lies before the last sending is waiting: the exchange that was refused is, the one that was not is
    the model's time."""

    class Slow(Server):
        async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
            await asyncio.sleep(0.05)
            return await super().chat(body, request, session, time_left_s)

    async with limited(Slow(refuses(429, retry_after="1"), answers()), Doorman()) as (gateway, client):
        run = opened(gateway)
        await ask(client, gateway.base_url(run))
        [call] = closed(gateway, run)
    assert call.waited_s is not None and call.waited_s > 0.04
    assert call.received_s - call.sent_s > 0.04
    assert call.begun_s <= call.sent_s
