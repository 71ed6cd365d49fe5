"""Structured output in Agno: the agent's output schema, and a run that is continued with what is wrong."""

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from pydantic import BaseModel, ValidationError

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
    # Text that is no value of the type is handed over as it is: the run is continued until it is one.
    while result.status == RunStatus.completed and not isinstance(result.content, brief.output_type):
        result = await agent.acontinue_run(result, input=what_is_wrong(brief.output_type, result.messages[-1].content))
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content


def what_is_wrong(output_type: type[BaseModel], said: str) -> str:
    try:
        output_type.model_validate_json(said)
    except ValidationError as error:
        return str(error)
    return "The answer is invalid."
