"""Memory in CrewAI: what an agent learns goes into a memory on the disk, and what fits a message comes back with it."""

from urllib.parse import quote

from crewai import LLM, Agent, Memory

from tasks.base import Model
from tasks.memory.spec import MemoryBrief


async def run(brief: MemoryBrief, model: Model) -> str:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    memory = Memory(
        llm=llm,
        # Not a scope for each user, which would be found by all whose names it begins with.
        storage=str(brief.store / quote(brief.user, safe="")),
        embedder={
            "provider": "openai",
            "config": {
                "model_name": model.embedding_name,
                "api_base": model.base_url,
                "api_key": model.api_key,
            },
        },
        query_analysis_threshold=10_000,  # else the model is also asked what to look for, at all but short messages
    )
    agent = Agent(
        role="assistant",
        goal="Answer the question.",
        backstory=brief.instructions,
        llm=llm,
        memory=memory,
        max_iter=model.max_model_calls,
    )
    for message in brief.messages:
        result = await agent.kickoff_async(message)
    memory.drain_writes()  # they are made in the background
    return result.raw
