"""Tool calling in Pydantic AI, hardened: few retries, and hooks that ask again for a spoiled reply."""

from typing import Any

from pydantic_ai import Agent, ModelRetry, ModelSettings, RetryModelRequest, RunContext, ToolFailed, UsageLimits
from pydantic_ai.capabilities import Hooks, RaiseContentFilterError
from pydantic_ai.exceptions import (
    ModelConnectionError,
    ModelHTTPError,
    OutputTokenLimitExceeded,
    UsageLimitExceeded,
)
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model, ToolError
from tasks.tool_calling.spec import ToolCallingBrief

RETRIES = 3


async def run(brief: ToolCallingBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=brief.tools,
        retries=RETRIES,  # the default ends the run at a tool's second wrong call in a row
        capabilities=[
            RaiseContentFilterError(),
            Hooks(
                after_model_request=ask_again_if_cut_off,
                model_request_error=ask_again_if_unreadable,
                tool_execute_error=tell_the_model,
            ),
        ],
    )
    result = await agent.run(brief.question, usage_limits=UsageLimits(request_limit=model.max_model_calls))
    model.report_usage(input_tokens=result.usage.input_tokens, output_tokens=result.usage.output_tokens)
    return result.output


def ask_again_if_cut_off(
    ctx: RunContext, *, request_context: ModelRequestContext, response: ModelResponse
) -> ModelResponse:
    if response.finish_reason == "length":  # by default, half an answer is an answer
        ask_again(request_context, OutputTokenLimitExceeded("the reply was cut off at the limit of tokens"))
    return response


def ask_again_if_unreadable(ctx: RunContext, *, request_context: ModelRequestContext, error: Exception) -> None:
    if isinstance(error, ModelHTTPError | ModelConnectionError | UsageLimitExceeded):
        raise error  # the client has tried again what may pass
    ask_again(request_context, error)


def ask_again(request_context: ModelRequestContext, error: Exception) -> None:
    if request_context.attempt > RETRIES:
        raise error
    raise RetryModelRequest


def tell_the_model(ctx: RunContext, *, error: Exception, **call: Any) -> None:
    if isinstance(error, ToolError):
        raise ToolFailed(str(error))  # any other exception ends the run
    raise ModelRetry(str(error))  # what counts as one of the tool's retries
