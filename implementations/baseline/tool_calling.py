"""Tool calling without a framework: the OpenAI client and a plain loop."""

import inspect
import json

from openai import AsyncOpenAI
from pydantic import TypeAdapter, validate_call
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    tools = {tool.__name__: tool for tool in brief.tools}
    messages = [
        {"role": "system", "content": brief.instructions},
        {"role": "user", "content": brief.question},
    ]
    for _ in range(model.max_model_calls):
        completion = await client.chat.completions.create(
            model=model.name,
            temperature=model.temperature,
            messages=messages,
            tools=[schema(tool) for tool in brief.tools],
        )
        message = completion.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = invoke(tools, call.function.name, call.function.arguments)
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
