"""Handoff in Strands Agents: a swarm, whose agents hand over to one another."""

from strands import Agent, tool
from strands.hooks import AfterToolsEvent, BeforeModelCallEvent
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
    calls_left = model.max_model_calls

    def count_model_calls(event: BeforeModelCallEvent) -> None:
        # A swarm limits handoffs and time, but not model calls.
        nonlocal calls_left
        if calls_left == 0:
            raise RuntimeError(f"no answer after {model.max_model_calls} model calls")
        calls_left -= 1

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
            hooks=[count_model_calls, end_turn_at_handoff],
            callback_handler=None,  # the default prints every token
            retry_strategy=None,  # the default waits 4 to 64 seconds before it tries again
        )
        for spec in brief.agents
    }
    swarm = Swarm(
        list(agents.values()),
        entry_point=agents[brief.entry],
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
