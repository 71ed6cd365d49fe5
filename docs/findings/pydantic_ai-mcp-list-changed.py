"""Pydantic AI: with a server of the newest MCP revision, a tool that changed is shown to the model as it was.

`MCPToolset` keeps the list of tools until the server says that it has changed. Since the revision 2026-07-28 a server
tells that only to clients that listen (`subscriptions/listen`). The toolset negotiates that revision by default and
does not listen: it keeps the list to the end. It should listen, or not keep the list. In a session of an older revision
the change is shown.

pydantic-ai-slim 2.68.0, fastmcp-slim 4.2.3, mcp 2.3.0: the list is kept (pydantic_ai/mcp.py:1506), and only a handler
of messages drops it (pydantic_ai/mcp.py:1990). What helps is `cache_tools=False`.

uv run --with "pydantic-ai-slim[mcp]==2.68.0" docs/findings/pydantic_ai-mcp-list-changed.py
"""

import asyncio
import sys

from fastmcp.client.transports import StdioTransport
from mcp.server.mcpserver import Context, MCPServer
from pydantic_ai.mcp import MCPToolset


def serve() -> None:
    server = MCPServer("warehouse")

    @server.tool(description="Old.")
    async def stock(context: Context) -> int:
        server.remove_tool("stock")
        server.add_tool(lambda: 42, name="stock", description="New.")
        await context.notify_tools_changed()  # to clients that listen
        await context.session.send_tool_list_changed()  # to clients of older revisions
        return 42

    server.run()


async def main() -> None:
    async with MCPToolset(StdioTransport(sys.executable, [__file__, "serve"], keep_alive=False)) as server:
        await server.list_tools()
        await server.direct_call_tool("stock", {})
        await asyncio.sleep(1)
        print([tool.description for tool in await server.list_tools()])  # Old., not New.


serve() if sys.argv[1:] else asyncio.run(main())
