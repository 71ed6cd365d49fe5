"""Approval without a framework: the messages are kept in a file while a call waits for a person's decision."""

import inspect
import json

from openai import AsyncOpenAI
from pydantic import TypeAdapter, validate_call
from pydantic.json_schema import GenerateJsonSchema

from tasks.approval.spec import ApprovalBrief, Decision, Paused, Waiting
from tasks.base import Model, Tool


async def start(brief: ApprovalBrief, model: Model) -> str | Paused:
    messages = [
        {"role": "system", "content": brief.instructions},
        {"role": "user", "content": brief.question},
    ]
    return await proceed(brief, model, messages)


async def resume(brief: ApprovalBrief, model: Model, decision: Decision) -> str | Paused:
    messages = json.loads((brief.store / f"{brief.thread}.json").read_text())
    # One decision is for one call: with two that wait this fails, and nothing is done.
    [call] = unanswered(messages)
    if decision.verdict == "deny":
        result = f"Denied by a person: {decision.reason}"
    else:
        if decision.verdict == "edit":
            # The conversation must show the model the call that is really made.
            call["function"]["arguments"] = json.dumps(decision.arguments, ensure_ascii=False)
        result = invoke(brief, call["function"])
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    return await proceed(brief, model, messages)


async def proceed(brief: ApprovalBrief, model: Model, messages: list[dict]) -> str | Paused:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
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
        for call in unanswered(messages):
            if call["function"]["name"] not in brief.gated:
                result = invoke(brief, call["function"])
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        if waiting := [call["function"] for call in unanswered(messages)]:
            (brief.store / f"{brief.thread}.json").write_text(json.dumps(messages))
            return Paused([Waiting(call["name"], json.loads(call["arguments"])) for call in waiting])
    raise RuntimeError(f"no answer after {model.max_model_calls} model calls")


def unanswered(messages: list[dict]) -> list[dict]:
    """The calls of the last turn that have no result yet."""
    turn = max(i for i, message in enumerate(messages) if message["role"] != "tool")
    answered = {message["tool_call_id"] for message in messages[turn + 1 :]}
    return [call for call in messages[turn].get("tool_calls", []) if call["id"] not in answered]


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


def invoke(brief: ApprovalBrief, call: dict) -> str:
    tools = {tool.__name__: tool for tool in brief.tools}
    try:
        return json.dumps(validate_call(tools[call["name"]])(**json.loads(call["arguments"])), ensure_ascii=False)
    except KeyError:
        return f"Error: there is no tool {call['name']!r}"
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error: {error}"
