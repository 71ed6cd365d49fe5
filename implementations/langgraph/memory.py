"""Memory in LangGraph: a checkpointer for the conversation, a summary where it gets long, a store for the user."""

from dataclasses import dataclass
from uuid import uuid4

from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware, before_agent, dynamic_prompt
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.sqlite.aio import AsyncSqliteStore

from tasks.base import Model
from tasks.memory.spec import MemoryBrief


@dataclass
class Context:
    user: str


async def run(brief: MemoryBrief, model: Model) -> str:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    async with (
        AsyncSqliteSaver.from_conn_string(str(brief.store / "conversations.sqlite")) as checkpointer,
        AsyncSqliteStore.from_conn_string(str(brief.store / "memories.sqlite")) as store,
    ):
        await store.setup()
        agent = create_agent(
            llm,
            system_prompt=brief.instructions,
            middleware=[
                remember,
                recall,
                SummarizationMiddleware(
                    llm, trigger=("tokens", brief.most_tokens), keep=("tokens", brief.most_tokens // 2)
                ),
            ],
            checkpointer=checkpointer,
            store=store,
            context_schema=Context,
        )
        for message in brief.messages:
            result = await agent.ainvoke(
                {"messages": [{"role": "user", "content": message}]},
                {"configurable": {"thread_id": brief.conversation}},
                context=Context(brief.user),
            )
    return result["messages"][-1].text


@before_agent
async def remember(state, runtime):
    said = {"text": state["messages"][-1].text, "conversation": runtime.execution_info.thread_id}
    await runtime.store.aput(("memories", runtime.context.user), str(uuid4()), said)


@dynamic_prompt
async def recall(request):
    runtime = request.runtime
    memories = await runtime.store.asearch(
        ("memories", runtime.context.user),
        # What was said in this conversation is in its messages, or in their summary.
        filter={"conversation": {"$ne": runtime.execution_info.thread_id}},
    )
    if not memories:
        return request.system_prompt
    said = "\n".join(memory.value["text"] for memory in memories)
    return f"{request.system_prompt}\n\nThe user said in earlier conversations:\n{said}"
