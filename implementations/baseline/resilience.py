"""Resilience without a framework: the OpenAI client's own retries and time limit, and a second model by hand."""

from openai import APIConnectionError, AsyncOpenAI, InternalServerError, RateLimitError

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    client = AsyncOpenAI(
        base_url=model.base_url,
        api_key=model.api_key,
        max_retries=brief.attempts - 1,
        timeout=brief.request_timeout_s,
    )
    try:
        return await ask(client, model.name, brief, model)
    except (APIConnectionError, RateLimitError, InternalServerError):  # a time-out is an `APIConnectionError`
        return await ask(client, brief.fallback, brief, model)


async def ask(client: AsyncOpenAI, name: str, brief: ResilienceBrief, model: Model) -> str:
    completion = await client.chat.completions.create(
        model=name,
        temperature=model.temperature,
        messages=[
            {"role": "system", "content": brief.instructions},
            {"role": "user", "content": brief.question},
        ],
    )
    return completion.choices[0].message.content or ""
