"""Handoff in Microsoft Agent Framework: the handoff workflow of its orchestrations."""

from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient
from agent_framework.orchestrations import HandoffBuilder

from tasks.base import Model
from tasks.handoff.spec import HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    # Begins anew with each agent, so it does not cap the run; but no agent shall give up before the cap.
    client.function_invocation_configuration["max_iterations"] = model.max_model_calls
    # The default takes the tools away after three turns in a row with an error.
    client.function_invocation_configuration["max_consecutive_errors_per_request"] = model.max_model_calls
    # The default hides what went wrong from the model.
    client.function_invocation_configuration["include_detailed_errors"] = True
    agents = {
        spec.name: Agent(
            client,
            spec.instructions,
            name=spec.name,
            description=spec.description,
            tools=spec.tools,
            default_options={"temperature": model.temperature},
            require_per_service_call_history_persistence=True,  # the builder insists
        )
        for spec in brief.agents
    }
    builder = HandoffBuilder(participants=list(agents.values())).with_start_agent(agents[brief.entry])
    for spec in brief.agents:
        builder.add_handoff(agents[spec.name], [agents[name] for name in spec.handoffs])
    # The run ends when an agent answers: the workflow then waits for the user. No termination condition is set, since
    # it would also end the run when an agent says something while it hands over.
    result = await builder.build().run(brief.question)
    model.report_usage(
        input_tokens=sum(output.usage_details.get("input_token_count", 0) for output in result.get_outputs()) or None,
        output_tokens=sum(output.usage_details.get("output_token_count", 0) for output in result.get_outputs()) or None,
    )
    return result.get_outputs()[-1].messages[-1].text
