"""Memory in Pydantic AI: a notebook for each user and a summary of what gets long, both of pydantic-ai-harness."""

from pydantic_ai import Agent, ModelSettings
from pydantic_ai.conversation import Conversation
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai_harness import Memory, SummarizingCompaction, TieredCompaction
from pydantic_ai_harness.compaction import compact_now
from pydantic_ai_harness.memory import FileStore

from tasks.base import Model
from tasks.memory.spec import MemoryBrief


async def run(brief: MemoryBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    llm = OpenAIChatModel(model.name, provider=provider, settings=ModelSettings(temperature=model.temperature))
    agent = Agent(
        llm,
        instructions=brief.instructions,
        capabilities=[Memory(FileStore(brief.store / "memories"), namespace=brief.user)],
    )
    budget = brief.most_tokens * 3 // 4  # the next message must fit, too
    summary = SummarizingCompaction(
        max_tokens=budget,
        keep_tokens=budget // 4,
        preserve_first_user_message=False,  # former summaries would stay with it
    )
    compaction = TieredCompaction(tiers=[summary], target_tokens=budget)
    conversation = Conversation(conversation_id=brief.conversation)
    for message in brief.messages:
        # Not as a capability of the agent: with this version of Pydantic AI, its summary lasts for one request only.
        conversation.messages = await compact_now(compaction, conversation.messages, model=llm)
        result = await agent.run(message, conversation=conversation)
        conversation = result.conversation
    return result.output
