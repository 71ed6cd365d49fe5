"""What a server cannot take, and what is sent to it instead.

A quirk is a row of `QUIRKS`; an endpoint or a model of `models.toml` names those that it needs. Each is a
pure function from a request, of chat completions or of responses, to the request that goes upstream: the
very same object where there is nothing to change. Requests are never changed in place, for the trace keeps
what the framework sent, beside the names of the quirks that changed it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Request = dict[str, Any]


@dataclass(frozen=True)
class Quirk:
    """One row: the name used in `models.toml` and in traces, what it does in words, and the function."""

    name: str
    meaning: str
    function: Callable[[Request], Request]


def _without(*fields: str) -> Callable[[Request], Request]:
    """Leaves out top-level fields."""

    def change(request: Request) -> Request:
        if not any(name in request for name in fields):
            return request
        return {name: value for name, value in request.items() if name not in fields}

    return change


def _drop_empty_tools(request: Request) -> Request:
    if request.get("tools") != []:
        return request
    return _without("tools", "tool_choice", "parallel_tool_calls")(request)


def _drop_nulls(request: Request) -> Request:
    if all(value is not None for value in request.values()):
        return request
    return {name: value for name, value in request.items() if value is not None}


def _null_content_to_empty(request: Request) -> Request:
    return _with_messages(
        request,
        lambda message: {**message, "content": ""} if message.get("content", "") is None else message,
    )


def _join_text_parts(request: Request) -> Request:
    def joined(message: Request) -> Request:
        parts = message.get("content")
        if not isinstance(parts, list) or not all(_is_text(part) for part in parts):
            return message
        return {**message, "content": "\n".join(part["text"] for part in parts)}

    return _with_messages(request, joined)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _drop_message_names(request: Request) -> Request:
    return _with_messages(request, _without("name"))


def _developer_to_system(request: Request) -> Request:
    return _with_messages(
        request, lambda message: {**message, "role": "system"} if message.get("role") == "developer" else message
    )


def _with_messages(request: Request, change: Callable[[Request], Request]) -> Request:
    """The request with each message changed, or the request itself where none was."""
    return _with_items(request, "messages", change)


def _with_items(request: Request, field: str, change: Callable[[Request], Request]) -> Request:
    before = request.get(field)
    if not isinstance(before, list):
        return request
    after = [change(item) if isinstance(item, dict) else item for item in before]
    return request if all(new is old for new, old in zip(after, before, strict=True)) else {**request, field: after}


def _drop_strict(request: Request) -> Request:
    drop = _without("strict")

    def of_tool(tool: Request) -> Request:
        function = tool.get("function")
        tool = drop(tool)  # where responses have it
        if not isinstance(function, dict) or "strict" not in function:
            return tool
        return {**tool, "function": drop(function)}

    return _with_items(request, "tools", of_tool)


def _renamed(old: str, new: str) -> Callable[[Request], Request]:
    """Renames a top-level field in its place; where both are given, the new one stays and the old one goes."""

    def change(request: Request) -> Request:
        if old not in request:
            return request
        if new in request:
            return _without(old)(request)
        return {new if name == old else name: value for name, value in request.items()}

    return change


QUIRKS = (
    Quirk(
        "drop_empty_tools",
        "an empty list of tools is left out, and what only goes with tools too",
        _drop_empty_tools,
    ),
    Quirk("drop_nulls", "fields of the request that are null are left out", _drop_nulls),
    Quirk("null_content_to_empty", "a message's content that is null becomes an empty text", _null_content_to_empty),
    Quirk("join_text_parts", "text given as a list of parts becomes one text, a line each", _join_text_parts),
    Quirk("drop_message_names", "`name` is left out of messages", _drop_message_names),
    Quirk("developer_to_system", "messages of the role `developer` get the role `system`", _developer_to_system),
    Quirk("drop_strict", "`strict` is left out of tools", _drop_strict),
    Quirk("drop_parallel_tool_calls", "`parallel_tool_calls` is left out", _without("parallel_tool_calls")),
    Quirk("drop_stream_options", "`stream_options` is left out", _without("stream_options")),
    Quirk(
        "max_completion_tokens",
        "`max_tokens` is sent as `max_completion_tokens`",
        _renamed("max_tokens", "max_completion_tokens"),
    ),
    Quirk(
        "max_tokens",
        "`max_completion_tokens` is sent as `max_tokens`",
        _renamed("max_completion_tokens", "max_tokens"),
    ),
    Quirk("drop_temperature", "`temperature` is left out: the model has one that is fixed", _without("temperature")),
)

BY_NAME = {quirk.name: quirk for quirk in QUIRKS}


def applied(names: Sequence[str], request: Request) -> tuple[Request, list[str]]:
    """The request as these quirks leave it, in their order, and the names of those that changed it."""
    changes = []
    for name in names:
        changed = BY_NAME[name].function(request)
        if changed is not request:
            changes.append(name)
        request = changed
    return request, changes
