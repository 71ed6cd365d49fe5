"""What is right: a server's tools are shown to the model as they are, each call reaches the server, and nothing stays.

What reached the server, and what it said, is read from its own log.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.capability import Check, Observed, Request, finished, shown, times
from tasks.mcp.spec import McpCase
from tasks.mcp.tool import ADDED, NAME

DEATH_NOTICED_S = 25.0
"""Seconds within which a run whose server dies must end: more than a call of a tool may take."""

MOST_TRIES = 3
"""How often a call whose server dies may be tried, each time with a new server."""

NOTHING = frozenset({"", "null", "none", "[]", "{}"})
"""What a result may be that tells the model nothing."""


def observe(case: McpCase, observed: Observed) -> list[Check]:
    """The checks of one run."""
    checks = [_called(case, observed), _as_listed(observed)]
    if case.behaviour == "changes":
        checks.append(_change_shown(observed))
    if case.behaviour == "dies":
        checks += [_ends_in_time(observed), _failure_told(case, observed)]
    else:
        checks.append(finished(observed, case.answer))
    left = observed.children
    are_left = "a process is" if left == 1 else f"{left} processes are"
    return [*checks, Check(name="nothing left behind", held=left == 0, reason=f"{are_left} left behind")]


def _called(case: McpCase, observed: Observed) -> Check:
    """Whether the server was called as asked for, and no more; one that dies may be tried again."""
    wanted = sorted(_as_text(step.tool, step.arguments) for turn in case.turns for step in turn)
    calls = [frame.get("params") or {} for frame in observed.frames if _is(frame, "in", "tools/call")]
    made = sorted(_as_text(str(call.get("name")), call.get("arguments") or {}) for call in calls)
    if case.behaviour == "dies" and made and {*made} == {*wanted}:
        return Check(
            name="called as asked for",
            held=len(made) <= MOST_TRIES,
            reason=f"the server that dies was called {times(len(made))}",
        )
    return Check(
        name="called as asked for",
        held=made == wanted,
        reason=f"the server was called with {_listed(made)}, where {_listed(wanted)} was asked for",
    )


def _as_listed(observed: Observed) -> Check:
    """Whether the model is first shown the tool as the server first listed it; its name may have more before it."""
    tools = [tool for listing in _listings(observed) for tool in listing if tool["name"] == NAME]
    offered = _offered(observed.requests[0]) if observed.requests else None
    if not tools:
        reason = "the server was not asked for its tools"
    elif offered is None:
        reason = "the model is not shown the tool"
    else:
        reason = _difference(tools[0], offered)
    return Check(name="shown as listed", held=not reason, reason=reason)


def _difference(tool: Mapping[str, Any], offered: Mapping[str, Any]) -> str:
    """What the model is shown otherwise than the server listed it; empty where that is nothing."""
    if tool["description"] not in (offered.get("description") or ""):
        return "the model is not shown the description of the tool"
    listed, sent = tool["inputSchema"], offered.get("parameters") or {}
    wanted, properties = listed["properties"], sent.get("properties") or {}
    if wanted.keys() != properties.keys():
        return f"the model is shown the parameters {_listed(properties)}, where the server has {_listed(wanted)}"
    for name, parameter in wanted.items():
        if properties[name].get("type") != parameter["type"]:
            return f"the model is shown {name} as {shown(properties[name])}, where the server has {parameter['type']}"
        if parameter["description"] not in (properties[name].get("description") or ""):
            return f"the model is not shown the description of {name}"
    if {*listed["required"]} != {*(sent.get("required") or [])}:
        required = _listed(sent.get("required") or [])
        return f"the model is shown {required} as required, where the server requires {_listed(listed['required'])}"
    return ""


def _change_shown(observed: Observed) -> Check:
    """Whether the last request after the change has the new description."""
    later = _after_a_call(observed)
    offered = _offered(later[-1]) if later else None
    return Check(
        name="the change is shown",
        held=offered is not None and ADDED in (offered.get("description") or ""),
        reason="the model is still shown the old description" if offered else "the model is not shown the tool again",
    )


def _ends_in_time(observed: Observed) -> Check:
    took = observed.parts[-1].end_s - observed.parts[0].start_s if observed.parts else 0.0
    return Check(
        name="ends in time",
        held=took <= DEATH_NOTICED_S,
        reason=f"it ends {took:.0f} s after it began, although the server dies at once",
    )


def _failure_told(case: McpCase, observed: Observed) -> Check:
    """Whether the model was told of an error and answered, or the run ended with one, which is no time-out."""
    ended = observed.parts[-1].ended if observed.parts else "nothing"
    if ended == "answered":
        later = _after_a_call(observed)
        if later and not any(_results(request) for request in later):
            return Check(name="the failure is told", held=False, reason="the model is told nothing of the failure")
        return finished(observed, case.answer).model_copy(update={"name": "the failure is told"})
    error = observed.error or ""
    words = error.partition(": ")[2] if ": " in error else error  # the type of an exception alone says nothing
    late = any(word in error.lower() for word in ("timeout", "time-out", "timed out"))
    if ended == "timeout" or late:
        reason = f"it waits until a time-out ends it: {error}"
    else:
        reason = f"it ends without saying why: {error or ended}"
    return Check(name="the failure is told", held=ended == "error" and bool(words.strip()) and not late, reason=reason)


def _is(frame: Mapping[str, Any], direction: str, method: str) -> bool:
    return frame["direction"] == direction and frame.get("method") == method


def _listings(observed: Observed) -> list[list[dict[str, Any]]]:
    """The tools that the server told of, each time that it was asked."""
    answers = [frame for frame in observed.frames if _is(frame, "out", "tools/list") and "result" in frame]
    return [frame["result"]["tools"] for frame in answers]


def _offered(request: Request) -> Mapping[str, Any] | None:
    """The server's tool as a request offers it to the model, if it does."""
    functions = (tool.get("function") or {} for tool in request.body.get("tools") or [])
    return next((function for function in functions if str(function.get("name")).endswith(NAME)), None)


def _after_a_call(observed: Observed) -> list[Request]:
    """The requests that have an answer of the model's in them."""
    return [
        request
        for request in observed.requests
        if any(message.get("role") == "assistant" for message in request.body.get("messages") or [])
    ]


def _results(request: Request) -> list[str]:
    """What a request says after the model's last answer, where that is anything."""
    said: list[str] = []
    for message in request.body.get("messages") or []:
        if message.get("role") == "assistant":
            said.clear()
        else:
            said.append(_text(message.get("content")))
    return [text for text in said if text.strip().lower() not in NOTHING]


def _text(content: Any) -> str:
    """The text of a message, which is a text or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content or [] if isinstance(part, dict))


def _as_text(tool: str, arguments: Mapping[str, Any]) -> str:
    return f"{tool} {shown(arguments)}"


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return " and ".join(names) or "nothing"
