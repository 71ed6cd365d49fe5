"""Tool calling as the baseline does it, but streamed: an implementation for tests, which is copied into a folder."""

import json

from openai import AsyncOpenAI
from pydantic import TypeAdapter, validate_call

from tasks.base import Model
from tasks.tool_calling.spec import ToolCallingBrief


async def run(brief: ToolCallingBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    tools = {tool.__name__: tool for tool in brief.tools}
    offered = [
        {"type": "function", "function": {"name": name, "parameters": TypeAdapter(tool).json_schema()}}
        for name, tool in tools.items()
    ]
    messages = [
        {"role": "system", "content": brief.instructions},
        {"role": "user", "content": brief.question},
    ]
    for _ in range(model.max_model_calls):
        text, calls = [], {}
        async for chunk in await client.chat.completions.create(
            model=model.name, temperature=model.temperature, messages=messages, tools=offered, stream=True
        ):
            for choice in chunk.choices[:1]:
                text.append(choice.delta.content or "")
                for part in choice.delta.tool_calls or []:
                    whole = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                    whole["id"] = part.id or whole["id"]
                    whole["name"] += part.function.name or ""
                    whole["arguments"] += part.function.arguments or ""
        if not calls:
            return "".join(text)
        asked = [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for c in calls.values()
        ]
        messages.append({"role": "assistant", "content": None, "tool_calls": asked})
        for call in calls.values():
            try:
                result = json.dumps(validate_call(tools[call["name"]])(**json.loads(call["arguments"])))
            except Exception as error:  # the model is told
                result = f"Error: {error}"
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    raise RuntimeError("no answer")
