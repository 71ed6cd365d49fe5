"""A durable run without a framework: every message is in a database before anything that follows from it happens.

A process that is killed after a tool's effect and before its result is kept makes the call again when it is resumed.
Only a tool that knows a call again, by its id, could prevent that.
"""

import inspect
import json
import sqlite3
from contextlib import closing

from openai import AsyncOpenAI
from pydantic import TypeAdapter, validate_call
from pydantic.json_schema import GenerateJsonSchema

from tasks.base import Model, Tool
from tasks.durable.spec import DurableBrief


async def start(brief: DurableBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    tools = {tool.__name__: tool for tool in brief.tools}
    with closing(sqlite3.connect(brief.store / "threads.db")) as database:
        thread = Thread(database, brief.thread)
        if not thread.messages:
            thread.keep({"role": "system", "content": brief.instructions})
            thread.keep({"role": "user", "content": brief.question})
        for _ in range(model.max_model_calls):
            for call in unanswered(thread.messages):
                result = invoke(tools, call["function"]["name"], call["function"]["arguments"])
                thread.keep({"role": "tool", "tool_call_id": call["id"], "content": result})
            if thread.messages[-1]["role"] != "assistant":
                completion = await client.chat.completions.create(
                    model=model.name,
                    temperature=model.temperature,
                    messages=thread.messages,
                    tools=[schema(tool) for tool in brief.tools],
                )
                thread.keep(completion.choices[0].message.model_dump(exclude_none=True))
            if not unanswered(thread.messages):
                return thread.messages[-1].get("content", "")
    raise RuntimeError(f"no answer after {model.max_model_calls} model calls")


async def resume(brief: DurableBrief, model: Model) -> str:
    return await start(brief, model)


class Thread:
    """The messages of a conversation, each of them safe on the disk."""

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        self.database, self.name = database, name
        database.execute("CREATE TABLE IF NOT EXISTS messages (thread TEXT, message TEXT)")
        kept = database.execute("SELECT message FROM messages WHERE thread = ? ORDER BY rowid", (name,))
        self.messages = [json.loads(message) for (message,) in kept]

    def keep(self, message: dict) -> None:
        with self.database:
            self.database.execute("INSERT INTO messages VALUES (?, ?)", (self.name, json.dumps(message)))
        self.messages.append(message)


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


def invoke(tools: dict[str, Tool], name: str, arguments: str) -> str:
    try:
        return json.dumps(validate_call(tools[name])(**json.loads(arguments)), ensure_ascii=False)
    except KeyError:
        return f"Error: there is no tool {name!r}"
    except Exception as error:  # whatever went wrong, the model is told
        return f"Error: {error}"
