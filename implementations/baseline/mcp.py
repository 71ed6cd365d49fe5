"""Tools of an MCP server without a framework: the MCP SDK's client, the OpenAI client, and a plain loop."""

import json
from contextlib import suppress

from mcp import Client, MCPError, StdioServerParameters
from mcp.types import Tool
from openai import AsyncOpenAI

from tasks.base import Model
from tasks.mcp.spec import McpBrief


async def run(brief: McpBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    messages = [
        {"role": "system", "content": brief.instructions},
        {"role": "user", "content": brief.question},
    ]
    server = brief.url or StdioServerParameters(command=brief.command[0], args=list(brief.command[1:]))
    async with Client(server, read_timeout_seconds=brief.tool_timeout_s) as session:
        tools = (await session.list_tools()).tools
        for _ in range(model.max_model_calls):
            completion = await client.chat.completions.create(
                model=model.name,
                temperature=model.temperature,
                messages=messages,
                tools=[schema(tool) for tool in tools],
            )
            message = completion.choices[0].message
            if not message.tool_calls:
                return message.content or ""
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls:
                result = await invoke(session, call.function.name, call.function.arguments)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
            with suppress(MCPError):  # a server that is gone: the model has been told by the result of its call
                tools = (await session.list_tools()).tools  # they may have changed
    raise RuntimeError(f"no answer after {model.max_model_calls} model calls")


def schema(tool: Tool) -> dict:
    function = {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
    return {"type": "function", "function": function}


async def invoke(session: Client, name: str, arguments: str) -> str:
    try:
        result = await session.call_tool(name, json.loads(arguments))
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error: {error}"
    text = "\n".join(block.text for block in result.content if block.type == "text")
    return f"Error: {text}" if result.is_error else text
