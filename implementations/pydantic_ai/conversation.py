"""A conversation in Pydantic AI: one agent, and a `Conversation` that each run continues."""

from typing import Any

from pydantic_ai import Agent, ModelSettings, RunContext, ToolFailed, UsageLimits
from pydantic_ai.capabilities import Hooks
from pydantic_ai.conversation import Conversation
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.conversation import ConversationBrief


async def run(brief: ConversationBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=brief.tools,
        retries=model.max_model_calls,  # the default ends the run at a tool's second wrong call in a row
        capabilities=[Hooks(tool_execute_error=tell_the_model)],
    )
    conversation = Conversation()
    for message in brief.messages:
        result = await agent.run(
            message,
            conversation=conversation,
            usage_limits=UsageLimits(request_limit=model.max_model_calls),  # of the whole conversation
        )
        conversation = result.conversation
    model.report_usage(input_tokens=conversation.usage.input_tokens, output_tokens=conversation.usage.output_tokens)
    return result.output


def tell_the_model(ctx: RunContext, *, error: Exception, **call: Any) -> None:
    raise ToolFailed(str(error))  # any other exception ends the run
