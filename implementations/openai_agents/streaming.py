"""Streaming in the OpenAI Agents SDK: the events of `run_streamed`, and `cancel`."""

from collections.abc import AsyncIterator

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncIterator[str | ToolStarted | ToolEnded]:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agent = Agent(
        name="assistant",
        instructions=brief.instructions,
        model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
        model_settings=ModelSettings(temperature=model.temperature, include_usage=True),
        tools=[function_tool(tool) for tool in brief.tools],
    )
    result = Runner.run_streamed(agent, brief.question, max_turns=model.max_model_calls)
    events, called = result.stream_events(), {}
    try:
        async for event in events:
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                yield event.data.delta
            elif event.type == "run_item_stream_event" and event.name == "tool_called":
                called[event.item.call_id] = event.item.tool_name
                yield ToolStarted(event.item.tool_name)
            elif event.type == "run_item_stream_event" and event.name == "tool_output":
                yield ToolEnded(called[event.item.call_id])
    finally:
        result.cancel()
        async for _ in events:  # a cancelled run has ended once its events have
            pass
    usage = result.context_wrapper.usage
    model.report_usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
