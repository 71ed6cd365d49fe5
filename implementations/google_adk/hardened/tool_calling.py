"""Tool calling in Google ADK, hardened: its plugins that reflect and retry, for models and for tools."""

from google.adk.agents import LlmAgent, RunConfig
from google.adk.apps import App
from google.adk.features import FeatureName, override_feature_enabled
from google.adk.integrations.openai import OpenAILlm
from google.adk.models import LlmResponse
from google.adk.plugins import ReflectAndRetryModelPlugin, ReflectAndRetryToolPlugin
from google.adk.runners import InMemoryRunner
from google.genai import types

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


class RetryModel(ReflectAndRetryModelPlugin):
    async def after_model_callback(self, *, callback_context, llm_response):
        reason = llm_response.finish_reason
        if not llm_response.content and not llm_response.error_code:
            reason = types.FinishReason.OTHER
        if reason in self.on_model_errors:  # to ADK, an empty reply and half a reply are no errors
            llm_response = llm_response.model_copy(update={"error_code": reason, "finish_reason": reason})
        return await super().after_model_callback(callback_context=callback_context, llm_response=llm_response)

    async def on_model_error_callback(self, *, callback_context, llm_request, error):
        if isinstance(error, ValueError):  # no JSON; everything else the client has retried
            return LlmResponse(error_message=str(error))


class RetryTools(ReflectAndRetryToolPlugin):
    async def extract_error_from_result(self, *, tool, tool_args, tool_context, result):
        return result.get("error") if isinstance(result, dict) else None  # as ADK words arguments that do not fit


async def run(brief: ToolCallingBrief, model: Model) -> str:
    # Off by default: without it, arguments reach the tools unchecked, and a date as text.
    override_feature_enabled(FeatureName.FUNCTION_TOOL_ARG_VALIDATION, True)
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=brief.tools,
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
    )
    finish = types.FinishReason
    retry_model = RetryModel(on_model_errors=[finish.MAX_TOKENS, finish.SAFETY, finish.OTHER])
    runner = InMemoryRunner(app=App(name="app", root_agent=agent, plugins=[retry_model, RetryTools()]))
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
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)
