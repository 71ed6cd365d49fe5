"""Tool calling in LlamaIndex, hardened: a retried step, a check of each reply, and an end to repeated mistakes."""

import inspect
import json
from collections.abc import Sequence
from typing import Any

from httpx import TransportError
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.agent.workflow.workflow_events import AgentOutput, AgentSetup
from llama_index.core.base.llms.types import ChatResponseAsyncGen
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler  # for report_usage
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import BaseMemory
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, step
from llama_index.llms.openai_like import OpenAILike
from pydantic import validate_call
from workflows.retry_policy import retry_if_exception_type, retry_policy, stop_after_attempt, wait_fixed

from tasks.base import Model, Tool
from tasks.tool_calling.spec import ToolCallingBrief

RETRIES = 3


async def run(brief: ToolCallingBrief, model: Model) -> str:
    counter = TokenCountingHandler()  # for report_usage
    llm = CheckedLLM(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,  # the default, a minute a call, is short for a model on a CPU
        is_chat_model=True,
        is_function_calling_model=True,
        additional_kwargs={"stream_options": {"include_usage": True}},  # else a streamed reply has no token counts
        callback_manager=CallbackManager([counter]),  # for report_usage
    )
    agent = HardenedAgent(
        llm=llm,
        system_prompt=brief.instructions,
        tools=[function_tool(tool) for tool in brief.tools],
    )
    # At its limit the workflow raises before it looks at the response.
    result = await agent.run(user_msg=brief.question, max_iterations=model.max_model_calls + 1)
    model.report_usage(
        input_tokens=counter.prompt_llm_token_count,
        output_tokens=counter.completion_llm_token_count,
    )
    return str(result)


class Incomplete(Exception):
    """A reply that is empty, or was cut off."""


class CheckedLLM(OpenAILike):
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        replies = await super().astream_chat(messages, **kwargs)

        async def checked() -> ChatResponseAsyncGen:
            finish_reason, said = None, False
            async for reply in replies:
                for choice in reply.raw.choices:
                    finish_reason = choice.finish_reason or finish_reason
                said = bool(reply.message.content or reply.message.additional_kwargs.get("tool_calls"))
                yield reply
            if finish_reason == "content_filter":
                raise RuntimeError("the provider's filter has taken the reply")
            if finish_reason == "length" or not said:
                raise Incomplete(f"the reply is empty or cut off: {finish_reason}")

        return checked()


class HardenedAgent(FunctionAgent):
    # What fails before the first byte the client tries again; `max_retries` does not reach into a stream.
    @step(
        retry_policy=retry_policy(
            retry=retry_if_exception_type((Incomplete, TransportError, json.JSONDecodeError)),
            wait=wait_fixed(1),
            stop=stop_after_attempt(RETRIES + 1),
        )
    )
    async def run_agent_step(self, ctx: Context, ev: AgentSetup) -> AgentOutput:
        return await super().run_agent_step(ctx, ev)

    async def handle_tool_call_results(self, ctx: Context, results: list[ToolCallResult], memory: BaseMemory) -> None:
        worked = any(not result.tool_output.is_error for result in results)
        failed = 0 if worked else await ctx.store.get("failed", default=0) + 1
        await ctx.store.set("failed", failed)
        if failed > RETRIES:
            raise RuntimeError(f"nothing but errors from tools in {failed} turns")
        await super().handle_tool_call_results(ctx, results, memory)


def function_tool(tool: Tool) -> FunctionTool:
    return FunctionTool.from_defaults(
        validate_call(tool),  # the agent passes JSON values on as they come
        description=inspect.getdoc(tool),
        # By default the model gets a Python repr, and of an empty list nothing at all.
        callback=lambda result: json.dumps(result, ensure_ascii=False),
    )
