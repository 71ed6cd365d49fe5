"""Parallel agents in the OpenAI Agents SDK: `asyncio.gather`, as its documentation has it."""

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
        result = await Runner.run(agent, question)
        return result.final_output

    results = await asyncio.gather(*(ask(branch, brief.question) for branch in brief.branches), return_exceptions=True)
    found = [brief.question]
    for branch, result in zip(brief.branches, results, strict=True):
        found.append(f"{branch.name}: {f'failed: {result}' if isinstance(result, BaseException) else result}")
    return await ask(brief.join, "\n".join(found))
