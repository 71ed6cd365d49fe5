"""Resilience in Strands Agents: retries and time limit of the OpenAI client, and a router with a second model."""

from strands import Agent
from strands.models import ModelRouter
from strands.models.openai import OpenAIModel

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    first, second = (
        OpenAIModel(
            client_args={
                "base_url": model.base_url,
                "api_key": model.api_key,
                "max_retries": brief.attempts - 1,
                "timeout": brief.request_timeout_s,
            },
            model_id=name,
            params={"temperature": model.temperature},
        )
        for name in (model.name, brief.fallback)
    )
    agent = Agent(
        model=ModelRouter([first, second]),
        system_prompt=brief.instructions,
        retry_strategy=None,  # the default waits as it likes, and would multiply the client's retries
        callback_handler=None,  # the default prints every token
    )
    result = await agent.invoke_async(brief.question)
    return str(result).strip()
