"""Resilience in the OpenAI Agents SDK: retries and a time limit for each call; the second model by hand."""

from agents import (
    Agent,
    ModelRetrySettings,
    ModelSettings,
    ModelTimeoutError,
    OpenAIChatCompletionsModel,
    RunConfig,
    Runner,
    retry_policies,
)
from openai import APIError, AsyncOpenAI

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    # Without max_retries=0 the client, too, would try again, within the runner's first attempt.
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key, max_retries=0)
    agent = Agent(
        name="assistant",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(
            temperature=model.temperature,
            timeout=brief.request_timeout_s,
            retry=ModelRetrySettings(
                max_retries=brief.attempts - 1,
                policy=retry_policies.any(
                    retry_policies.provider_suggested(),  # 429 and 5xx, and not before Retry-After
                    retry_policies.network_error(),  # time-outs
                ),
            ),
        ),
    )
    try:
        result = await Runner.run(agent, brief.question)
    except (APIError, ModelTimeoutError):
        second = OpenAIChatCompletionsModel(model=brief.fallback, openai_client=client)
        result = await Runner.run(agent, brief.question, run_config=RunConfig(model=second))
    return result.final_output
