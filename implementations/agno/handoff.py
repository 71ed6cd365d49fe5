"""Handoff in Agno: a team whose leader delegates to its members."""

from inspect import getdoc

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from agno.team import Team, TeamMode
from agno.tools.function import Function
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.handoff.spec import HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    specs = {spec.name: spec for spec in brief.agents}
    leader = specs.pop(brief.entry)
    members = [
        Agent(
            name=spec.name,
            role=spec.description,
            model=llm,
            instructions=spec.instructions,
            tools=[function(tool) for tool in spec.tools],
            telemetry=False,
        )
        for spec in specs.values()
    ]
    team = Team(
        name=leader.name,
        mode=TeamMode.coordinate,
        members=members,
        model=llm,
        instructions=leader.instructions,
        tools=[function(tool) for tool in leader.tools],
        share_member_interactions=True,  # a specialist sees what the others have found
        telemetry=False,
    )
    result = await team.arun(brief.question)
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
