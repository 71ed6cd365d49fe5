"""Question answering over documents in CrewAI: its knowledge storage behind a tool.

An agent's own `knowledge_sources` are looked up once, before its task starts: it could not search again.
"""

import asyncio
from uuid import uuid4

from crewai import LLM, Agent
from crewai.knowledge.storage.knowledge_storage import KnowledgeStorage
from crewai.tools import BaseTool

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    storage = KnowledgeStorage(
        collection_name=uuid4().hex,  # collections are files that all runs share
        embedder={
            "provider": "openai",
            "config": {
                "model_name": model.embedding_name,
                "api_base": model.base_url,
                "api_key": model.api_key,
            },
        },
    )
    passages = [document.passage for document in brief.documents]
    await asyncio.to_thread(storage.save, passages)  # `asave` needs a Chroma server
    search = SearchTool(
        name=brief.search_tool_name,
        description=brief.search_tool_description,
        storage=storage,
        k=brief.k,
    )
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        tools=[search],
        max_iter=model.max_model_calls,
        use_better_compaction=False,  # else a long tool result goes into a file, to be read piece by piece
    )
    result = await agent.kickoff_async(brief.question)
    model.report_usage(
        input_tokens=result.usage_metrics["prompt_tokens"],
        output_tokens=result.usage_metrics["completion_tokens"],
    )
    return result.raw


class SearchTool(BaseTool):
    storage: KnowledgeStorage
    k: int

    def _run(self, query: str) -> str:
        found = self.storage.search([query], limit=self.k, score_threshold=0)
        return "\n\n".join(result["content"] for result in found)
