"""Streaming in Pydantic AI: the events of a run, which is cancelled when its context is left."""

from collections.abc import AsyncGenerator

from pydantic_ai import (
    Agent,
    AgentRunResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelSettings,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncGenerator[str | ToolStarted | ToolEnded, None]:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        tools=brief.tools,
    )
    async with agent.run_stream_events(brief.question) as events:
        async for event in events:
            match event:
                case (
                    PartStartEvent(part=TextPart(content=text))
                    | PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                ):
                    yield text
                case FunctionToolCallEvent(part=call):
                    yield ToolStarted(call.tool_name)
                case FunctionToolResultEvent(part=result):
                    yield ToolEnded(result.tool_name)
                case AgentRunResultEvent(result=result):
                    model.report_usage(input_tokens=result.usage.input_tokens, output_tokens=result.usage.output_tokens)
