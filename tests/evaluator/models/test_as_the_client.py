"""The gateway is no stricter and no laxer than the OpenAI client: on each server the same comes of a call through it as
of one that the client makes directly."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import brotli
import openai
import pytest
from aiohttp import web

from evaluator.harness.gateway import Gateway
from evaluator.models.upstreams.http import HttpUpstream
from evaluator.providers.endpoint import Endpoint
from tasks.cases import Script

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
CALL = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"order": 5}'}}


def message(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "Good day.", **fields}


def completion(**fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message(**fields), "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}


def plain(body: Any, status: int = 200, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=data, status=status, headers={"Content-Type": "application/json", **headers})

    return answer


def streamed(*events: Any, done: str = "data: [DONE]\n\n", late_s: float = 0, cut: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write((event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n").encode())
            await asyncio.sleep(0.01)
        if cut:
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(done.encode())
        await asyncio.sleep(late_s)
        return response

    return answer


def redirecting(status: int, to: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == to:
            return await plain(completion())(request)
        return web.Response(status=status, headers={"Location": to})

    return answer


async def without_length(request: web.Request) -> web.StreamResponse:
    """As servers of HTTP/1.0 do: the body ends where the connection does."""
    assert request.transport is not None
    body = json.dumps(completion()).encode()
    request.transport.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
    request.transport.close()
    return web.Response()


GOOD = json.dumps(completion()).encode()
PLAIN: dict[str, Answer] = {
    "as it should be": plain(completion()),
    "a tool call": plain(completion(content=None, tool_calls=[CALL])),
    "gzip unasked": plain(gzip.compress(GOOD), **{"Content-Encoding": "gzip"}),
    "deflate unasked": plain(zlib.compress(GOOD), **{"Content-Encoding": "deflate"}),
    "br unasked": plain(brotli.compress(GOOD), **{"Content-Encoding": "br"}),
    "redirect 307": redirecting(307, "/v1/chat/completions/"),
    "redirect 308": redirecting(308, "/v1/chat/completions/"),
    "redirect 302, which makes it a GET": redirecting(302, "/v1/elsewhere"),
    "long headers": plain(completion(), **{"X-Long": "a" * 60_000}),
    "no length": without_length,
    "content in parts": plain(completion(content=[{"type": "text", "text": "Good day."}])),
    "reasoning": plain(completion(reasoning_content="Hm.")),
    "usage is null": plain({**completion(), "usage": None}),
    "usage is absurd": plain({**completion(), "usage": {"prompt_tokens": -1, "completion_tokens": 10**30}}),
    "unknown fields": plain({**completion(), "x_more": {"deep": [1]}}),
    "half a surrogate pair": plain(GOOD.replace(b"Good", b"\\ud83d")),
    "not a number": plain(GOOD.replace(b'"created": 1', b'"created": NaN')),
    "an error with status 200": plain({"error": {"message": "no"}}),
    "an empty body": plain(b""),
    "no choices": plain({**completion(), "choices": []}),
    **{f"status {status}": plain({"error": {"message": "no"}}, status) for status in (400, 401, 403, 404, 409, 422)},
    **{f"status {status}": plain({"error": {"message": "no"}}, status) for status in (429, 500, 503, 529)},
    "a page for an error": plain(b"<html>no</html>", 502, **{"Content-Type": "text/html"}),
}
STREAMED: dict[str, Answer] = {
    "as it should be": streamed(chunk(content="Good "), chunk(content="day."), chunk("stop")),
    "with usage": streamed(chunk(content="Good day."), chunk("stop"), {**chunk(), "choices": [], "usage": USAGE}),
    "a tool call": streamed(chunk(tool_calls=[{"index": 0, **CALL}]), chunk("tool_calls")),
    "comments": streamed(": ping\n\n", chunk(content="Good day."), ": ping\n\n", chunk("stop")),
    "other line ends": streamed(f"data: {json.dumps(chunk(content='Good day.'))}\r\n\r\n", chunk("stop")),
    "no blank after the colon": streamed(f"data:{json.dumps(chunk(content='Good day.'))}\n\n", chunk("stop")),
    "an event of several lines": streamed(
        "".join(f"data: {line}\n" for line in json.dumps(chunk(content="Good day."), indent=1).split("\n")) + "\n"
    ),
    "no end mark": streamed(chunk(content="Good day."), chunk("stop"), done=""),
    "open for long": streamed(chunk(content="Good day."), chunk("stop"), late_s=0.5),
    "an error in the middle": streamed(chunk(content="Good "), {"error": {"message": "no"}}),
    "cut in the middle": streamed(chunk(content="Good "), cut=True),
    "an answer that is no stream": plain(completion()),
}


async def called(base_url: str, *, stream: bool) -> Any:
    """What comes of a call, as a framework would see it."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-some-key-1234", max_retries=0, timeout=20) as client:
        try:
            if not stream:
                reply = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
                return repr(reply)
            chunks = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            return [repr(one) async for one in chunks]
        except openai.APIStatusError as error:
            return type(error), error.status_code, error.body
        except Exception as error:
            return type(error)


@pytest.mark.parametrize(("stream", "name"), [*((False, name) for name in PLAIN), *((True, name) for name in STREAMED)])
async def test_the_same_comes_of_it(stream: bool, name: str) -> None:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", (STREAMED if stream else PLAIN)[name])
    serving = web.AppRunner(application, shutdown_timeout=0.1)
    await serving.setup()
    site = web.TCPSite(serving, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{serving.addresses[0][1]}/v1"
    try:
        async with Gateway(HttpUpstream(Endpoint("m", url, "sk-some-key-1234")), None, ["m"]) as gateway:
            run = gateway.open_run(Script(answer=""), 20, 20)
            directly, through = await called(url, stream=stream), await called(gateway.base_url(run), stream=stream)
            gateway.close_run(run.token)
    finally:
        await serving.cleanup()
    assert through == directly
    assert not run.gateway_failed
    run.model_calls(0)  # whatever it was, it can be recorded
