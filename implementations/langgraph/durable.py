"""Durable runs in LangGraph: a checkpoint after each step, and what each tool of a step returned as it returns."""

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    return await go_on({"messages": [{"role": "user", "content": brief.question}]}, brief, model)


async def resume(brief: DurableBrief, model: Model) -> str:
    return await go_on(None, brief, model)  # no input: from the last checkpoint of the thread


async def go_on(step: dict | None, brief: DurableBrief, model: Model) -> str:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    async with AsyncSqliteSaver.from_conn_string(str(brief.store / "checkpoints.sqlite")) as checkpointer:
        agent = create_agent(llm, brief.tools, system_prompt=brief.instructions, checkpointer=checkpointer)
        result = await agent.ainvoke(
            step,
            {"configurable": {"thread_id": brief.thread}},
            durability="sync",  # each checkpoint is written before the next step begins
        )
    return result["messages"][-1].text
