"""MCP in Agno: its toolkit for servers of tools, over both transports."""

import shlex

from agno.agent import Agent
from agno.models.openai import OpenAILike
from agno.run.base import RunStatus
from agno.tools.mcp import MCPTools

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    llm = OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    async with MCPTools(
        command=shlex.join(brief.command) if brief.command else None,
        url=brief.url,
        timeout_seconds=int(brief.tool_timeout_s),
    ) as warehouse:
        agent = Agent(
            model=llm,
            instructions=brief.instructions,
            tools=[warehouse],
            telemetry=False,
        )
        result = await agent.arun(brief.question)
    if result.status != RunStatus.completed:  # errors come back as if they were the answer
        raise RuntimeError(result.content)
    return result.content
