"""Question answering over documents in Google ADK: its SQLite memory, a full-text index, behind a retrieval tool."""

from typing import Any

from google.adk.agents import LlmAgent, RunConfig
from google.adk.events import Event
from google.adk.integrations.openai import OpenAILlm
from google.adk.memory import SqliteMemoryService
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools import ToolContext
from google.adk.tools.retrieval import BaseRetrievalTool
from google.genai import types

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=[MemoryRetrieval(name=brief.search_tool_name, description=brief.search_tool_description)],
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
        # Without it, a tool that raises ends the run and the model never hears of it.
        on_tool_error_callback=lambda tool, args, tool_context, error: {"error": str(error)},
    )
    memory = SqliteMemoryService(":memory:", fts="on", max_results=brief.k)
    runner = Runner(agent=agent, app_name="guide", session_service=InMemorySessionService(), memory_service=memory)
    session = await runner.session_service.create_session(app_name=runner.app_name, user_id="user")
    try:
        await memory.add_events_to_memory(
            app_name=session.app_name,
            user_id=session.user_id,
            events=[Event(author="user", content=types.UserContent(doc.passage)) for doc in brief.documents],
        )
        events = [
            event
            async for event in runner.run_async(
                user_id=session.user_id,
                session_id=session.id,
                new_message=types.UserContent(brief.question),
                run_config=RunConfig(max_llm_calls=model.max_model_calls),
            )
        ]
    finally:
        await memory.close()
    model.report_usage(
        input_tokens=sum(e.usage_metadata.prompt_token_count or 0 for e in events if e.usage_metadata),
        output_tokens=sum(e.usage_metadata.candidates_token_count or 0 for e in events if e.usage_metadata),
    )
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)


class MemoryRetrieval(BaseRetrievalTool):
    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> str:
        found = await tool_context.search_memory(args["query"])
        passages = [memory.content.parts[0].text for memory in found.memories]
        return "\n\n".join(passages) or f"No matching result found for the query: {args['query']}"
