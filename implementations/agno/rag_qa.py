"""Question answering over documents in Agno: a knowledge base behind a tool."""

from dataclasses import dataclass

from agno.agent import Agent
from agno.exceptions import RunCancelledException
from agno.knowledge import Knowledge
from agno.knowledge.embedder.openai_like import OpenAILikeEmbedder
from agno.knowledge.reader.text_reader import TextReader
from agno.models.openai import OpenAILike
from agno.models.response import ModelResponse
from agno.run.base import RunStatus
from agno.tools import tool
from agno.vectordb.qdrant import Qdrant

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    llm = CappedModel(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        calls_left=model.max_model_calls,
    )
    embedder = OpenAILikeEmbedder(
        id=model.embedding_name,
        base_url=model.base_url,
        api_key=model.api_key,
        dimensions=None,
    )
    # A collection is made for vectors of one size.
    embedder.dimensions = len(await embedder.async_get_embedding(brief.question))
    vector_db = Qdrant(collection="guide", location=":memory:", embedder=embedder)
    # Knowledge creates it for synchronous use only, and in memory each client has a store of its own.
    await vector_db.async_create()
    knowledge = Knowledge(vector_db=vector_db, max_results=brief.k)
    await knowledge.ainsert_many(
        text_contents=[document.passage for document in brief.documents],
        reader=TextReader(chunk=False),
        upsert=False,
    )

    # The search tool that Agno gives an agent with knowledge cannot be named or described.
    @tool(name=brief.search_tool_name, description=brief.search_tool_description)
    async def search(query: str) -> str:
        return "\n\n".join(document.content for document in await knowledge.asearch(query))

    agent = Agent(
        model=llm,
        instructions=brief.instructions,
        tools=[search],
        telemetry=False,
    )
    result = await agent.arun(brief.question)
    model.report_usage(
        input_tokens=result.metrics.input_tokens,
        output_tokens=result.metrics.output_tokens,
    )
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content


@dataclass
class CappedModel(OpenAILike):
    """Cancels the run at the cap: of its own, Agno only caps tool calls, and that does not end a run."""

    calls_left: int = 0

    async def ainvoke(self, *args, **kwargs) -> ModelResponse:
        if self.calls_left == 0:
            raise RunCancelledException("no model calls are left")
        self.calls_left -= 1
        return await super().ainvoke(*args, **kwargs)
