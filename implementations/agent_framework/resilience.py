"""Resilience in Microsoft Agent Framework: the OpenAI client's retries and time limit, a chat middleware's fallback."""

from agent_framework import Agent, chat_middleware
from agent_framework.exceptions import ChatClientException
from agent_framework.openai import OpenAIChatCompletionClient
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    @chat_middleware
    async def fall_back(context, call_next):
        try:
            await call_next()
        except ChatClientException:
            context.options = {**context.options, "model": brief.fallback}
            await call_next()

    client = OpenAIChatCompletionClient(
        model.name,
        async_client=AsyncOpenAI(
            base_url=model.base_url,
            api_key=model.api_key,
            timeout=brief.request_timeout_s,
            max_retries=brief.attempts - 1,
        ),
    )
    agent = Agent(
        client,
        brief.instructions,
        default_options={"temperature": model.temperature},
        middleware=[fall_back],
    )
    response = await agent.run(brief.question)
    return response.messages[-1].text
