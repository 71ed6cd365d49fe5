"""Streaming in LangGraph: tokens of the model and updates of the graph's nodes in one stream."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI

from tasks.base import Model
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncIterator[str | ToolStarted | ToolEnded]:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        stream_usage=True,  # off by default where the address is not OpenAI's
    )
    agent = create_agent(llm, brief.tools, system_prompt=brief.instructions)
    question = {"messages": [{"role": "user", "content": brief.question}]}
    usage = []
    # A generator that is left is not closed by `async for`: closing it cancels the nodes that run.
    async with aclosing(agent.astream(question, stream_mode=["messages", "updates"], version="v2")) as parts:
        async for part in parts:
            if part["type"] == "messages":
                token, _ = part["data"]
                if isinstance(token, AIMessageChunk) and token.text:
                    yield token.text
                continue
            for update in part["data"].values():
                for message in update["messages"]:
                    if message.type == "tool":
                        yield ToolEnded(message.name)
                        continue
                    usage.append(message.usage_metadata)
                    for call in message.tool_calls:
                        yield ToolStarted(call["name"])
    model.report_usage(
        input_tokens=sum(one["input_tokens"] for one in usage if one),
        output_tokens=sum(one["output_tokens"] for one in usage if one),
    )
