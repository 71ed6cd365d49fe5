"""Streaming in Microsoft Agent Framework: the updates of a run, as a context that ends the call when it is left."""

import inspect
from collections.abc import AsyncGenerator

from agent_framework import Agent, tool
from agent_framework.openai import OpenAIChatCompletionClient

from tasks.base import Model
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncGenerator[str | ToolStarted | ToolEnded]:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    agent = Agent(
        client,
        brief.instructions,
        # The default keeps the indentation of the source.
        tools=[tool(function, description=inspect.getdoc(function)) for function in brief.tools],
        default_options={"temperature": model.temperature},
    )
    called: dict[str, str] = {}
    async with agent.run(brief.question, stream=True) as updates:
        async for update in updates:
            for content in update.contents:
                if content.type == "text" and content.text:
                    yield content.text
                elif content.type == "function_call" and content.name:  # later pieces of a call have no name
                    called[content.call_id] = content.name
                    yield ToolStarted(content.name)
                elif content.type == "function_result":
                    yield ToolEnded(called[content.call_id])
        response = await updates.get_final_response()
    model.report_usage(
        input_tokens=response.usage_details.get("input_token_count"),
        output_tokens=response.usage_details.get("output_token_count"),
    )
