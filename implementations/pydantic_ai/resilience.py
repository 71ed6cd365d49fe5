"""Resilience in Pydantic AI: settings for the client's retries and time limit, and a capability for another model."""

from pydantic_ai import Agent, ModelSettings
from pydantic_ai.capabilities import ModelFallback
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(
            temperature=model.temperature,
            timeout=brief.request_timeout_s,
            max_retries=brief.attempts - 1,
        ),
        capabilities=[ModelFallback(OpenAIChatModel(brief.fallback, provider=provider))],
    )
    result = await agent.run(brief.question)
    return result.output
