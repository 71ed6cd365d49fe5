"""A conversation in Agno: one agent with functions as tools, and a session whose history goes to the model."""

from inspect import getdoc

from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from agno.tools.function import Function
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.conversation import ConversationBrief


async def run(brief: ConversationBrief, model: Model) -> str:
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
        db=InMemoryDb(),
        session_id="conversation",
        add_history_to_context=True,
        num_history_runs=1_000,  # all of them: the default is the last three messages and their answers
        telemetry=False,
    )
    for message in brief.messages:
        result = await agent.arun(message)
        if result.status != RunStatus.completed:  # errors come back as if they were the answer
            raise RuntimeError(result.content)
    metrics = agent.get_session_metrics()  # for report_usage
    model.report_usage(
        input_tokens=metrics.input_tokens,
        output_tokens=metrics.output_tokens,
    )
    return result.content


class WithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema) -> bool:
        return False


def function(tool: Tool) -> Function:
    return Function(
        name=tool.__name__,
        description=getdoc(tool),
        # The schema that Agno makes describes an object without its fields.
        parameters=TypeAdapter(tool).json_schema(schema_generator=WithoutTitles),
        entrypoint=tool,
    )
