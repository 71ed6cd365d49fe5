"""A conversation in LlamaIndex: one function-calling agent, and a memory of its messages."""

import inspect

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler  # for report_usage
from llama_index.core.memory import Memory
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import validate_call

from tasks.base import Model, Tool
from tasks.conversation import ConversationBrief


async def run(brief: ConversationBrief, model: Model) -> str:
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
    memory = Memory.from_defaults(token_limit=1_000_000)  # the default forgets what is beyond 21,000 tokens
    for message in brief.messages:
        # At its limit the workflow raises before it looks at the response.
        result = await agent.run(user_msg=message, memory=memory, max_iterations=model.max_model_calls + 1)
    model.report_usage(
        input_tokens=counter.prompt_llm_token_count,
        output_tokens=counter.completion_llm_token_count,
    )
    return str(result)


def function_tool(tool: Tool) -> FunctionTool:
    return FunctionTool.from_defaults(
        validate_call(tool),  # the agent passes JSON values on as they come
        description=inspect.getdoc(tool),
    )
