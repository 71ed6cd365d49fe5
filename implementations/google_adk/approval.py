"""Approval in Google ADK: a tool that requires confirmation, asked for and given in events of a stored session."""

from typing import Any

from google.adk.agents import LlmAgent, RunConfig
from google.adk.events import Event
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import Runner
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.adk.tools import BaseTool, FunctionTool, ToolContext
from google.adk.tools.tool_confirmation import ToolConfirmation
from google.genai import types

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    runner = make_runner(brief, model)
    await runner.session_service.create_session(app_name="app", user_id="user", session_id=brief.thread)
    return await run(runner, brief, model, types.UserContent(brief.question))


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str | Paused:
    runner = make_runner(brief, model)
    session = await runner.session_service.get_session(app_name="app", user_id="user", session_id=brief.thread)
    [request] = [call for event in session.events for call in confirmation_requests(event)]
    confirmation = ToolConfirmation(
        confirmed=decision.verdict != "deny",
        payload={"arguments": decision.arguments, "reason": decision.reason},
    )
    response = types.FunctionResponse(id=request.id, name=request.name, response=confirmation.model_dump())
    return await run(runner, brief, model, types.UserContent(types.Part(function_response=response)))


def make_runner(brief: ApprovalBrief, model: Model) -> Runner:
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=[FunctionTool(tool, require_confirmation=tool.__name__ in brief.gated) for tool in brief.tools],
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
        before_tool_callback=apply_decision,
        # Without it, a tool that raises ends the run and the model never hears of it.
        on_tool_error_callback=lambda tool, args, tool_context, error: {"error": str(error)},
    )
    sessions = SqliteSessionService(str(brief.store / "sessions.db"))
    return Runner(app_name="app", agent=agent, session_service=sessions)


def apply_decision(tool: BaseTool, args: dict[str, Any], tool_context: ToolContext) -> dict[str, str] | None:
    # ADK hands on what the person sends beside yes or no, and leaves it to the application what to do with it.
    confirmation = tool_context.tool_confirmation
    if confirmation and not confirmation.confirmed:
        return {"error": f"This tool call is rejected. {confirmation.payload['reason']}"}
    if confirmation:
        args.update(confirmation.payload["arguments"])


async def run(runner: Runner, brief: ApprovalBrief, model: Model, message: types.Content) -> str | Paused:
    config = RunConfig(max_llm_calls=model.max_model_calls)
    events = [
        event
        async for event in runner.run_async(
            user_id="user", session_id=brief.thread, new_message=message, run_config=config
        )
    ]
    model.report_usage(
        input_tokens=sum(e.usage_metadata.prompt_token_count or 0 for e in events if e.usage_metadata),
        output_tokens=sum(e.usage_metadata.candidates_token_count or 0 for e in events if e.usage_metadata),
    )
    if requests := [call for event in events for call in confirmation_requests(event)]:
        calls = [request.args["originalFunctionCall"] for request in requests]
        return Paused([Waiting(call["name"], call["args"]) for call in calls])
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)


def confirmation_requests(event: Event) -> list[types.FunctionCall]:
    return [call for call in event.get_function_calls() if call.name == "adk_request_confirmation"]
