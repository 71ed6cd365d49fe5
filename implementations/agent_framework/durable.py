"""A durable run in Microsoft Agent Framework: a functional workflow, of which each answer and each call is a step."""

import inspect

from agent_framework import (
    Agent,
    FileCheckpointStorage,
    FunctionalWorkflow,
    chat_middleware,
    function_middleware,
    step,
    tool,
    workflow,
)
from agent_framework.openai import OpenAIChatCompletionClient

from tasks.base import Model
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    result = await trip(brief, model).run(brief.question)
    return result.get_outputs()[-1]


async def resume(brief: DurableBrief, model: Model) -> str:
    latest = await FileCheckpointStorage(brief.store / brief.thread).get_latest(workflow_name="trip")
    if latest is None:
        return await start(brief, model)
    result = await trip(brief, model).run(checkpoint_id=latest.checkpoint_id)
    return result.get_outputs()[-1]


# A step whose result stands in the checkpoint is not made again. Its key says which it is.
@chat_middleware
async def answer_once(context, call_next):
    @step(name="answer", replay_key=lambda: f"to {len(context.messages)} messages")
    async def answer():
        await call_next()
        return context.result

    context.result = await answer()


@function_middleware
async def call_once(context, call_next):
    @step(name=context.function.name, replay_key=lambda: context.metadata["call_id"])
    async def call():
        await call_next()
        return context.result

    context.result = await call()


def trip(brief: DurableBrief, model: Model) -> FunctionalWorkflow:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    # One after the other, so that the result of each call is saved before the next begins.
    client.function_invocation_configuration["allow_concurrent_invocation"] = False
    agent = Agent(
        client,
        brief.instructions,
        # The default keeps the indentation of the source.
        tools=[tool(function, description=inspect.getdoc(function)) for function in brief.tools],
        default_options={"temperature": model.temperature},
        middleware=[answer_once, call_once],
    )

    @workflow(name="trip")
    async def book(question: str) -> str:
        response = await agent.run(question)
        return response.messages[-1].text

    return book.build(checkpoint_storage=FileCheckpointStorage(brief.store / brief.thread))
