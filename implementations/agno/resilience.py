"""Resilience in Agno: the OpenAI client asks again and keeps the time, the agent has a fallback model."""

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    first, second = (
        OpenAILike(
            id=name,
            base_url=model.base_url,
            api_key=model.api_key,
            temperature=model.temperature,
            timeout=brief.request_timeout_s,
            # Agno's own `retries` wait for a time of their own, whatever the server says.
            max_retries=brief.attempts - 1,
        )
        for name in (model.name, brief.fallback)
    )
    agent = Agent(
        model=first,
        fallback_models=[second],
        instructions=brief.instructions,
        telemetry=False,
    )
    result = await agent.arun(brief.question)
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content
