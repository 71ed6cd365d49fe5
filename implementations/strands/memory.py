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
    store = FileMemoryStore(name=brief.user, storage=LocalFileStorage(str(brief.store)))  # a folder for each user
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        # What is found for a message is put under it; a tool for the model keeps what it is told.
        memory_manager=MemoryManager(stores=[store], add_tool_config=True),
        conversation_manager=SummarizingConversationManager(
            summary_ratio=0.8,
            preserve_recent_messages=4,
            proactive_compression=True,  # at 70 % of the context window, and not only once the model refuses
        ),
        callback_handler=None,  # the default prints every token
    )
    for message in brief.messages:
        result = await agent.invoke_async(message)
    return str(result).strip()
