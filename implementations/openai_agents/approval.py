"""Approval in the OpenAI Agents SDK: a tool that needs approval interrupts the run, and its `RunState` is kept."""

import json
from dataclasses import replace
from pathlib import Path

from agents import (
    Agent,
    FunctionTool,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    RunState,
    function_tool,
)
from openai import AsyncOpenAI

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    result = await Runner.run(refund_desk(brief, model), brief.question, max_turns=model.max_model_calls)
    if not result.interruptions:
        return result.final_output
    state_of(brief).write_text(result.to_state().to_string())
    return Paused([Waiting(call.tool_name, json.loads(call.arguments)) for call in result.interruptions])


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str:
    agent = refund_desk(brief, model)
    state = await RunState.from_string(agent, state_of(brief).read_text())
    edited = {}
    for call in state.get_interruptions():
        if decision.verdict == "deny":
            state.reject(call, rejection_message=decision.reason)
        else:
            state.approve(call)
        if decision.verdict == "edit":
            edited[call.call_id] = decision.arguments
    result = await Runner.run(agent, state, context=edited)
    return result.final_output


def refund_desk(brief: ApprovalBrief, model: Model) -> Agent:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    return Agent(
        name="refund desk",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[editable(function_tool(tool, needs_approval=tool.__name__ in brief.gated)) for tool in brief.tools],
    )


def state_of(brief: ApprovalBrief) -> Path:
    return brief.store / f"{brief.thread}.json"


def editable(tool: FunctionTool) -> FunctionTool:
    """Nothing that is approved can be changed, so arguments that a person edits come with the run's context."""

    async def invoke(context, arguments: str):
        edited = (context.context or {}).get(context.tool_call_id)
        return await tool.on_invoke_tool(context, json.dumps(edited) if edited else arguments)

    return replace(tool, on_invoke_tool=invoke)
