"""Tools of an MCP server in Strands Agents: a client whose tools an agent is given."""

from datetime import timedelta

from mcp import StdioServerParameters, stdio_client
from strands import Agent
from strands.models.openai import OpenAIModel
from strands.tools.mcp import MCPAgentTool, MCPClient

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    llm = OpenAIModel(
        client_args={"base_url": model.base_url, "api_key": model.api_key},
        model_id=model.name,
        params={"temperature": model.temperature},
    )

    def replace_tools(previous: list[str], tools: list[MCPAgentTool]) -> None:
        for tool in limited(tools, brief):
            agent.tool_registry.replace(tool)

    if brief.url:
        client = MCPClient(url=brief.url, on_tools_changed=replace_tools)
    else:
        server = StdioServerParameters(command=brief.command[0], args=list(brief.command[1:]))
        client = MCPClient(lambda: stdio_client(server), on_tools_changed=replace_tools)
    with client:
        agent = Agent(
            model=llm,
            system_prompt=brief.instructions,
            tools=limited(client.list_tools_sync(), brief),
            callback_handler=None,  # the default prints every token
        )
        result = await agent.invoke_async(brief.question)
    return str(result).strip()


def limited(tools: list[MCPAgentTool], brief: McpBrief) -> list[MCPAgentTool]:
    for tool in tools:
        tool.timeout = timedelta(seconds=brief.tool_timeout_s)  # no client and no agent takes a limit for all calls
    return tools
