"""A durable run in Google ADK: a resumable app, whose session is stored event by event."""

from google.adk.agents import LlmAgent, RunConfig
from google.adk.apps import App, ResumabilityConfig
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import Runner
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    runner = make_runner(brief, model)
    await runner.session_service.create_session(app_name=runner.app_name, user_id="user", session_id=brief.thread)
    return await run(runner, brief, model, new_message=types.UserContent(brief.question))


async def resume(brief: DurableBrief, model: Model) -> str:
    runner = make_runner(brief, model)
    session = await runner.session_service.get_session(
        app_name=runner.app_name, user_id="user", session_id=brief.thread
    )
    return await run(runner, brief, model, invocation_id=session.events[-1].invocation_id)


def make_runner(brief: DurableBrief, model: Model) -> Runner:
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=brief.tools,
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
        # Without it, a tool that raises ends the run and the model never hears of it.
        on_tool_error_callback=lambda tool, args, tool_context, error: {"error": str(error)},
    )
    app = App(name="app", root_agent=agent, resumability_config=ResumabilityConfig(is_resumable=True))
    return Runner(app=app, session_service=SqliteSessionService(str(brief.store / "sessions.db")))


async def run(runner: Runner, brief: DurableBrief, model: Model, **begin) -> str:
    config = RunConfig(max_llm_calls=model.max_model_calls)
    events = [
        event async for event in runner.run_async(user_id="user", session_id=brief.thread, run_config=config, **begin)
    ]
    model.report_usage(
        input_tokens=sum(e.usage_metadata.prompt_token_count or 0 for e in events if e.usage_metadata),
        output_tokens=sum(e.usage_metadata.candidates_token_count or 0 for e in events if e.usage_metadata),
    )
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)
