"""Structured output in Strands Agents: a tool that takes the value, and tells the model what is wrong with it."""

from pydantic import BaseModel
from strands import Agent, tool
from strands.models.openai import OpenAIModel

from tasks.base import Model
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[tool(function) for function in brief.tools],
        structured_output_model=brief.output_type,
        callback_handler=None,  # the default prints every token
    )
    result = await agent.invoke_async(brief.question)
    return result.structured_output
