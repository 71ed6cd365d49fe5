"""Tool calling without a framework, hardened: replies that are not whole are asked for again, mistakes counted."""

import inspect
import json

from openai import AsyncOpenAI
from pydantic import TypeAdapter, validate_call
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.tool_calling.spec import ToolCallingBrief

ATTEMPTS = 3
FAILED_TURNS = 4
"""So many turns in a row in which every call failed, and the run is given up."""


async def run(brief: ToolCallingBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    tools = {tool.__name__: tool for tool in brief.tools}
    messages = [
        {"role": "system", "content": brief.instructions},
        {"role": "user", "content": brief.question},
    ]
    failed_turns = 0
    for _ in range(model.max_model_calls):
        message = await whole_reply(
            client,
            model=model.name,
            temperature=model.temperature,
            messages=messages,
            tools=[schema(tool) for tool in brief.tools],
        )
        if not message.tool_calls:
            return message.content
        messages.append(message.model_dump(exclude_none=True))
        results = [invoke(tools, call.function.name, call.function.arguments) for call in message.tool_calls]
        for call, result in zip(message.tool_calls, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        failed_turns = failed_turns + 1 if all(result.startswith("Error: ") for result in results) else 0
        if failed_turns == FAILED_TURNS:
            raise RuntimeError(f"given up after {failed_turns} turns without a call that worked: {results[-1]}")
    raise RuntimeError(f"no answer after {model.max_model_calls} model calls")


async def whole_reply(client: AsyncOpenAI, **request):
    """Calls of tools, or an answer. Errors of the server the client retries itself."""
    for _ in range(ATTEMPTS):
        try:
            [choice, *_] = (await client.chat.completions.create(**request)).choices
        except ValueError as error:
            wrong = f"it cannot be read: {error}"
            continue
        if choice.finish_reason in ("length", "content_filter"):
            wrong = f"it ended with {choice.finish_reason}"
        elif choice.message.tool_calls or choice.message.content:
            return choice.message
        else:
            wrong = "it is empty"
    raise RuntimeError(f"no whole reply in {ATTEMPTS} attempts: {wrong}")


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
