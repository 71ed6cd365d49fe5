"""Tools of an MCP server in CrewAI: the adapter of crewai-tools, which keeps one connection for the run."""

from crewai import LLM, Agent
from crewai_tools import MCPServerAdapter
from mcp import StdioServerParameters

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    llm = LLM(
        model=model.name,
        custom_openai=True,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        timeout=model.timeout_s,
    )
    if brief.url:
        server = {"url": brief.url, "transport": "streamable-http"}
    else:
        server = StdioServerParameters(command=brief.command[0], args=list(brief.command[1:]))
    with MCPServerAdapter(server) as tools:
        agent = Agent(
            role="assistant",
            goal="Answer the question.",
            backstory=brief.instructions,
            llm=llm,
            tools=tools,
            max_iter=model.max_model_calls,
        )
        result = await agent.kickoff_async(brief.question)
    return result.raw
