"""Streaming in Strands Agents: the events of an agent, and its cancellation."""

from collections.abc import AsyncGenerator

from strands import Agent, tool
from strands.models.openai import OpenAIModel

from tasks.base import Model
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncGenerator[str | ToolStarted | ToolEnded, None]:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )
    agent = Agent(
        model=llm,
        system_prompt=brief.instructions,
        tools=[tool(function) for function in brief.tools],
        callback_handler=None,  # the default prints every token
    )
    names = {}
    events = agent.stream_async(brief.question)
    try:
        async for event in events:
            if "data" in event:
                yield event["data"]
            for part in event["message"]["content"] if "message" in event else []:
                if "toolUse" in part:
                    names[part["toolUse"]["toolUseId"]] = part["toolUse"]["name"]
                    yield ToolStarted(part["toolUse"]["name"])
                elif "toolResult" in part:
                    yield ToolEnded(names[part["toolResult"]["toolUseId"]])
            if "result" in event:
                usage = event["result"].metrics.accumulated_usage
                model.report_usage(input_tokens=usage["inputTokens"], output_tokens=usage["outputTokens"])
    except GeneratorExit:  # the reader has left
        agent.cancel()
        async for _ in events:  # they end at the model's next piece
            pass
        raise
