"""LlamaIndex: a memory that is put into a restored context before the run is lost, and the run fails.

A context is written without its `Memory`, and warns that it "will require this item to be set manually after
deserialization". Done so, it has no effect: the run fails with `Path 'memory' not found in state`. It should be there.

llama-index-workflows 2.26.1: when the run starts, the state of the context is written and read once more, and again
without the memory (workflows/context/pre_context.py:111). What helps is to set it in the context of the run that has
begun: `handler.ctx.store`.

uv run --with llama-index-core==0.14.25,llama-index-workflows==2.26.1 docs/findings/llama_index-memory-set-before-run.py
"""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import Memory
from workflows import Context
from workflows.events import HumanResponseEvent, InputRequiredEvent


def answer(messages: list[ChatMessage], **rest) -> ChatMessage:
    call = ToolCallBlock(tool_call_id="1", tool_name="ask", tool_kwargs={})
    asked = any(message.role == "tool" for message in messages)
    return ChatMessage("Done.", role="assistant") if asked else ChatMessage(role="assistant", blocks=[call])


async def ask(ctx: Context) -> str:
    return (await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent())).response


async def main() -> None:
    agent = FunctionAgent(llm=MockFunctionCallingLLM(response_generator=answer), tools=[ask])
    memory = Memory.from_defaults()
    handler = agent.run("Ask me.", memory=memory)
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            restored = Context.from_dict(agent, handler.ctx.to_dict())
            break
    await handler.cancel_run()
    await restored.store.set("memory", memory)
    handler = agent.run(ctx=restored)
    handler.ctx.send_event(HumanResponseEvent(response="Yes."))
    print(await handler)  # raises ValueError


asyncio.run(main())
