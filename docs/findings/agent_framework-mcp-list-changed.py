"""Microsoft Agent Framework: after `tools/list_changed`, a tool that changed is shown to the model as it was.

The framework asks the server for its tools anew, and adds and removes what is to be added and removed. But where a tool
has the name of one that it has, it keeps that: a new description or schema is never shown, neither in the run that goes
on nor in later ones, until it connects anew. It should take the new one.

agent-framework-core 1.23.0: agent_framework/_mcp.py:3159.

uv run --with agent-framework-core==1.23.0,mcp==2.3.0,tenacity docs/findings/agent_framework-mcp-list-changed.py
"""

import asyncio
import sys

from agent_framework import MCPStdioTool
from mcp.server.mcpserver import Context, MCPServer


def serve() -> None:
    server = MCPServer("warehouse")

    @server.tool(description="Old.")
    async def stock(context: Context) -> int:
        server.remove_tool("stock")
        server.add_tool(lambda: 42, name="stock", description="New.")
        server.add_tool(lambda: 43, name="another", description="Added.")
        await context.notify_tools_changed()
        return 42

    server.run()


async def main() -> None:
    async with MCPStdioTool("warehouse", sys.executable, args=[__file__, "serve"]) as server:
        await server.functions[0].invoke()
        await asyncio.sleep(1)
        print([function.description for function in server.functions])  # Old. and Added., not New.


serve() if sys.argv[1:] else asyncio.run(main())
