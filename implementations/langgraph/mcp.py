"""MCP in LangGraph: tools of a server through langchain-mcp-adapters, in one session for the whole run."""

import asyncio
from datetime import timedelta

from langchain.agents import create_agent
from langchain.agents.middleware import ToolErrorMiddleware, wrap_model_call
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from langchain_openai import ChatOpenAI
from mcp.types import ServerNotification, ToolListChangedNotification

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    changed = asyncio.Event()

    async def hear(message):
        if isinstance(message, ServerNotification) and isinstance(message.root, ToolListChangedNotification):
            changed.set()

    connection = {
        "session_kwargs": {
            "read_timeout_seconds": timedelta(seconds=brief.tool_timeout_s),
            "message_handler": hear,
        }
    }
    if brief.command:
        program, *arguments = brief.command
        connection |= {"transport": "stdio", "command": program, "args": arguments}
    else:
        connection |= {"transport": "streamable_http", "url": brief.url}
    client = MultiServerMCPClient({"warehouse": connection})
    async with client.session("warehouse") as session:
        tools = await load_mcp_tools(session)

        @wrap_model_call
        async def offer_current_tools(request, handler):
            nonlocal tools
            if changed.is_set():
                changed.clear()
                tools = await load_mcp_tools(session)
            return await handler(request.override(tools=tools))

        agent = create_agent(
            llm,
            tools,
            system_prompt=brief.instructions,
            middleware=[
                # Without it, a call that dies with the server ends the run and the model never hears of it.
                ToolErrorMiddleware(lambda error, request: f"Error: {error}"),
                offer_current_tools,
            ],
        )
        result = await agent.ainvoke({"messages": [{"role": "user", "content": brief.question}]})
    return result["messages"][-1].text
