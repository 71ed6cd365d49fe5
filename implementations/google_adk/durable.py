"""A durable run in Google ADK with the DBOS plugin that its documentation names: answers and results are steps."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from dbos import DBOS, SetWorkflowID
from dbos_google_adk import DBOSPlugin
from google.adk.agents import LlmAgent, RunConfig
from google.adk.apps import App
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import InMemoryRunner
from google.genai import types

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    with launched(brief, model) as book_trip, SetWorkflowID(brief.thread):
        return await book_trip()


async def resume(brief: DurableBrief, model: Model) -> str:
    with launched(brief, model):  # and it goes on with what is unfinished
        trip = await DBOS.retrieve_workflow_async(brief.thread)
        return await trip.get_result()


@contextmanager
def launched(brief: DurableBrief, model: Model) -> Iterator[Callable[[], Awaitable[str]]]:
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=[DBOS.step()(tool) for tool in brief.tools],
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
        # Without it, a tool that raises ends the run and the model never hears of it.
        on_tool_error_callback=lambda tool, args, tool_context, error: {"error": str(error)},
    )

    @DBOS.workflow()
    async def book_trip() -> str:
        # The session need not outlive the process: resumed, the workflow makes it again from the steps that are kept.
        runner = InMemoryRunner(app=App(name="trips", root_agent=agent, plugins=[DBOSPlugin()]))
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

    DBOS(config={"name": "trips", "system_database_url": f"sqlite:///{brief.store / 'dbos.sqlite'}"})
    DBOS.launch()
    try:
        yield book_trip
    finally:
        DBOS.destroy()
