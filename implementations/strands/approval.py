"""Approval in Strands Agents: a hook interrupts the call, and a session keeps the interrupted agent."""

import json

from strands import Agent, tool
from strands.hooks import BeforeToolCallEvent
from strands.models.openai import OpenAIModel
from strands.session import SnapshotSessionManager
from strands.storage import LocalFileStorage

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    result = await build_agent(brief, model).invoke_async(brief.question)
    if result.stop_reason != "interrupt":
        return str(result).strip()
    ids = [interrupt.id for interrupt in result.interrupts]
    (brief.store / "interrupts.json").write_text(json.dumps(ids))  # the session keeps them, but does not show them
    return Paused([Waiting(**interrupt.reason) for interrupt in result.interrupts])


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str:
    ids = json.loads((brief.store / "interrupts.json").read_text())
    responses = [{"interruptResponse": {"interruptId": id, "response": decision.model_dump()}} for id in ids]
    result = await build_agent(brief, model).invoke_async(responses)
    return str(result).strip()


def build_agent(brief: ApprovalBrief, model: Model) -> Agent:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )

    def ask_person(event: BeforeToolCallEvent) -> None:
        call = event.tool_use
        if call["name"] not in brief.gated:
            return
        decision = event.interrupt("approval", reason={"tool": call["name"], "arguments": call["input"]})
        if decision["verdict"] == "deny":
            event.cancel_tool = decision["reason"]
        elif decision["verdict"] == "edit":
            event.tool_use = {**call, "input": decision["arguments"]}

    return Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[tool(function) for function in brief.tools],
        hooks=[ask_person],
        session_manager=SnapshotSessionManager(brief.thread, storage=LocalFileStorage(str(brief.store))),
        callback_handler=None,  # the default prints every token
    )
