"""Resilience in CrewAI: the client's retries and time limit, and a second model by hand."""

from crewai import LLM, Agent
from openai import APIConnectionError, InternalServerError, RateLimitError

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    try:
        return await ask(model.name, brief, model)
    except (APIConnectionError, RateLimitError, InternalServerError):  # a time-out is an `APIConnectionError`
        return await ask(brief.fallback, brief, model)


async def ask(name: str, brief: ResilienceBrief, model: Model) -> str:
    llm = LLM(
        model=name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=brief.request_timeout_s,
        max_retries=brief.attempts - 1,
    )
    agent = Agent(role="assistant", goal="Answer the question.", backstory=brief.instructions, llm=llm)
    result = await agent.kickoff_async(brief.question)
    return result.raw
