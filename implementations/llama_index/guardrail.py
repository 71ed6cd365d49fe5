"""Guardrails in LlamaIndex, by hand: conditions before the run and after it, and a tool around each tool."""

import inspect
import json

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import validate_call

from tasks.base import Model, Tool
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    if reason := brief.check_input(brief.question):
        return reason
    llm = OpenAILike(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        is_chat_model=True,
        is_function_calling_model=True,
    )
    agent = FunctionAgent(
        llm=llm,
        system_prompt=brief.instructions,
        tools=[guarded(function_tool(tool), brief) for tool in brief.tools],
    )
    # At its limit the workflow raises before it looks at the response.
    answer = str(await agent.run(user_msg=brief.question, max_iterations=model.max_model_calls + 1))
    return brief.check_output(answer) or answer


def guarded(tool: FunctionTool, brief: GuardrailBrief) -> FunctionTool:
    async def call_if_allowed(**arguments) -> str:
        if reason := brief.check_call(tool.metadata.name, arguments):
            return f"Not done: {reason}"
        return (await tool.acall(**arguments)).content

    return FunctionTool(async_fn=call_if_allowed, metadata=tool.metadata)


def function_tool(tool: Tool) -> FunctionTool:
    return FunctionTool.from_defaults(
        validate_call(tool),  # the agent passes JSON values on as they come
        description=inspect.getdoc(tool),
        # By default the model gets a Python repr, and of an empty list nothing at all.
        callback=lambda result: json.dumps(result, ensure_ascii=False),
    )
