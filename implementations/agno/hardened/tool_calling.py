"""Tool calling in Agno, hardened: model calls are retried, empty answers regenerated, failing tools given up."""

from inspect import getdoc

from agno.agent import Agent
from agno.exceptions import StopAgentRun
from agno.models.openai import OpenAILike
from agno.run.agent import RunOutput
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
        # Agno also retries a body that is no JSON. The client's own retries do not, and would multiply with these.
        max_retries=0,
        retries=3,
        exponential_backoff=True,
    )
    failures = 0

    def give_up(function_call, arguments):
        nonlocal failures
        try:
            result = function_call(**arguments)
        except Exception as error:
            failures += 1
            if failures > 3:
                raise StopAgentRun(error) from error
            raise
        failures = 0
        return result

    agent = Agent(
        model=llm,
        instructions=brief.instructions,
        tools=[function(tool) for tool in brief.tools],
        tool_hooks=[give_up],
        telemetry=False,
    )
    result = await agent.arun(brief.question)
    for _ in range(3):
        if not is_empty(result):
            break
        # Drops the empty answer and asks again; what the tools returned is kept, so none is called twice.
        result = await agent.acontinue_run(result, regenerate=True)
    model.report_usage(
        input_tokens=result.metrics.input_tokens,
        output_tokens=result.metrics.output_tokens,
    )
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    if result.messages[-1].role == "tool" or is_empty(result):  # a run that was given up counts as completed
        raise RuntimeError(f"no answer: {result.messages[-1].content}")
    return result.content


def is_empty(result: RunOutput) -> bool:
    if result.status != RunStatus.completed:
        return False
    return result.messages[-1].role == "assistant" and not result.messages[-1].content


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
