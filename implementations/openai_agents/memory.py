"""Memory in the OpenAI Agents SDK: a session in SQLite for each user, which is summarized by hand once it is long."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, SQLiteSession
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.memory.spec import MemoryBrief

SUMMARIZE = "Summarize our conversation. Keep all that I told you about myself."


async def run(brief: MemoryBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="travel agent",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
    )
    # A session knows nothing of others, so all conversations of a user are one.
    session = SQLiteSession(brief.user, brief.store / "sessions.sqlite")
    for message in brief.messages:
        result = await Runner.run(agent, message, session=session)
        # At half the limit, so that the next message and the request for the summary fit, too.
        if result.context_wrapper.usage.input_tokens > brief.most_tokens / 2:
            await summarize(agent, session)
    session.close()
    return result.final_output


async def summarize(agent: Agent, session: SQLiteSession) -> None:
    """In place of `OpenAIResponsesCompactionSession`, which needs the Responses API."""
    result = await Runner.run(agent, SUMMARIZE, session=session)
    await session.clear_session()
    await session.add_items(
        [
            {"role": "user", "content": SUMMARIZE},
            {"role": "assistant", "content": result.final_output},
        ]
    )
