"""Streaming in Agno: one stream of events for text and tools."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.agent import (
    RunCompletedEvent,
    RunContentEvent,
    RunErrorEvent,
    ToolCallCompletedEvent,
    ToolCallStartedEvent,
)

from tasks.base import Model
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncIterator[str | ToolStarted | ToolEnded]:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    agent = Agent(
        model=llm,
        instructions=brief.instructions,
        tools=brief.tools,
        telemetry=False,
    )
    async with aclosing(agent.arun(brief.question, stream=True, stream_events=True)) as events:
        async for event in events:
            match event:
                case RunContentEvent() if event.content:
                    yield event.content
                case ToolCallStartedEvent():
                    yield ToolStarted(event.tool.tool_name)
                case ToolCallCompletedEvent():
                    yield ToolEnded(event.tool.tool_name)
                case RunErrorEvent():
                    raise RuntimeError(event.content)
                case RunCompletedEvent():
                    model.report_usage(
                        input_tokens=event.metrics.input_tokens,
                        output_tokens=event.metrics.output_tokens,
                    )
