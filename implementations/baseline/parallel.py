"""Agents in parallel without a framework: `asyncio.gather`, and one more request that joins what they found."""

import asyncio

from openai import AsyncOpenAI

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    results = await asyncio.gather(
        *(ask(client, model, branch, brief.question) for branch in brief.branches),
        return_exceptions=True,
    )
    found = [brief.question, "What the analysts found:"]
    for branch, result in zip(brief.branches, results, strict=True):
        found.append(f"{branch.name}: {f'failed: {result}' if isinstance(result, BaseException) else result}")
    return await ask(client, model, brief.join, "\n".join(found))


async def ask(client: AsyncOpenAI, model: Model, agent: AgentSpec, question: str) -> str:
    completion = await client.chat.completions.create(
        model=model.name,
        temperature=model.temperature,
        messages=[
            {"role": "system", "content": agent.instructions},
            {"role": "user", "content": question},
        ],
    )
    return completion.choices[0].message.content or ""
