"""Memory in Microsoft Agent Framework: a provider keeps what a user said in files, a strategy compacts what is sent."""

from agent_framework import Agent, ContextWindowCompactionStrategy, MemoryContextProvider, MemoryFileStore
from agent_framework.openai import OpenAIChatCompletionClient

from tasks.base import Model
from tasks.memory.spec import MemoryBrief


async def run(brief: MemoryBrief, model: Model) -> str:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    memory = MemoryContextProvider(
        recent_turns=100,  # the default is none: it would know the memories, but not the conversation
        store=MemoryFileStore(brief.store, owner_state_key="user"),
    )
    agent = Agent(
        client,
        brief.instructions,
        context_providers=[memory],
        compaction_strategy=ContextWindowCompactionStrategy(
            max_context_window_tokens=brief.most_tokens,
            max_output_tokens=0,
        ),
        default_options={"temperature": model.temperature},
    )
    session = agent.create_session(session_id=brief.conversation)
    session.state["user"] = brief.user
    for message in brief.messages:
        response = await agent.run(message, session=session)
    return response.messages[-1].text
