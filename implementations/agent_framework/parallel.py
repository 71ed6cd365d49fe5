"""Agents in parallel in Microsoft Agent Framework: the concurrent workflow of its orchestrations."""

from agent_framework import Agent, AgentExecutorResponse, AgentResponse, Message, agent_middleware
from agent_framework.exceptions import ChatClientException
from agent_framework.openai import OpenAIChatCompletionClient
from agent_framework.orchestrations import ConcurrentBuilder

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    editor = agent_of(brief.join, model)

    async def join(results: list[AgentExecutorResponse]) -> str:
        found = [f"{result.executor_id}: {result.agent_response.text}" for result in results]
        response = await editor.run([brief.question, *found])
        return response.messages[-1].text

    analysts = [agent_of(branch, model, middleware=[say_so_if_it_fails]) for branch in brief.branches]
    workflow = ConcurrentBuilder(participants=analysts).with_aggregator(join).build()
    result = await workflow.run(brief.question)
    return result.get_outputs()[-1]


# An exception would end the workflow, and with it the other agents.
@agent_middleware
async def say_so_if_it_fails(context, call_next):
    try:
        await call_next()
    except ChatClientException as error:
        context.result = AgentResponse(messages=[Message("assistant", [f"I failed: {error}"])])


def agent_of(spec: AgentSpec, model: Model, **options) -> Agent:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    return Agent(
        client,
        spec.instructions,
        name=spec.name,
        default_options={"temperature": model.temperature},
        **options,
    )
