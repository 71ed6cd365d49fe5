"""Agents in parallel in the OpenAI Agents SDK, which leaves it to `asyncio.gather`."""

import asyncio

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)

    async def ask(spec: AgentSpec, question: str) -> str:
        agent = Agent(
            name=spec.name,
            instructions=spec.instructions,
            model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
            model_settings=ModelSettings(temperature=model.temperature),
        )
        return (await Runner.run(agent, question)).final_output

    found = await asyncio.gather(*(ask(branch, brief.question) for branch in brief.branches), return_exceptions=True)
    report = [
        f"{branch.name}: {f'failed: {answer}' if isinstance(answer, Exception) else answer}"
        for branch, answer in zip(brief.branches, found, strict=True)
    ]
    return await ask(brief.join, "\n".join([brief.question, *report]))
