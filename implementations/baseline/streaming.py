"""Streaming without a framework: the OpenAI client's stream of events, and a plain loop around it."""

import inspect
import json
from collections.abc import AsyncGenerator

from openai import AsyncOpenAI
from pydantic import TypeAdapter, validate_call
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.streaming.spec import StreamingBrief, ToolEnded, ToolStarted


async def stream(brief: StreamingBrief, model: Model) -> AsyncGenerator[str | ToolStarted | ToolEnded, None]:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    tools = {tool.__name__: tool for tool in brief.tools}
    messages = [
        {"role": "system", "content": brief.instructions},
        {"role": "user", "content": brief.question},
    ]
    usages = []  # for report_usage
    for _ in range(model.max_model_calls):
        # The block is left when the reader closes this generator, and closes the connection.
        async with client.chat.completions.stream(
            model=model.name,
            temperature=model.temperature,
            messages=messages,
            tools=[schema(tool) for tool in brief.tools],
            stream_options={"include_usage": True},
        ) as events:
            async for event in events:
                if event.type == "content.delta" and event.delta:
                    yield event.delta
            completion = await events.get_final_completion()
        usages.append(completion.usage)  # for report_usage
        message = completion.choices[0].message
        if not message.tool_calls:
            model.report_usage(sum(one.prompt_tokens for one in usages), sum(one.completion_tokens for one in usages))
            return
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            yield ToolStarted(call.function.name)
            result = invoke(tools, call.function.name, call.function.arguments)
            yield ToolEnded(call.function.name)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise RuntimeError(f"no answer after {model.max_model_calls} model calls")


class WithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema) -> bool:
        return False


def schema(tool: Tool) -> dict:
    function = {
        "name": tool.__name__,
        "description": inspect.getdoc(tool),
        "parameters": TypeAdapter(tool).json_schema(schema_generator=WithoutTitles),
    }
    return {"type": "function", "function": function}


def invoke(tools: dict[str, Tool], name: str, arguments: str) -> str:
    try:
        return json.dumps(validate_call(tools[name])(**json.loads(arguments)), ensure_ascii=False)
    except KeyError:
        return f"Error: there is no tool {name!r}"
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error: {error}"
