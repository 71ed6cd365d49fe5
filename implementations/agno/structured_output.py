"""Structured output in Agno: the agent's output schema."""

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from pydantic import BaseModel

from tasks.base import Model
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = Agent(
        model=llm,
        instructions=brief.instructions,
        tools=brief.tools,
        output_schema=brief.output_type,
        telemetry=False,
    )
    result = await agent.arun(brief.question)
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content
