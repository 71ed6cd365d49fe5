"""Handoff in Strands Agents: a swarm, whose agents hand over to one another."""

from strands import Agent, tool
from strands.hooks import AfterToolsEvent
from strands.models.openai import OpenAIModel
from strands.multiagent import Status, Swarm

from tasks.base import Model
from tasks.handoff.spec import HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )

    def end_turn_at_handoff(event: AfterToolsEvent) -> None:
        # A swarm would call the agent that has handed over once more, for a text that nobody reads.
        if swarm.state.handoff_node:
            event.end_turn = True

    agents = {
        spec.name: Agent(
            name=spec.name,
            description=spec.description,
            model=llm,
            system_prompt=spec.instructions,
            tools=[tool(function) for function in spec.tools],
            hooks=[end_turn_at_handoff],
            callback_handler=None,  # the default prints every token
        )
        for spec in brief.agents
    }
    swarm = Swarm(
        list(agents.values()),
        entry_point=agents[brief.entry],
        max_handoffs=model.max_model_calls,  # each turn of an agent takes at least one
        max_iterations=model.max_model_calls,
        execution_timeout=model.timeout_s,
        node_timeout=model.timeout_s,
    )
    result = await swarm.invoke_async(brief.question)
    model.report_usage(
        input_tokens=result.accumulated_usage["inputTokens"],
        output_tokens=result.accumulated_usage["outputTokens"],
    )
    if result.status != Status.COMPLETED:  # whatever an agent raises ends here
        raise RuntimeError(f"the swarm failed: {result}")
    return str(result.results[result.node_history[-1].node_id]).strip()
