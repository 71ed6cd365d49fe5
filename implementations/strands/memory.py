"""Memory in Strands Agents: a memory store for each user, and a conversation that is summarized as it grows."""

from strands import Agent
from strands.agent.conversation_manager import SummarizingConversationManager
from strands.memory import MemoryManager
from strands.models.openai import OpenAIModel
from strands.storage import LocalFileStorage
from strands.vended_memory_stores import FileMemoryStore

from tasks.base import Model
from tasks.memory.spec import MemoryBrief


async def run(brief: MemoryBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
        context_window_limit=brief.most_tokens,
    )
    store = FileMemoryStore(
        name=brief.user,  # its folder in the storage
        storage=LocalFileStorage(str(brief.store)),
        extraction=True,  # after every five turns, and at the end, a model extracts facts
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        memory_manager=MemoryManager(stores=[store]),
        conversation_manager=SummarizingConversationManager(proactive_compression=True),
        callback_handler=None,  # the default prints every token
    )
    async with agent:  # leaving it waits until the memories are written
        for message in brief.messages:
            result = await agent.invoke_async(message)
    return str(result).strip()
