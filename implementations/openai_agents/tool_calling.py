"""Tool calling in the OpenAI Agents SDK: one agent, and the runner's loop."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="assistant",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
        # The default handler hides what went wrong from the model.
        tools=[function_tool(tool, failure_error_function=lambda _, error: f"Error: {error}") for tool in brief.tools],
    )
    result = await Runner.run(
        agent,
        brief.question,
        max_turns=model.max_model_calls,
        run_config=RunConfig(tool_not_found_behavior="return_error_to_model"),
    )
    model.report_usage(
        input_tokens=result.context_wrapper.usage.input_tokens,
        output_tokens=result.context_wrapper.usage.output_tokens,
    )
    return result.final_output
