"""Question answering over documents in Agno: an agent with a knowledge base."""

from agno.agent import Agent
from agno.knowledge import Knowledge
from agno.knowledge.embedder.openai_like import OpenAILikeEmbedder
from agno.knowledge.reader.text_reader import TextReader
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from agno.vectordb.qdrant import Qdrant

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
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
        [
            {"name": document.id, "text_content": document.passage, "reader": TextReader(chunk=False)}
            for document in brief.documents
        ],
        upsert=False,
    )
    agent = Agent(
        model=OpenAILike(
            id=model.name,
            base_url=model.base_url,
            api_key=model.api_key,
            temperature=model.temperature,
        ),
        # The tool that searches knowledge cannot be named.
        instructions=brief.instructions.replace(brief.search_tool_name, "search_knowledge_base"),
        knowledge=knowledge,
        search_knowledge=True,
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
