"""Tool calling in Strands Agents, hardened: retries, a check of each reply, and an end to repeated mistakes."""

from json import JSONDecodeError
from typing import Any

from httpx import TransportError
from openai import APIConnectionError, InternalServerError
from pydantic import validate_call
from strands import Agent, ModelRetryStrategy, tool
from strands.hooks import AfterToolsEvent, HookProvider, HookRegistry
from strands.middleware import InvokeModelResult, InvokeModelStage
from strands.models.openai import OpenAIModel
from strands.types.exceptions import MaxTokensReachedException

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief

RETRIES = 3


async def run(brief: ToolCallingBrief, model: Model) -> str:
    llm = OpenAIModel(
        # The strategy below makes all retries: the client's own would multiply them.
        client_args={"base_url": model.base_url, "api_key": model.api_key, "max_retries": 0},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[tool(validate_call(function)) for function in brief.tools],  # else nested models arrive as dictionaries
        callback_handler=None,  # the default prints every token
        retry_strategy=RetryStrategy(max_attempts=RETRIES + 1, initial_delay=1),
        hooks=[GiveUp()],
    )
    agent.add_middleware(InvokeModelStage.Output, whole)
    result = await agent.invoke_async(brief.question, limits={"turns": model.max_model_calls})
    model.report_usage(
        input_tokens=result.metrics.accumulated_usage["inputTokens"],
        output_tokens=result.metrics.accumulated_usage["outputTokens"],
    )
    if result.stop_reason == "limit_turns":  # the loop stops without an answer and without an exception
        raise RuntimeError(f"no answer after {model.max_model_calls} model calls")
    return str(result).strip()


class EmptyReply(Exception):
    """The model has said nothing and called nothing."""


class RetryStrategy(ModelRetryStrategy):
    """By default, only what is throttled is tried again: no error of the server, and no stream that breaks off."""

    def is_retryable(self, exception: Exception) -> bool:
        in_reply = (EmptyReply, MaxTokensReachedException, TransportError, JSONDecodeError)
        in_place_of_it = (APIConnectionError, InternalServerError)
        return isinstance(exception, (*in_reply, *in_place_of_it)) or super().is_retryable(exception)


def whole(reply: InvokeModelResult) -> InvokeModelResult:
    if reply.result.stop_reason == "content_filtered":  # by default a result like any other
        raise RuntimeError("the provider's filter has taken the reply")
    if reply.result.stop_reason == "max_tokens":  # raised here, the strategy sees it
        raise MaxTokensReachedException("the reply was cut off at the limit of tokens")
    if not any(part.get("text") or "toolUse" in part for part in reply.result.message["content"]):
        raise EmptyReply("the reply is empty")
    return reply


class GiveUp(HookProvider):
    """Ends a run in which so many turns in a row brought nothing but errors from tools."""

    def __init__(self) -> None:
        self.failed = 0

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        registry.add_callback(AfterToolsEvent, self.count)

    def count(self, event: AfterToolsEvent) -> None:
        worked = any(part["toolResult"]["status"] == "success" for part in event.message["content"])
        self.failed = 0 if worked else self.failed + 1
        if self.failed > RETRIES:
            raise RuntimeError(f"nothing but errors from tools in {self.failed} turns")
