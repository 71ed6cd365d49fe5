"""Streaming in LlamaIndex: the events of a run, and the run cancelled when its reader leaves."""

import inspect
import json
from collections.abc import AsyncIterator

from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCall, ToolCallResult
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import validate_call

from tasks.base import Model, Tool
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncIterator[str | ToolStarted | ToolEnded]:
    counter = TokenCountingHandler()
    llm = OpenAILike(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        is_chat_model=True,
        is_function_calling_model=True,
        additional_kwargs={"stream_options": {"include_usage": True}},  # else a streamed reply has no token counts
        callback_manager=CallbackManager([counter]),
    )
    agent = FunctionAgent(
        llm=llm,
        system_prompt=brief.instructions,
        tools=[function_tool(tool) for tool in brief.tools],
    )
    # At its limit the workflow raises before it looks at the response.
    handler = agent.run(user_msg=brief.question, max_iterations=model.max_model_calls + 1)
    try:
        async for event in handler.stream_events():
            match event:
                case AgentStream(delta=delta) if delta:
                    yield delta
                case ToolCall(tool_name=name):
                    yield ToolStarted(name)
                case ToolCallResult(tool_name=name):
                    yield ToolEnded(name)
        await handler  # raises what went wrong
    finally:
        await handler.cancel_run()
    model.report_usage(
        input_tokens=counter.prompt_llm_token_count,
        output_tokens=counter.completion_llm_token_count,
    )


def function_tool(tool: Tool) -> FunctionTool:
    return FunctionTool.from_defaults(
        validate_call(tool),  # the agent passes JSON values on as they come
        description=inspect.getdoc(tool),
        # By default the model gets a Python repr, and of an empty list nothing at all.
        callback=lambda result: json.dumps(result, ensure_ascii=False),
    )
