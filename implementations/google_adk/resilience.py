"""Resilience in Google ADK: the OpenAI client's retries and time limit, and a model that falls back to another."""

from google.adk.agents import LlmAgent, RunConfig
from google.adk.integrations.openai import OpenAILlm
from google.adk.models import FallbackModel
from google.adk.runners import InMemoryRunner
from google.genai import types
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    client = AsyncOpenAI(
        base_url=model.base_url,
        api_key=model.api_key,
        max_retries=brief.attempts - 1,
        timeout=brief.request_timeout_s,
    )
    agent = LlmAgent(
        name="assistant",
        # Each is asked until its client gives up; then, where the server said 429 or 5xx, the next is.
        model=FallbackModel(models=[OpenAILlm(model=name, client=client) for name in (model.name, brief.fallback)]),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
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
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)
