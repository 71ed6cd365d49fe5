"""Runs of cases that are played here as the baseline plays them, and changed as a framework might change them."""

import copy
import json
from collections.abc import Callable
from typing import Any

from factories import model_call, setup, tool_call
from pydantic import validate_call
from pydantic_core import to_jsonable_python

from evaluator.catalog.tasks import all_tasks
from evaluator.models.upstreams.scripted import ScriptedSession
from evaluator.trace import (
    Key,
    ModelCall,
    Resources,
    RunOutcome,
    Trace,
    TracedToolCall,
)
from evaluator.wire.tokens import count_prompt_tokens
from evaluator.wire.tool_schemas import spec_of
from tasks.base import ToolError, bound_arguments
from tasks.wire import SearchTool

TASKS = all_tasks()
Request = dict[str, Any]
Change = Callable[[Request], None]


def played(task_name: str, case_id: str, *, framework: str = "x", model: str = "scripted") -> Trace:
    """The run of a case without any framework, as the baseline makes it."""
    task = TASKS[task_name]
    case = next(case for case in task.load() if case.id == case_id)
    brief = task.prepare(case).brief
    session = ScriptedSession(task.script(case))
    agents = {agent.name: agent for agent in getattr(brief, "agents", [])}
    active = agents[brief.entry] if agents else brief
    conversation: list[dict[str, Any]] = [{"role": "user", "content": brief.question}]
    model_calls: list[ModelCall] = []
    tool_calls: list[TracedToolCall] = []
    for moment in range(0, 1000, 10):
        owned = {tool.__name__: tool for tool in getattr(active, "tools", [])}
        specs = [spec_of(tool) for tool in owned.values()]
        if task_name == "rag_qa":
            specs = [spec_of(SearchTool(brief.search_tool_name, brief.search_tool_description))]
        tools = [offered(spec.name, spec.description, json.loads(spec.schema)) for spec in specs]
        tools += [offered(f"transfer_to_{name}", "Hand over.", {}) for name in getattr(active, "handoffs", [])]
        for tool in tools:
            without_titles(tool["function"]["parameters"])
        messages = [{"role": "system", "content": active.instructions}, *conversation]
        request = {"model": model, "temperature": 0.0, "messages": copy.deepcopy(messages), "tools": tools}
        response = session.complete(request)
        tokens = count_prompt_tokens(request)
        times = [moment + part for part in (1, 2, 3, 4)]
        model_calls.append(model_call(*times, request=request, response=response, input_tokens=tokens))
        message = response["choices"][0]["message"]
        if not message.get("tool_calls"):
            break
        conversation.append({name: value for name, value in message.items() if value is not None})
        for call in message["tool_calls"]:
            name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
            if name in owned:
                made = made_call(owned[name], arguments, moment + 5, active)
                tool_calls.append(made)
                text = f"Error: {made.error}" if made.error else json.dumps(made.result, ensure_ascii=False)
            elif task_name == "rag_qa":
                found = sorted(brief.documents, key=lambda document: document.id not in case.gold)
                text = "\n\n".join(document.passage for document in found[: brief.k])
            else:
                active = agents[name.removeprefix("transfer_to_")]
                text = "Done."
            conversation.append({"role": "tool", "tool_call_id": call["id"], "content": text})
    return Trace(
        key=Key(model=model, framework=framework, task=task_name, case=case_id, trial=1),
        setup=setup(),
        case=json.loads(case.model_dump_json(exclude_defaults=True)),
        model_calls=model_calls,
        tool_calls=tool_calls,
        outcome=RunOutcome(ended="answered", answer="x"),
        resources=Resources(wall_s=1000),
    )


def offered(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A tool as a request offers it."""
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def without_titles(schema: Any) -> None:
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for part in schema.values():
            without_titles(part)


def made_call(tool: Any, arguments: dict[str, Any], moment: float, agent: Any) -> TracedToolCall:
    result, error = None, None
    try:
        result = to_jsonable_python(validate_call(tool)(**arguments))
    except ToolError as refusal:
        error = f"ToolError: {refusal}"
    bound = bound_arguments(tool, (), arguments)
    fields = {"name": tool.__name__, "arguments": bound, "agent": getattr(agent, "name", None)}
    return tool_call(moment, moment + 1, **fields, result=result, error=error)


def changed(trace: Trace, change: Change) -> Trace:
    """The run with each of its chat requests changed."""
    trace = trace.model_copy(deep=True)
    for call in trace.model_calls:
        change(call.request)
        call.input_tokens = count_prompt_tokens(call.request)
    return trace


def system(text: Callable[[str], str]) -> Change:
    """What becomes of the system message's text."""

    def change(request: Request) -> None:
        request["messages"][0]["content"] = text(request["messages"][0]["content"])

    return change
