"""Question answering over documents in Strands Agents, which has no local index: embeddings behind a tool."""

from openai import AsyncOpenAI
from strands import Agent, tool
from strands.models.openai import OpenAIModel
from strands.types.tools import AgentTool

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[await search_tool(brief, model)],
        callback_handler=None,  # the default prints every token
    )
    result = await agent.invoke_async(brief.question, limits={"turns": model.max_model_calls})
    model.report_usage(
        input_tokens=result.metrics.accumulated_usage["inputTokens"],
        output_tokens=result.metrics.accumulated_usage["outputTokens"],
    )
    if result.stop_reason == "limit_turns":  # the loop stops without an answer and without an exception
        raise RuntimeError(f"no answer after {model.max_model_calls} model calls")
    return str(result).strip()


async def search_tool(brief: RagQaBrief, model: Model) -> AgentTool:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    passages = [document.passage for document in brief.documents]
    vectors = await embed(client, model, passages)

    @tool(name=brief.search_tool_name, description=brief.search_tool_description)
    async def search(query: str) -> str:
        [wanted] = await embed(client, model, [query])
        similarity = [sum(a * b for a, b in zip(vector, wanted, strict=True)) for vector in vectors]
        best = sorted(range(len(passages)), key=lambda i: similarity[i], reverse=True)[: brief.k]
        return "\n\n".join(passages[i] for i in best)

    return search


async def embed(client: AsyncOpenAI, model: Model, texts: list[str]) -> list[list[float]]:
    response = await client.embeddings.create(model=model.embedding_name, input=texts)
    return [item.embedding for item in response.data]
