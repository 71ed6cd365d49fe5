"""Tool calling in the OpenAI Agents SDK, hardened: unreadable replies are retried, empty answers are refused."""

from agents import (
    Agent,
    GuardrailFunctionOutput,
    ModelBehaviorError,
    ModelRetrySettings,
    ModelSettings,
    OpenAIChatCompletionsModel,
    RunConfig,
    Runner,
    function_tool,
    output_guardrail,
)
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="assistant",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(
            temperature=model.temperature,
            retry=ModelRetrySettings(max_retries=2, policy=is_unreadable),
        ),
        # The default handler hides what went wrong from the model.
        tools=[function_tool(tool, failure_error_function=lambda _, error: f"Error: {error}") for tool in brief.tools],
        output_guardrails=[says_something],
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


def is_unreadable(context) -> bool:
    """A body that is no JSON, or holds no message. Errors of the server the client has retried already."""
    return isinstance(context.error, ValueError | ModelBehaviorError)


@output_guardrail
def says_something(context, agent, output) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="the answer is empty", tripwire_triggered=not output)
