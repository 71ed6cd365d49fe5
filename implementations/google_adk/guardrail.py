"""Guardrails in Google ADK: callbacks before the model, before a tool and after the model, which answer instead."""

from typing import Any

from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.callback_context import CallbackContext
from google.adk.integrations.openai import OpenAILlm
from google.adk.models import LlmRequest, LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools import BaseTool, ToolContext
from google.genai import types

from tasks.base import Model
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    def check_input(callback_context: CallbackContext, llm_request: LlmRequest) -> LlmResponse | None:
        if reason := brief.check_input(text_of(callback_context.user_content)):
            return LlmResponse(content=types.ModelContent(reason))

    def check_call(tool: BaseTool, args: dict[str, Any], tool_context: ToolContext) -> dict[str, str] | None:
        if reason := brief.check_call(tool.name, args):
            return {"error": reason}

    def check_output(callback_context: CallbackContext, llm_response: LlmResponse) -> LlmResponse | None:
        if reason := brief.check_output(text_of(llm_response.content)):
            return LlmResponse(content=types.ModelContent(reason))

    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=brief.tools,
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
        before_model_callback=check_input,
        before_tool_callback=check_call,
        after_model_callback=check_output,
        # Without it, a tool that raises ends the run and the model never hears of it.
        on_tool_error_callback=lambda tool, args, tool_context, error: {"error": str(error)},
    )
    runner = InMemoryRunner(agent)
    session = await runner.session_service.create_session(app_name=runner.app_name, user_id="user")
    events = [
        event
        async for event in runner.run_async(
            user_id=session.user_id,
            session_id=session.id,
            new_message=types.UserContent(brief.question),
            run_config=RunConfig(max_llm_calls=model.max_model_calls),
        )
    ]
    model.report_usage(
        input_tokens=sum(e.usage_metadata.prompt_token_count or 0 for e in events if e.usage_metadata),
        output_tokens=sum(e.usage_metadata.candidates_token_count or 0 for e in events if e.usage_metadata),
    )
    final = [text_of(event.content) for event in events if event.is_final_response()]
    return "".join(final[-1:])


def text_of(content: types.Content | None) -> str:
    return "".join(part.text or "" for part in content.parts) if content else ""
