"""Parallel agents in Pydantic AI: a graph, whose edges fan out to agents and join what they say."""

from pydantic_ai import Agent, ModelSettings
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


async def run(brief: ParallelBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    llm = OpenAIChatModel(model.name, provider=provider)

    def agent(spec: AgentSpec) -> Agent:
        settings = ModelSettings(temperature=model.temperature)
        return Agent(llm, name=spec.name, instructions=spec.instructions, model_settings=settings)

    graph = GraphBuilder(input_type=tuple[AgentSpec, ...], output_type=str)

    @graph.step
    async def ask(ctx: StepContext[None, None, AgentSpec]) -> str:
        spec = ctx.inputs
        try:
            result = await agent(spec).run(brief.question)
        except AgentRunError as error:  # in a graph an error ends the other branches, too
            return f"{spec.name}: failed with {error}"
        return f"{spec.name}: {result.output}"

    @graph.step
    async def edit(ctx: StepContext[None, None, list[str]]) -> str:
        result = await agent(brief.join).run("\n".join([brief.question, *ctx.inputs]))
        return result.output

    found = graph.join(reduce_list_append, initial_factory=list[str])
    graph.add(
        graph.edge_from(graph.start_node).map().to(ask),
        graph.edge_from(ask).to(found),
        graph.edge_from(found).to(edit),
        graph.edge_from(edit).to(graph.end_node),
    )
    return await graph.build().run(inputs=brief.branches)
