"""Structured output in LangGraph: the type is a tool, and a value that it does not allow goes back with the reason."""

from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tasks.base import Model
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = create_agent(
        llm,
        brief.tools,
        system_prompt=brief.instructions,
        response_format=ToolStrategy(brief.output_type),
    )
    result = await agent.ainvoke({"messages": [{"role": "user", "content": brief.question}]})
    return result["structured_response"]
