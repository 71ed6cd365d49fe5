"""LlamaIndex: the error of a tool with `return_direct` is told to the model as something that the model said.

A tool that returns directly fails, and so the run goes on, as it should. But the messages to the model then have the
error twice: as the tool's result, and after it as an answer of the model's. And of several calls in one turn, results
after the one that failed are missing, which OpenAI's server refuses with 400. There should be all results, and no more.

llama-index-core 0.14.25: a run ends only where a call was no error (llama_index/core/agent/workflow/base_agent.py:698),
but the messages are made without looking at that (llama_index/core/agent/workflow/function_agent.py:166).

uv run --with llama-index-core==0.14.25 docs/findings/llama_index-failed-return-direct.py
"""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool


def answer(messages: list[ChatMessage], **rest) -> ChatMessage:
    print([f"{message.role.value}: {message.content}" for message in messages])
    called = any(message.role == "tool" for message in messages)
    calls = [ToolCallBlock(tool_call_id=name, tool_name=name, tool_kwargs={}) for name in ("order", "look_up")]
    return ChatMessage("Done.", role="assistant") if called else ChatMessage(role="assistant", blocks=calls)


def order() -> str:
    raise ValueError("out of stock")


def look_up() -> str:
    return "42"


async def main() -> None:
    tools = [FunctionTool.from_defaults(order, return_direct=True), look_up]
    await FunctionAgent(llm=MockFunctionCallingLLM(response_generator=answer), tools=tools).run("Order a lamp.")


asyncio.run(main())
