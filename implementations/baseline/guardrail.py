"""Guardrails without a framework: three conditions, before the loop, before each call, and before the answer."""

import inspect
import json

from openai import AsyncOpenAI
from pydantic import TypeAdapter, validate_call
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.guardrail.spec import GuardrailBrief


async def run(brief: GuardrailBrief, model: Model) -> str:
    if reason := brief.check_input(brief.question):
        return reason
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
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
            answer = message.content or ""
            return brief.check_output(answer) or answer
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = invoke(brief, call.function.name, call.function.arguments)
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


def invoke(brief: GuardrailBrief, name: str, arguments: str) -> str:
    tools = {tool.__name__: tool for tool in brief.tools}
    if name not in tools:
        return f"Error: there is no tool {name!r}"
    try:
        values = json.loads(arguments)
        if reason := brief.check_call(name, values):
            return f"Blocked: {reason}"
        return json.dumps(validate_call(tools[name])(**values), ensure_ascii=False)
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error: {error!r}"
