"""Memory in Google ADK: a memory service that is searched for each request, and sessions whose events are compacted."""

from google.adk.agents import LlmAgent, RunConfig
from google.adk.apps import App
from google.adk.apps.app import EventsCompactionConfig
from google.adk.integrations.openai import OpenAILlm
from google.adk.memory import SqliteMemoryService
from google.adk.runners import Runner
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.adk.tools import preload_memory
from google.genai import types

from tasks.base import Model
from tasks.memory.spec import MemoryBrief


async def run(brief: MemoryBrief, model: Model) -> str:
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=[preload_memory],
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
    )
    # What a request had is looked at once it is answered, so that the next message comes on top.
    compaction = EventsCompactionConfig(token_threshold=brief.most_tokens * 3 // 4, event_retention_size=2)
    runner = Runner(
        app=App(name="app", root_agent=agent, events_compaction_config=compaction),
        session_service=SqliteSessionService(str(brief.store / "sessions.db")),
        memory_service=SqliteMemoryService(brief.store / "memory.db"),
        auto_create_session=True,
    )
    events = [
        event
        for message in brief.messages
        async for event in runner.run_async(
            user_id=brief.user,
            session_id=brief.conversation,
            new_message=types.UserContent(message),
            run_config=RunConfig(max_llm_calls=model.max_model_calls),
        )
    ]
    # Only now: what is in the memory already is searched for later messages of this conversation, too.
    session = await runner.session_service.get_session(
        app_name=runner.app_name, user_id=brief.user, session_id=brief.conversation
    )
    await runner.memory_service.add_session_to_memory(session)
    model.report_usage(
        input_tokens=sum(e.usage_metadata.prompt_token_count or 0 for e in events if e.usage_metadata),
        output_tokens=sum(e.usage_metadata.candidates_token_count or 0 for e in events if e.usage_metadata),
    )
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)
