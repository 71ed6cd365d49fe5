"""Approval in Agno: tools that require confirmation pause the run, a database keeps it until it is continued."""

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from agno.tools import tool

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    result = await refund_desk(brief, model).arun(brief.question)
    if result.is_paused:
        waiting = [requirement.tool_execution for requirement in result.active_requirements]
        return Paused([Waiting(call.tool_name, call.tool_args) for call in waiting])
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str:
    agent = refund_desk(brief, model)
    paused = await agent.aget_last_run_output()
    [requirement] = paused.active_requirements
    match decision.verdict:
        case "approve":
            requirement.confirm()
        case "edit":
            requirement.tool_execution.tool_args = decision.arguments
            requirement.confirm()
        case "deny":
            requirement.reject(decision.reason)
    result = await agent.acontinue_run(run_id=paused.run_id, requirements=paused.requirements)
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content


def refund_desk(brief: ApprovalBrief, model: Model) -> Agent:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    return Agent(
        id="refund-desk",  # a run is found again only by an agent of the same id
        model=llm,
        instructions=brief.instructions,
        tools=[
            tool(requires_confirmation=True)(function) if function.__name__ in brief.gated else function
            for function in brief.tools
        ],
        db=SqliteDb(db_file=str(brief.store / "agno.db")),
        session_id=brief.thread,
        telemetry=False,
    )
