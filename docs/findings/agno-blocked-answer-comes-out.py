"""Agno: an answer that a guardrail blocks is handed over as the content of the run.

A hook that raises `OutputCheckError` ends the run as an error, whose content is still the answer that was to be kept
back; the reason is only logged. Where a question is blocked, the content is the reason. It should be so here, too.

agno 3.1.10: the error's text becomes the content only where that is None (agno/agent/_run.py:1858).

uv run --with "agno[openai]==3.1.10,openai==3.54.0" docs/findings/agno-blocked-answer-comes-out.py
"""

import asyncio

import httpx2
from agno.agent import Agent
from agno.exceptions import OutputCheckError
from agno.models.openai import OpenAIChat
from openai import AsyncOpenAI


def model(request: httpx2.Request) -> httpx2.Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": "The secret is 42."}, "finish_reason": "stop"}
    return httpx2.Response(200, json={"id": "1", "created": 0, "model": "m", "choices": [choice]})


def keep_secrets(run_output) -> None:
    if "secret" in run_output.content:
        raise OutputCheckError("Secrets are not told.")


async def main() -> None:
    server = httpx2.AsyncClient(transport=httpx2.MockTransport(model))
    client = AsyncOpenAI(api_key="-", http_client=server)
    agent = Agent(model=OpenAIChat("m", async_client=client), post_hooks=[keep_secrets], telemetry=False)
    result = await agent.arun("Tell me.")
    print(result.status, result.content)  # ERROR The secret is 42.


asyncio.run(main())
