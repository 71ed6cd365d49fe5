"""MCP in LangGraph: tools of a server through langchain-mcp-adapters, in one session for the whole run."""

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
    changed = False

    async def note_changes(message):
        nonlocal changed
        if isinstance(message, ServerNotification) and isinstance(message.root, ToolListChangedNotification):
            changed = True

    @wrap_model_call
    async def offer_as_changed(request, handler):
        return await handler(request.override(tools=await load_mcp_tools(session)) if changed else request)

    connection = {
        "session_kwargs": {
            "read_timeout_seconds": timedelta(seconds=brief.tool_timeout_s),
            "message_handler": note_changes,
        }
    }
    if brief.command:
        program, *arguments = brief.command
        connection |= {"transport": "stdio", "command": program, "args": arguments}
    else:
        connection |= {"transport": "streamable_http", "url": brief.url}
    client = MultiServerMCPClient({"warehouse": connection})
    async with client.session("warehouse") as session:
        agent = create_agent(
            llm,
            await load_mcp_tools(session),
            system_prompt=brief.instructions,
            middleware=[
                # Without it, a call that dies with the server ends the run and the model never hears of it.
                ToolErrorMiddleware(lambda error, request: f"Error: {error}"),
                offer_as_changed,
            ],
        )
        result = await agent.ainvoke({"messages": [{"role": "user", "content": brief.question}]})
    return result["messages"][-1].text
