"""Structured output without a framework: the type's JSON schema, and a loop that tells the model what is wrong."""

import inspect
import json

from openai import AsyncOpenAI
from pydantic import BaseModel, TypeAdapter, ValidationError, validate_call
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.structured_output.spec import StructuredOutputBrief


async def run(brief: StructuredOutputBrief, model: Model) -> BaseModel:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    tools = {tool.__name__: tool for tool in brief.tools}
    messages = [
        {"role": "system", "content": brief.instructions},
        {"role": "user", "content": brief.question},
    ]
    for _ in range(model.max_model_calls):
        # Not `parse`: it takes strict tools only, and raises where the value is invalid, so that the reply is lost.
        completion = await client.chat.completions.create(
            model=model.name,
            temperature=model.temperature,
            messages=messages,
            response_format=response_format(brief.output_type),
            **({"tools": [schema(tool) for tool in brief.tools]} if brief.tools else {}),
        )
        message = completion.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls or []:
            result = invoke(tools, call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        if not message.tool_calls:
            try:
                return brief.output_type.model_validate_json(message.content or "")
            except ValidationError as error:
                messages.append({"role": "user", "content": f"Correct this, and give the whole value again: {error}"})
    raise RuntimeError(f"no valid value after {model.max_model_calls} model calls")


def response_format(output_type: type[BaseModel]) -> dict:
    return {
        "type": "json_schema",
        "json_schema": {"name": output_type.__name__, "schema": output_type.model_json_schema()},
    }


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
