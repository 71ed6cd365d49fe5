"""LlamaIndex: with pydantic 2.14 an agent's context is written without its memory, and a restored agent forgets all.

The documentation's example of how to keep an agent's state: run, `to_dict` with the `JsonSerializer`, `from_dict`, run.
The second run does not know of the first. All that is said is a warning that names the key `memory`; where a run was
restored in the middle, it fails with `Path 'memory' not found in state`. The memory should be in what was written.

llama-index-core 0.14.25: a serializer of messages passes pydantic's `info` on to its handler, in the place of an index
(llama_index/core/storage/chat_store/simple_chat_store.py:15). pydantic 2.14 raises a TypeError for it, 2.13 did not.
What cannot be written is left out (workflows/context/state_store.py:231). `handler(chat_message)` mends it.

uv run --with llama-index-core==0.14.25,pydantic==2.14.3 docs/findings/llama_index-context-forgets.py
"""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms.mock import MockFunctionCallingLLM
from workflows import Context
from workflows.context.serializers import JsonSerializer


async def main() -> None:
    agent = FunctionAgent(llm=MockFunctionCallingLLM())
    context = Context(agent)
    await agent.run("My name is Laurie!", ctx=context)
    written = context.to_dict(serializer=JsonSerializer())
    restored = Context.from_dict(agent, written, serializer=JsonSerializer())
    await agent.run("What's my name?", ctx=restored)
    memory = await restored.store.get("memory")
    print([message.content for message in await memory.aget()])  # nothing of Laurie


asyncio.run(main())
