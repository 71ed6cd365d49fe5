"""Tools of an MCP server in LlamaIndex: llama-index-tools-mcp makes them of one session for the whole run."""

from contextlib import suppress

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import AsyncBaseTool
from llama_index.llms.openai_like import OpenAILike
from llama_index.tools.mcp import McpToolSpec
from mcp import Client, MCPError, StdioServerParameters

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    llm = OpenAILike(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        is_chat_model=True,
        is_function_calling_model=True,
    )
    server = brief.url or StdioServerParameters(command=brief.command[0], args=list(brief.command[1:]))
    # Not the package's own client: that starts the server anew for each call.
    async with Client(server, read_timeout_seconds=brief.tool_timeout_s) as client:
        agent = McpAgent(server=McpToolSpec(client), llm=llm, system_prompt=brief.instructions)
        # At its limit the workflow raises before it looks at the response.
        return str(await agent.run(user_msg=brief.question, max_iterations=model.max_model_calls + 1))


class McpAgent(FunctionAgent):
    server: McpToolSpec

    async def get_tools(self, input_str: str | None = None) -> list[AsyncBaseTool]:
        with suppress(MCPError):  # a server that is gone: the model has been told by the result of its call
            self.tools = await self.server.to_tool_list_async()  # they may have changed
        return await super().get_tools(input_str)
