"""Structured output in the OpenAI Agents SDK: `output_type`, and an error handler that asks again."""

from typing import Any

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunErrorHandlerInput, Runner, function_tool
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

    async def extract(messages: Any) -> BaseModel:
        result = await Runner.run(
            agent,
            messages,
            max_turns=model.max_model_calls,
            error_handlers={"invalid_final_output": ask_again},
        )
        return result.final_output

    async def ask_again(invalid: RunErrorHandlerInput) -> BaseModel:
        """The SDK ends the run at an invalid value; its history goes on with what is wrong with it."""
        wrong = what_is_wrong(agent.output_type, invalid.run_data.history[-1])
        return await extract([*invalid.run_data.history, {"role": "user", "content": wrong}])

    return await extract(brief.question)


def what_is_wrong(output_type: type[BaseModel], answer: dict[str, Any]) -> str:
    """The SDK keeps back from its error what the model said, and with it what is wrong."""
    try:
        output_type.model_validate_json(answer["content"][0]["text"], strict=True)
    except ValidationError as error:
        return str(error)
