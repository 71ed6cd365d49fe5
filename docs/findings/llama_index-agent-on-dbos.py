r"""LlamaIndex: on the DBOS runtime an agent forgets the question after its first call of a tool.

The first request to the model has the user's message, the second only the call and its result. Nothing is raised and
nothing logged. The second should have the user's message as well.

llama-index-core 0.14.25, llama-agents-dbos 0.7.0: an agent puts its memory into the state, gets it from there in each
step, and adds messages to what it got (llama_index/core/agent/workflow/base_agent.py:406). The runtime keeps the state
in a database, and decodes it anew each time that it is asked for (workflows/context/state_store.py:1014), so what is
added to it is lost. (A `Memory` cannot be written at all, and the agent fails: its `insert_method` is no JSON.)

uv run --with llama-index-core==0.14.25,llama-agents-dbos==0.7.0,'dbos<2.20' \
    docs/findings/llama_index-agent-on-dbos.py
"""

import asyncio
from tempfile import mkdtemp

from dbos import DBOS
from llama_agents.dbos import DBOSRuntime
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM


def answer(messages: list[ChatMessage], **rest) -> ChatMessage:
    print([message.role.value for message in messages])  # ['user'], and then ['assistant', 'tool']
    called = any(message.role == "tool" for message in messages)
    call = ToolCallBlock(tool_call_id="1", tool_name="greet", tool_kwargs={})
    return ChatMessage("Done.", role="assistant") if called else ChatMessage(role="assistant", blocks=[call])


def greet() -> str:
    return "Hello"


async def main() -> None:
    DBOS(config={"name": "agent", "system_database_url": f"sqlite:///{mkdtemp()}/db", "run_admin_server": False})
    runtime = DBOSRuntime()
    with runtime.registering():
        agent = FunctionAgent(llm=MockFunctionCallingLLM(response_generator=answer), tools=[greet])
    await runtime.launch()
    await agent.run("Greet me.")
    await runtime.destroy()


asyncio.run(main())
