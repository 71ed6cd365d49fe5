"""Structured output in LlamaIndex: the type is a tool that ends the run, unless it does not allow the value."""

import inspect
import json

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, validate_call

from tasks.base import Model, Tool
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    llm = OpenAILike(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        is_chat_model=True,
        is_function_calling_model=True,
    )
    # Not `output_cls`: a value that is not valid would only be warned of, and not asked for again.
    answer = get_function_tool(brief.output_type)
    answer.metadata.return_direct = True
    agent = FunctionAgent(
        llm=llm,
        system_prompt=brief.instructions,
        tools=[*(function_tool(tool) for tool in brief.tools), answer],
        initial_tool_choice="required",
    )
    # At its limit the workflow raises before it looks at the response.
    result = await agent.run(user_msg=brief.question, max_iterations=model.max_model_calls + 1)
    return result.raw  # what the tool that ended the run returned


def function_tool(tool: Tool) -> FunctionTool:
    return FunctionTool.from_defaults(
        validate_call(tool),  # the agent passes JSON values on as they come
        description=inspect.getdoc(tool),
        # By default the model gets a Python repr, and of an empty list nothing at all.
        callback=lambda result: json.dumps(result, ensure_ascii=False),
    )
