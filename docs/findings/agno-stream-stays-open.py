"""Agno: a stream that is closed, or a run that is cancelled, leaves the model's answer open.

Whoever leaves a stream, or calls `cancel_run`, gets the events of a cancelled run, but the connection to the model is
not closed: the model speaks on, until the garbage collector runs or the event loop ends. It should be closed at once.

agno 3.1.10: `ainvoke_stream` iterates over the client's stream and never closes it (agno/models/openai/chat.py:694).
A stream of the OpenAI client refers to itself, so that only the garbage collector frees it.

uv run --with "agno[openai]==3.1.10,openai==3.54.0" docs/findings/agno-stream-stays-open.py
"""

import asyncio
import json

import httpx2
from agno.agent import Agent
from agno.models.openai import OpenAIChat
from openai import AsyncOpenAI


class Words(httpx2.AsyncByteStream):
    closed = False

    async def __aiter__(self):
        for _ in range(20):
            choice = {"index": 0, "delta": {"content": "word "}}
            yield f"data: {json.dumps({'id': '1', 'created': 0, 'model': 'm', 'choices': [choice]})}\n\n".encode()
            await asyncio.sleep(0.1)

    async def aclose(self) -> None:
        self.closed = True


async def main() -> None:
    words = Words()
    server = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, stream=words)))
    agent = Agent(model=OpenAIChat("m", async_client=AsyncOpenAI(api_key="-", http_client=server)), telemetry=False)
    async for event in agent.arun("Hello", stream=True, stream_events=True):
        if event.event == "RunContent":
            await agent.acancel_run(event.run_id)
    await asyncio.sleep(0.5)
    print(f"{event.event}, and the answer is closed: {words.closed}")  # RunCompleted, False


asyncio.run(main())
