"""Handoff without a framework: a plain loop that swaps instructions and tools when an agent hands over."""

import inspect
import json

from openai import AsyncOpenAI
from pydantic import TypeAdapter, validate_call
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.handoff.spec import AgentSpec, HandoffBrief


async def run(brief: HandoffBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    agents = {agent.name: agent for agent in brief.agents}
    active = agents[brief.entry]
    conversation = [{"role": "user", "content": brief.question}]
    for _ in range(model.max_model_calls):
        transfers = {f"transfer_to_{name}": agents[name] for name in active.handoffs}
        tools = {tool.__name__: tool for tool in active.tools}
        completion = await client.chat.completions.create(
            model=model.name,
            temperature=model.temperature,
            messages=[{"role": "system", "content": active.instructions}, *conversation],
            tools=[schema(tool) for tool in active.tools] + [transfer_schema(agent) for agent in transfers.values()],
        )
        message = completion.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        conversation.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            name = call.function.name
            if name in transfers:
                active = transfers[name]
                result = f"Transferred to {active.name}."
            else:
                result = invoke(tools, name, call.function.arguments)
            conversation.append({"role": "tool", "tool_call_id": call.id, "content": result})
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


def transfer_schema(agent: AgentSpec) -> dict:
    function = {
        "name": f"transfer_to_{agent.name}",
        "description": f"Handoff to the {agent.name} agent to handle the request. {agent.description}",
        "parameters": {"type": "object", "properties": {}},
    }
    return {"type": "function", "function": function}


def invoke(tools: dict[str, Tool], name: str, arguments: str) -> str:
    try:
        return json.dumps(validate_call(tools[name])(**json.loads(arguments)), ensure_ascii=False)
    except KeyError:
        return f"Error: there is no tool {name!r}"
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error: {error}"
