"""Tools of an MCP server in Google ADK: a toolset that keeps the connection, which the runner closes."""

from google.adk.agents import LlmAgent, RunConfig
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams, StreamableHTTPConnectionParams
from google.genai import types
from mcp import StdioServerParameters

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    agent = LlmAgent(
        name="assistant",
        model=OpenAILlm(model=model.name, base_url=model.base_url, api_key=model.api_key),
        instruction=lambda context: brief.instructions,  # a plain text would be a template
        tools=[McpToolset(connection_params=connection_params(brief))],
        generate_content_config=types.GenerateContentConfig(temperature=model.temperature),
    )
    runner = InMemoryRunner(agent)
    async with runner:  # closes the toolset at the end, and with it the server
        session = await runner.session_service.create_session(app_name=runner.app_name, user_id="user")
        events = [
            event
            async for event in runner.run_async(
                user_id=session.user_id,
                session_id=session.id,
                new_message=types.UserContent(brief.question),
                run_config=RunConfig(max_llm_calls=model.max_model_calls),
            )
        ]
    model.report_usage(
        input_tokens=sum(e.usage_metadata.prompt_token_count or 0 for e in events if e.usage_metadata),
        output_tokens=sum(e.usage_metadata.candidates_token_count or 0 for e in events if e.usage_metadata),
    )
    final = [event.content for event in events if event.is_final_response() and event.content]
    return "".join(part.text or "" for content in final[-1:] for part in content.parts)


def connection_params(brief: McpBrief) -> StdioConnectionParams | StreamableHTTPConnectionParams:
    if brief.url:
        return StreamableHTTPConnectionParams(url=brief.url, sse_read_timeout=brief.tool_timeout_s)
    command, *args = brief.command
    server = StdioServerParameters(command=command, args=args)
    return StdioConnectionParams(server_params=server, timeout=brief.tool_timeout_s)
