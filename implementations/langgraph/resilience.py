"""Resilience in LangGraph: the client asks again and keeps the time, middleware asks another model."""

from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain_openai import ChatOpenAI

from tasks.base import Model
from tasks.resilience.spec import ResilienceBrief


async def run(brief: ResilienceBrief, model: Model) -> str:
    first, second = (
        ChatOpenAI(
            model=name,
            base_url=model.base_url,
            api_key=model.api_key,
            temperature=model.temperature,
            timeout=brief.request_timeout_s,
            max_retries=brief.attempts - 1,
        )
        for name in (model.name, brief.fallback)
    )
    agent = create_agent(
        first,
        system_prompt=brief.instructions,
        middleware=[ModelFallbackMiddleware(second)],
    )
    result = await agent.ainvoke({"messages": [{"role": "user", "content": brief.question}]})
    return result["messages"][-1].text
