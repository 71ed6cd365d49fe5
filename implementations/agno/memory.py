"""Memory in Agno: history in a database, memories of the user that are kept at each run, compaction."""

from agno.agent import Agent
from agno.compaction import Compaction
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus

from tasks.base import Model
from tasks.memory.spec import MemoryBrief


async def run(brief: MemoryBrief, model: Model) -> str:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = Agent(
        model=llm,
        instructions=brief.instructions,
        db=SqliteDb(db_file=str(brief.store / "agno.db")),
        user_id=brief.user,
        session_id=brief.conversation,
        add_history_to_context=True,
        update_memory_on_run=True,
        compaction=Compaction(
            compact_at_tokens=brief.most_tokens,
            uncompacted_tokens=brief.most_tokens // 2,
        ),
        telemetry=False,
    )
    for message in brief.messages:
        result = await agent.arun(message)
        if result.status != RunStatus.completed:  # errors come back as if they were the answer
            raise RuntimeError(result.content)
    return result.content
