"""MCP in the OpenAI Agents SDK: an agent has `mcp_servers`, whose tools are listed before each call to the model."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner
from agents.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHttp
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    async with warehouse(brief) as server:
        agent = Agent(
            name="assistant",
            instructions=brief.instructions,
            model=OpenAIChatCompletionsModel(model=model.name, openai_client=client),
            model_settings=ModelSettings(temperature=model.temperature),
            mcp_servers=[server],
        )
        result = await Runner.run(agent, brief.question, max_turns=model.max_model_calls)
    return result.final_output


def warehouse(brief: McpBrief) -> MCPServer:
    if brief.url:
        return MCPServerStreamableHttp(
            params={"url": brief.url, "timeout": brief.tool_timeout_s},
            client_session_timeout_seconds=brief.tool_timeout_s,
        )
    program, *arguments = brief.command
    return MCPServerStdio(
        params={"command": program, "args": arguments},
        client_session_timeout_seconds=brief.tool_timeout_s,
    )
