"""Resilience in the OpenAI Agents SDK: retries and a time limit for each call to the model; the second model by hand."""

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
    # The client would try again by itself, beside the runner, on the first attempt.
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
                    retry_policies.provider_suggested(),  # 408, 409, 429 and 5xx, when the server says
                    retry_policies.network_error(),  # and time-outs
                ),
            ),
        ),
    )
    try:
        result = await Runner.run(agent, brief.question, max_turns=model.max_model_calls)
    except (APIError, ModelTimeoutError):
        fallback = OpenAIChatCompletionsModel(model=brief.fallback, openai_client=client)
        result = await Runner.run(
            agent, brief.question, max_turns=model.max_model_calls, run_config=RunConfig(model=fallback)
        )
    return result.final_output
