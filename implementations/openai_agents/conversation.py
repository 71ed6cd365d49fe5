"""A conversation in the OpenAI Agents SDK: one agent, the runner's loop, and a session that keeps the items."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunConfig, Runner, SQLiteSession, function_tool
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.conversation import ConversationBrief


async def run(brief: ConversationBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="assistant",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
        # The default handler hides what went wrong from the model.
        tools=[function_tool(tool, failure_error_function=lambda _, error: f"Error: {error}") for tool in brief.tools],
    )
    session = SQLiteSession("conversation")  # in memory
    usages = []  # for report_usage
    for message in brief.messages:
        result = await Runner.run(
            agent,
            message,
            session=session,
            max_turns=model.max_model_calls,
            run_config=RunConfig(tool_not_found_behavior="return_error_to_model"),
        )
        usages.append(result.context_wrapper.usage)  # for report_usage
    session.close()
    model.report_usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
    )
    return result.final_output
