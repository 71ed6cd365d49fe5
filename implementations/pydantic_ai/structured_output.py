"""Structured output in Pydantic AI: the type is the agent's output type, and what is invalid goes back to the model."""

from pydantic import BaseModel
from pydantic_ai import Agent, ModelSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=brief.tools,
        output_type=brief.output_type,
    )
    result = await agent.run(brief.question)
    return result.output
