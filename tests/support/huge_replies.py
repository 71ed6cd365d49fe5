"""Traces of runs whose model's server replied with far more than a model says: many calls, or a very long answer."""

import json
from collections.abc import Callable
from typing import Any

from factories import model_call, trace
from played import TASKS, offered

from evaluator.trace import Key, Trace, TracedToolCall
from evaluator.wire.tool_schemas import spec_of

CASES = {"tool_calling": "delivered-since", "handoff": "details-paid", "rag_qa": "dify-fastgpt-memory"}
"""A case of each task."""


def _call(number: int, name: str = "get_order", **arguments: Any) -> tuple[str, str, dict[str, Any]]:
    return f"call_{number}", name, arguments or {"order_id": f"O-{number}"}


CALLS: dict[str, Callable[[int], tuple[str, str, dict[str, Any]]]] = {
    "each with its own arguments": _call,
    "all with the same arguments": lambda number: _call(number, order_id="O-5003"),
    "one id for all": lambda number: ("call_0", *_call(number)[1:]),
    "each of a tool that there is not": lambda number: _call(number, f"tool_{number}"),
    "each of one tool that there is not": lambda number: _call(number, "no_tool"),
    "with further arguments": lambda number: _call(number, order_id=f"O-{number}", reason="x"),
    "side effects": lambda number: _call(number, "cancel_order", order_id=f"O-{number}", reason="x"),
}
"""Kinds of many calls in one message: the id, the name and the arguments of each, by its number."""

ANSWERS: dict[str, Callable[[int], str]] = {
    "one letter": lambda size: "a" * size,
    "one digit": lambda size: "7" * size,
    "words": lambda size: ("word " * (size // 5 + 1))[:size],
    "sentences": lambda size: ("The order O-5003 is not delivered, and it may cost 12 EUR. " * (size // 58 + 1))[:size],
    "one sentence": lambda size: ("it is paid, and it costs 3 EUR, " * (size // 32 + 1))[:size],
    "lines": lambda size: ("Dify needs 4 GB of RAM [dify].\n" * (size // 31 + 1))[:size],
    "a table": lambda size: ("| O-5003 | delivered " * (size // 21 + 1))[:size],
    "numbers": lambda size: ("1,234 " * (size // 6 + 1))[:size],
    "brackets": lambda size: "[" * size,
    "blanks": lambda size: " " * size,
    "dots": lambda size: "." * size,
    "open tags": lambda size: ("<think>" * (size // 7 + 1))[:size],
    "closing tags": lambda size: ("</think>" * (size // 8 + 1))[:size],
    "at signs": lambda size: ("a@" * (size // 2 + 1))[:size],
    "hyphens": lambda size: ("a-" * (size // 2 + 1))[:size],
    "Chinese": lambda size: ("不知道" * (size // 3 + 1))[:size],
    "citations": lambda size: ("[1] " * (size // 4 + 1))[:size],
    "doubts": lambda size: ("maybe, " * (size // 7 + 1))[:size],
    "negations": lambda size: ("not a " * (size // 6 + 1))[:size],
    "conditions": lambda size: ("without it if " * (size // 14 + 1))[:size],
    "names": lambda size: ("Dify " * (size // 5 + 1))[:size],
    "dates": lambda size: ("2026-04-08 " * (size // 11 + 1))[:size],
    "amounts": lambda size: "".join(f"{n} EUR, " for n in range(size // 8 + 1))[:size],
    "ids": lambda size: "".join(f"O-{n} " for n in range(size // 6 + 1))[:size],
    "facts": lambda size: ("delivered paid 4 GB " * (size // 20 + 1))[:size],
    "line breaks": lambda size: "\n" * size,
    "slashes": lambda size: "a/" * (size // 2),
    "apostrophes": lambda size: "'" * size,
    "of each kind": lambda size: (
        '**is** not 1,234.5-6 kg/month of [a|b](c)? "no" `x@y` two hundred\n' * (size // 70 + 1)
    )[:size],
    "number words": lambda size: ("two hundred and " * (size // 16 + 1))[:size],
}
"""Kinds of a long answer, by its characters."""


def calling(kind: str, number: int, told: bool = True) -> Trace:
    """A run of `tool_calling` whose model asked for so many calls at once, of which those of a tool were made.

    `told` is whether the model is told what they gave.
    """
    task = TASKS["tool_calling"]
    case = next(case for case in task.load() if case.id == CASES["tool_calling"])
    brief = task.prepare(case).brief
    specs = [spec_of(tool) for tool in brief.tools]
    tools = [offered(spec.name, spec.description, json.loads(spec.schema)) for spec in specs]
    asked = [CALLS[kind](one) for one in range(number)]
    calls = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for id, name, arguments in asked
    ]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    opening = [{"role": "system", "content": brief.instructions}, {"role": "user", "content": brief.question}]
    results = [{"role": "tool", "tool_call_id": id, "content": f'{{"order": {n}}}'} for n, (id, *_) in enumerate(asked)]
    requests = [opening, [*opening, said, *(results if told else [])]]
    replies = [said, {"role": "assistant", "content": "Order O-5003 is delivered."}]
    owned = {spec.name for spec in specs}
    made = [
        TracedToolCall(
            name=name, arguments=arguments, result={"order": n}, start_s=5 + n / number, end_s=6 + n / number
        )
        for n, (_, name, arguments) in enumerate(asked)
        if name in owned
    ]
    return trace(
        Key(model="scripted", framework="x", task="tool_calling", case=case.id, trial=1),
        case=json.loads(case.model_dump_json(exclude_defaults=True)),
        answer="Order O-5003 is delivered.",
        model_calls=[
            model_call(
                *(10 * turn + part for part in (1, 2, 3, 4)),
                request={"model": "scripted", "temperature": 0.0, "messages": messages, "tools": tools},
                response={"choices": [{"index": 0, "message": reply, "finish_reason": "stop"}]},
            )
            for turn, (messages, reply) in enumerate(zip(requests, replies, strict=True))
        ],
        tool_calls=made,
        wall_s=20,
    )


def searching(number: int, told: bool = True) -> Trace:
    """A run of `rag_qa` whose model searched for so many things at once; see `calling`."""
    task = TASKS["rag_qa"]
    case = next(case for case in task.load() if case.id == CASES["rag_qa"])
    brief = task.prepare(case).brief
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": brief.search_tool_name, "arguments": query}}
        for n, query in enumerate(json.dumps({"query": f"what is {n}?"}) for n in range(number))
    ]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    found = brief.documents[0].passage
    opening = [{"role": "system", "content": brief.instructions}, {"role": "user", "content": brief.question}]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": f"{n} {found}"} for n, call in enumerate(calls)]
    replies = [said, {"role": "assistant", "content": "4 GB"}]
    requests = [opening, [*opening, said, *(results if told else [])]]
    made = trace(
        model_calls=[
            model_call(
                *(10 * turn + part for part in (1, 2, 3, 4)),
                request={"model": "scripted", "temperature": 0.0, "messages": messages},
                response={"choices": [{"index": 0, "message": reply, "finish_reason": "stop"}]},
            )
            for turn, (messages, reply) in enumerate(zip(requests, replies, strict=True))
        ],
        answer="4 GB",
        wall_s=20,
    )
    key = Key(model="scripted", framework="x", task="rag_qa", case=case.id, trial=1)
    return made.model_copy(update={"key": key, "case": json.loads(case.model_dump_json(exclude_defaults=True))})


def answering(kind: str, characters: int, task_name: str = "tool_calling") -> Trace:
    """A run whose model answered at once, with so many characters."""
    task = TASKS[task_name]
    case = next(case for case in task.load() if case.id == CASES[task_name])
    brief, answer = task.prepare(case).brief, ANSWERS[kind](characters)
    agent = next(one for one in brief.agents if one.name == brief.entry) if task_name == "handoff" else brief
    opening = [{"role": "system", "content": agent.instructions}, {"role": "user", "content": brief.question}]
    reply = {"role": "assistant", "content": answer}
    call = model_call(
        *(1, 2, 3, 4),
        request={"model": "scripted", "temperature": 0.0, "messages": opening},
        response={"choices": [{"index": 0, "message": reply, "finish_reason": "stop"}]},
    )
    key = Key(model="scripted", framework="x", task=task_name, case=case.id, trial=1)
    as_asked = json.loads(case.model_dump_json(exclude_defaults=True))
    made = trace(model_calls=[call], answer=answer)
    return made.model_copy(update={"key": key, "case": as_asked})
