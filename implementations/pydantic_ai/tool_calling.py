"""Tool calling in Pydantic AI: one agent, and a hook that tells the model of a tool's error."""

from typing import Any

from pydantic_ai import Agent, ModelSettings, RunContext, ToolFailed, UsageLimits
from pydantic_ai.capabilities import Hooks
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=brief.tools,
        retries=model.max_model_calls,  # the default ends the run at a tool's second wrong call in a row
        capabilities=[Hooks(tool_execute_error=tell_the_model)],
    )
    result = await agent.run(brief.question, usage_limits=UsageLimits(request_limit=model.max_model_calls))
    model.report_usage(input_tokens=result.usage.input_tokens, output_tokens=result.usage.output_tokens)
    return result.output


def tell_the_model(ctx: RunContext, *, error: Exception, **call: Any) -> None:
    raise ToolFailed(str(error))  # any other exception ends the run
