"""Agents in parallel in Strands Agents: a graph, in which each branch has an edge to the join."""

from collections.abc import AsyncGenerator

from strands import Agent
from strands.middleware import InvokeModelContext, InvokeModelStage, MiddlewareNext, ModelStopReason, TypedEvent
from strands.models.openai import OpenAIModel
from strands.multiagent import GraphBuilder

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    builder = GraphBuilder()
    builder.add_node(build_agent(brief.join, llm), brief.join.name)
    for branch in brief.branches:
        agent = build_agent(branch, llm)
        agent.add_middleware(InvokeModelStage, say_what_failed)
        builder.add_node(agent, branch.name)
        builder.add_edge(branch.name, brief.join.name)
    builder.set_execution_timeout(model.timeout_s)
    result = await builder.build().invoke_async(brief.question)
    return str(result.results[brief.join.name].result).strip()


def build_agent(spec: AgentSpec, llm: OpenAIModel) -> Agent:
    return Agent(
        name=spec.name,
        model=llm,
        system_prompt=spec.instructions,
        callback_handler=None,  # the default prints every token
    )


async def say_what_failed(
    context: InvokeModelContext, next_fn: MiddlewareNext[InvokeModelContext, TypedEvent]
) -> AsyncGenerator[TypedEvent, None]:
    # A node that raises would end the graph, and cancel its other nodes.
    try:
        async for event in next_fn(context):
            yield event
    except Exception as error:
        yield ModelStopReason(
            stop_reason="end_turn",
            message={"role": "assistant", "content": [{"text": f"The {context.agent.name} agent failed: {error}"}]},
            usage={"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
            metrics={"latencyMs": 0},
        )
