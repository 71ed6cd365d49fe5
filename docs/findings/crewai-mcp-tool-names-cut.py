"""CrewAI: the names of an MCP server's tools are cut off where its command is long, so that the model cannot tell them.

A tool is named by the server's command with all its arguments, then by its own name, and what is beyond 64 characters
is cut and made a hash of: at the end, where the tool's own name stands. A path to an interpreter and one to a script
are enough. The tool's own name should be kept, and the command's cut.

crewai 1.15.30: the name of a server (crewai/mcp/tool_resolver.py:315), of a tool (crewai/tools/mcp_native_tool.py:48),
and how it is cut (crewai/utilities/string_utils.py:49).

uv run --with crewai==1.15.30 docs/findings/crewai-mcp-tool-names-cut.py
"""

import sys
from pathlib import Path

from crewai import Agent
from crewai.mcp import MCPServerStdio
from crewai.utilities.string_utils import sanitize_tool_name


def serve() -> None:
    from mcp.server.fastmcp import FastMCP

    server = FastMCP("files")
    server.add_tool(lambda path: "", name="read_file", description="Read a file.")
    server.add_tool(lambda path: "", name="delete_file", description="Delete a file.")
    server.run()


if sys.argv[1:]:
    serve()
else:
    server = MCPServerStdio(command=sys.executable, args=[str(Path(__file__).resolve()), "serve"])
    agent = Agent(role="-", goal="-", backstory="-", llm="gpt-4o", mcps=[server])
    for tool in agent.get_mcp_tools(agent.mcps):
        print(f"{tool.original_tool_name} is called {sanitize_tool_name(tool.name)}")
