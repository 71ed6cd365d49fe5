"""Traces made by hand, of runs that nobody made."""

import json
from collections.abc import Sequence
from typing import Any

from evaluator.trace import (
    CapabilityRecord,
    Ended,
    Key,
    ModelCall,
    Resources,
    RunOutcome,
    Setup,
    Trace,
    TracedPart,
    TracedTold,
    TracedToolCall,
)
from tasks.tool_calling.grade import gold
from tasks.tool_calling.spec import ToolCallingCase

CASE: dict[str, Any] = {
    "id": "greeting",
    "kind": "no_call",
    "level": 2,
    "size": "quick",
    "question": "Hello?",
    "facts": ["hello"],
    "answer": "Hello.",
}
"""A case of `tool_calling` that needs no tool."""


def key(case: str = "greeting", trial: int = 1, *, framework: str = "baseline", model: str = "scripted") -> Key:
    return Key(model=model, framework=framework, task="tool_calling", case=case, trial=trial)


def setup(**changes: Any) -> Setup:
    fields: dict[str, Any] = {
        "framework_version": "1.0",
        "harness_version": "0.1.0",
        "implementation_digest": "i",
        "lock_digest": "l",
        "task_digest": "t",
        "model_digest": "m",
        "git_commit": None,
        "git_dirty": None,
        "python": "3.11.7",
        "platform": "Linux",
        "cpu": "A CPU",
        "cpu_cores": 2,
        "started_at": "2025-01-02T03:04:05Z",
        "temperature": 0.0,
        "max_model_calls": 20,
        "timeout_s": 60.0,
        "jobs": 1,
    }
    return Setup(**{**fields, **changes})


def model_call(start_s: float, sent_s: float, received_s: float, end_s: float, **changes: Any) -> ModelCall:
    fields: dict[str, Any] = {
        "operation": "chat",
        "request_model": "scripted",
        "status": 200,
        "input_tokens": 100,
        "output_tokens": 10,
        "cached_tokens": 0,
        "usage_source": "upstream",
        "first_byte_s": received_s,
        "request": {},
        "response": {},
    }
    times = {"start_s": start_s, "sent_s": sent_s, "received_s": received_s, "end_s": end_s}
    return ModelCall(**{**fields, **times, **changes})


def tool_call(start_s: float, end_s: float, name: str = "get_order", **changes: Any) -> TracedToolCall:
    return TracedToolCall(**{"name": name, "arguments": {}, "start_s": start_s, "end_s": end_s, **changes})


def trace(
    run: Key | None = None,
    *,
    case: dict[str, Any] = CASE,
    answer: str = "Hello.",
    ended: Ended = "answered",
    error: str | None = None,
    wall_s: float = 1.0,
    model_calls: list[ModelCall] | None = None,
    tool_calls: list[TracedToolCall] | None = None,
    resources: dict[str, Any] | None = None,
    **setup_changes: Any,
) -> Trace:
    run = run or key()
    case = {**case, "id": run.case}
    return Trace(
        key=run,
        setup=setup(**setup_changes),
        case=case,
        model_calls=[model_call(0.1, 0.2, 0.5, 0.6)] if model_calls is None else model_calls,
        tool_calls=tool_calls or [],
        outcome=RunOutcome(
            ended=ended, answer=answer, error=error, final_state=gold(ToolCallingCase.model_validate(case)).final_state
        ),
        resources=Resources(**{"wall_s": wall_s, "import_s": 0.5, "peak_memory_mb": 50.0, **(resources or {})}),
    )


# --- capability tasks ------------------------------------------------------------------------


def chat(start_s: float, *messages: dict[str, Any], text: str = "", **changes: Any) -> ModelCall:
    """A model call of a capability run, with these messages; `text` is the reply."""
    end_s = changes.pop("end_s", start_s + 0.1)
    error = changes.pop("error", None)
    request = {"model": "first-model", "messages": list(messages)}
    response = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    call = model_call(start_s, start_s, end_s, end_s, request=request, response=response, **changes)
    return call.model_copy(update={"error": error, "request_model": "first-model"})


def effect(start_s: float, name: str, **arguments: Any) -> TracedToolCall:
    """A tool that really ran."""
    return tool_call(start_s, start_s + 0.1, name).model_copy(update={"arguments": arguments, "agent": None})


def capability_trace(
    capability: str,
    case: Any,
    *,
    answer: str = "",
    error: str | None = None,
    calls: Sequence[ModelCall] = (),
    effects: Sequence[TracedToolCall] = (),
    told: Sequence[tuple[str, Any, float]] = (),
    parts: Sequence[tuple[str, float, float]] = (("answered", 0.0, 100.0),),
) -> Trace:
    """A run of a capability task. A part is how it ended, its start and its end; the last one has the answer."""
    last = len(parts) - 1
    record = CapabilityRecord(
        parts=[
            TracedPart.model_validate(
                {
                    "ended": "error" if error and number == last else ended,
                    "answer": answer if number == last else "",
                    "error": error if number == last else None,
                    "start_s": start_s,
                    "end_s": end_s,
                }
            )
            for number, (ended, start_s, end_s) in enumerate(parts)
        ],
        told=[TracedTold(what=what, value=value, at_s=at_s) for what, value, at_s in told],
    )
    return Trace(
        key=Key(model="capabilities", framework="baseline", task=capability, case=case.id, trial=1),
        setup=setup(),
        case=json.loads(case.model_dump_json(exclude_defaults=True)),
        model_calls=list(calls),
        tool_calls=list(effects),
        outcome=RunOutcome(ended="error" if error else "answered", answer=answer, error=error),
        resources=Resources(wall_s=1.0),
        capability=record,
    )
