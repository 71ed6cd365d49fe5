"""Tool calling in Agno: one agent with functions as tools."""

from inspect import getdoc

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from agno.tools.function import Function
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = Agent(
        model=llm,
        instructions=brief.instructions,
        tools=[function(tool) for tool in brief.tools],
        telemetry=False,
    )
    result = await agent.arun(brief.question)
    model.report_usage(
        input_tokens=result.metrics.input_tokens,
        output_tokens=result.metrics.output_tokens,
    )
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content


class WithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema) -> bool:
        return False


def function(tool: Tool) -> Function:
    return Function(
        name=tool.__name__,
        description=getdoc(tool),
        # The schema that Agno makes describes a date as an object without fields.
        parameters=TypeAdapter(tool).json_schema(schema_generator=WithoutTitles),
        entrypoint=tool,
    )
