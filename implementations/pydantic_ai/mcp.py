"""MCP in Pydantic AI: a server is a toolset, which is asked for its tools before each request."""

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent, ModelSettings
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    provider = OpenAICompatibleProvider("bakeoff", base_url=model.base_url, api_key=model.api_key)
    server = brief.url
    if brief.command:
        program, *arguments = brief.command
        server = StdioTransport(program, arguments, keep_alive=False)  # by default its process outlives the run
    agent = Agent(
        OpenAIChatModel(model.name, provider=provider),
        instructions=brief.instructions,
        model_settings=ModelSettings(temperature=model.temperature),
        toolsets=[
            MCPToolset(
                server,
                init_timeout=brief.tool_timeout_s,
                read_timeout=brief.tool_timeout_s,
                cache_tools=False,  # it keeps them, and is not told of changes in a session of the newest revision
            )
        ],
    )
    result = await agent.run(brief.question)
    return result.output
