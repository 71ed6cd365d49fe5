"""Structured output in Microsoft Agent Framework: a response format, and a loop that goes on until it is met."""

import inspect

from agent_framework import Agent, AgentLoopMiddleware, tool
from agent_framework.openai import OpenAIChatCompletionClient
from pydantic import BaseModel, ValidationError

from tasks.base import Model
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    agent = Agent(
        client,
        brief.instructions,
        # The default keeps the indentation of the source.
        tools=[tool(function, description=inspect.getdoc(function)) for function in brief.tools],
        default_options={"temperature": model.temperature, "response_format": brief.output_type},
        middleware=[
            AgentLoopMiddleware(
                what_is_wrong,
                next_message=lambda *, feedback, **rest: feedback,
                inject_progress=False,  # the session has it
                return_final_only=True,
            )
        ],
    )
    response = await agent.run(brief.question, session=agent.create_session())
    return response.value


def what_is_wrong(*, last_result, **rest) -> tuple[bool, str | None]:
    try:
        last_result.value  # noqa: B018 - it is parsed when it is asked for
    except ValidationError as error:
        return True, str(error)
    return False, None
