"""Question answering over documents in Google ADK, which has no local index: embeddings behind a function tool."""

from google.adk.agents import LlmAgent, RunConfig
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from openai import AsyncOpenAI

from tasks.base import Model, Tool
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=[await search_tool(brief, model)],
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
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
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)


async def search_tool(brief: RagQaBrief, model: Model) -> Tool:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    passages = [document.passage for document in brief.documents]
    vectors = await embed(client, model, passages)

    async def search(query: str) -> str:
        [wanted] = await embed(client, model, [query])
        similarity = [sum(a * b for a, b in zip(vector, wanted, strict=True)) for vector in vectors]
        best = sorted(range(len(passages)), key=lambda i: similarity[i], reverse=True)[: brief.k]
        return "\n\n".join(passages[i] for i in best)

    # A tool's name and description are those of its function.
    search.__name__, search.__doc__ = brief.search_tool_name, brief.search_tool_description
    return search


async def embed(client: AsyncOpenAI, model: Model, texts: list[str]) -> list[list[float]]:
    response = await client.embeddings.create(model=model.embedding_name, input=texts)
    return [item.embedding for item in response.data]
