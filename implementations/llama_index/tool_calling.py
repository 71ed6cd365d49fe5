"""Tool calling in LlamaIndex: one function-calling agent."""

import inspect
import json

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler  # for report_usage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import validate_call

from tasks.base import Model, Tool
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    counter = TokenCountingHandler()  # for report_usage
    llm = OpenAILike(
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
    agent = FunctionAgent(
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


def function_tool(tool: Tool) -> FunctionTool:
    return FunctionTool.from_defaults(
        validate_call(tool),  # the agent passes JSON values on as they come
        description=inspect.getdoc(tool),
        # By default the model gets a Python repr, and of an empty list nothing at all.
        callback=lambda result: json.dumps(result, ensure_ascii=False),
    )
