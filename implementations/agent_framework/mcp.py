"""Tools of an MCP server in Microsoft Agent Framework: its MCP tools for both transports."""

from agent_framework import Agent, MCPStdioTool, MCPStreamableHTTPTool
from agent_framework.openai import OpenAIChatCompletionClient

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    client = OpenAIChatCompletionClient(
        model.name,
        base_url=model.base_url,
        api_key=model.api_key,
    )
    # The default hides what went wrong from the model.
    client.function_invocation_configuration["include_detailed_errors"] = True
    if brief.command:
        command, *args = brief.command
        server = MCPStdioTool("warehouse", command, args=args, request_timeout=int(brief.tool_timeout_s))
    else:
        server = MCPStreamableHTTPTool("warehouse", brief.url, request_timeout=int(brief.tool_timeout_s))
    async with Agent(
        client,
        brief.instructions,
        tools=server,
        default_options={"temperature": model.temperature},
    ) as agent:
        response = await agent.run(brief.question)
    return response.messages[-1].text
