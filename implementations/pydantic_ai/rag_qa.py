"""Question answering over documents in Pydantic AI, which has no index: its embedder behind a tool."""

from pydantic_ai import Agent, Embedder, ModelSettings, Tool, UsageLimits
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    embedder = Embedder(OpenAIEmbeddingModel(model.embedding_name, provider=provider))
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[await search_tool(brief, embedder)],
        retries=model.max_model_calls,  # the default ends the run at a tool's second wrong call in a row
    )
    result = await agent.run(brief.question, usage_limits=UsageLimits(request_limit=model.max_model_calls))
    model.report_usage(input_tokens=result.usage.input_tokens, output_tokens=result.usage.output_tokens)
    return result.output


async def search_tool(brief: RagQaBrief, embedder: Embedder) -> Tool:
    passages = [document.passage for document in brief.documents]
    vectors = (await embedder.embed_documents(passages)).embeddings

    async def search(query: str) -> str:
        [wanted] = (await embedder.embed_query(query)).embeddings
        similarity = [sum(a * b for a, b in zip(vector, wanted, strict=True)) for vector in vectors]
        best = sorted(range(len(passages)), key=lambda i: similarity[i], reverse=True)[: brief.k]
        return "\n\n".join(passages[i] for i in best)

    return Tool(search, name=brief.search_tool_name, description=brief.search_tool_description)
