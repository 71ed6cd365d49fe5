"""Structured output in the OpenAI Agents SDK: `output_type`, and an error handler that asks again."""

from agents import (
    Agent,
    ItemHelpers,
    ModelSettings,
    OpenAIChatCompletionsModel,
    RunErrorHandlerInput,
    Runner,
    TResponseInputItem,
    function_tool,
)
from openai import AsyncOpenAI
from pydantic import BaseModel, ValidationError

from tasks.base import Model
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="clerk",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature),
        tools=[function_tool(tool) for tool in brief.tools],
        output_type=brief.output_type,
    )

    async def ask(messages: str | list[TResponseInputItem]) -> BaseModel:
        result = await Runner.run(
            agent,
            messages,
            max_turns=model.max_model_calls,
            error_handlers={"invalid_final_output": ask_again},
        )
        return result.final_output

    async def ask_again(invalid: RunErrorHandlerInput) -> BaseModel:
        """The runner gives up at an invalid value, so another run goes on from there."""
        said = ItemHelpers.extract_last_text(invalid.run_data.raw_responses[-1].output[-1])
        wrong = what_is_wrong(brief.output_type, said or "")
        return await ask([*invalid.run_data.history, {"role": "user", "content": wrong}])

    return await ask(brief.question)


def what_is_wrong(output_type: type[BaseModel], said: str) -> str:
    """The handler's error says only that the value is invalid: it leaves out all that the model said."""
    try:
        output_type.model_validate_json(said, strict=True)  # as the SDK does
    except ValidationError as error:
        return str(error)
    return "The answer is invalid."
