"""Approval in LangGraph: human-in-the-loop middleware pauses the graph, a checkpointer keeps it until it is resumed."""

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    return await go_on({"messages": [{"role": "user", "content": brief.question}]}, brief, model)


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str:
    match decision.verdict:
        case "approve":
            answer = {"type": "approve"}
        case "edit":
            [tool] = brief.gated
            answer = {"type": "edit", "edited_action": {"name": tool, "args": decision.arguments}}
        case "deny":
            answer = {"type": "reject", "message": decision.reason}
    return await go_on(Command(resume={"decisions": [answer]}), brief, model)


async def go_on(step: dict | Command, brief: ApprovalBrief, model: Model) -> str | Paused:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    async with AsyncSqliteSaver.from_conn_string(str(brief.store / "checkpoints.sqlite")) as checkpointer:
        agent = create_agent(
            llm,
            brief.tools,
            system_prompt=brief.instructions,
            middleware=[HumanInTheLoopMiddleware(interrupt_on=dict.fromkeys(brief.gated, True))],
            checkpointer=checkpointer,
        )
        result = await agent.ainvoke(step, {"configurable": {"thread_id": brief.thread}}, version="v2")
    if result.interrupts:
        [interrupt] = result.interrupts
        return Paused([Waiting(action["name"], action["args"]) for action in interrupt.value["action_requests"]])
    return result.value["messages"][-1].text
