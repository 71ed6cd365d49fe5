"""Handoff in the OpenAI Agents SDK: agents that name one another as `handoffs`."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.handoff.spec import HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    llm = OpenAIChatCompletionsModel(model=model.name, openai_client=client)
    agents = {
        spec.name: Agent(
            name=spec.name,
            handoff_description=spec.description,
            instructions=spec.instructions,
            model=llm,
            model_settings=ModelSettings(temperature=model.temperature),
            # The default handler hides what went wrong from the model.
            tools=[
                function_tool(tool, failure_error_function=lambda _, error: f"Error: {error}") for tool in spec.tools
            ],
        )
        for spec in brief.agents
    }
    for spec in brief.agents:
        agents[spec.name].handoffs = [agents[name] for name in spec.handoffs]
    result = await Runner.run(
        agents[brief.entry],
        brief.question,
        max_turns=model.max_model_calls,
        run_config=RunConfig(tool_not_found_behavior="return_error_to_model"),
    )
    model.report_usage(
        input_tokens=result.context_wrapper.usage.input_tokens,
        output_tokens=result.context_wrapper.usage.output_tokens,
    )
    return result.final_output
