"""When two requests to a model are the same, and in words how they differ.

Two requests are the same if nothing tells them apart but the order of keys, the ids of tool calls (the
same id in all its places), and the uuids and times that a framework made up. All else counts, down to
a blank and the order of tools.
"""

import difflib
import re
from collections.abc import Iterator
from typing import Any

import orjson

from evaluator.trace import Trace
from evaluator.wire.messages import completion_of

_UUID = r"[0-9a-f]{8}-?[0-9a-f]{4}-?[1-8][0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}"
_TIME = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
_STAMP = re.compile(rf"(?<![0-9a-z])(?:(?P<uuid>{_UUID})|{_TIME})(?![0-9a-z])", re.IGNORECASE)
_TIME_FIELDS = frozenset({"created", "created_at", "timestamp"})
"""Fields whose number is a time."""

_CALL_ID_FIELDS = frozenset({"tool_call_id", "call_id"})
_AS_IT_IS = frozenset({"tools", "response_format"})
"""Parts of a request in which no framework has a reason to make up ids or times."""

_EXCERPT = 60
_BEFORE = 20


def stamps(text: str) -> frozenset[str]:
    """The uuids and times that stand in a text."""
    return frozenset(match[0] for match in _STAMP.finditer(text))


def stamps_given(trace: Trace, text: str) -> frozenset[str]:
    """The uuids and times that a run was given: by its task, of which `text` has what the case does not, by its tools,
    and by its model."""
    texts = [text, orjson.dumps(trace.case).decode(), *(call.model_dump_json() for call in trace.tool_calls)]
    for call in trace.chats:
        message = completion_of(call.response).message
        # Where there is none it is an error, say.
        texts.append(str(call.response) if message is None else orjson.dumps(message).decode())
    return stamps("\n".join(texts))


def canonical(request: dict[str, Any], given: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The request with sorted keys, and with what a framework makes up replaced by what it is.

    Ids of tool calls, and uuids, are numbered in the order in which they first appear. `given` are the
    stamps that a run was given, by its task, its tools or its model: they stay. Raises `RecursionError`
    where the request is nested hundreds of levels deep.
    """
    names = _Names(given)
    return {
        key: _sorted(request[key]) if key in _AS_IT_IS else names.replaced(request[key], key) for key in sorted(request)
    }


def canonical_bytes(request: dict[str, Any], given: frozenset[str] = frozenset()) -> bytes:
    """The canonical request as JSON: equal for requests that are the same, and for no others.

    Raises `RecursionError` or `TypeError` where the request is nested too deep.
    """
    return orjson.dumps(canonical(request, given))


class _Names:
    """What the ids of one request have been replaced by so far."""

    def __init__(self, given: frozenset[str]) -> None:
        self._given = given
        self._call_ids: dict[str, str] = {}
        self._uuids: dict[str, str] = {}

    def replaced(self, value: Any, key: str = "", in_tool_calls: bool = False) -> Any:
        """The value of a field, or of an element of the list there, in canonical form."""
        if isinstance(value, str):
            return self._call_id(value) if key in _CALL_ID_FIELDS else _STAMP.sub(self._stamp, value)
        if isinstance(value, list):
            return [self.replaced(item, "", key == "tool_calls") for item in value]
        if isinstance(value, dict):
            is_call = in_tool_calls or value.get("type") == "function_call"
            return {
                name: self.replaced(value[name], "call_id" if is_call and name == "id" else name)
                for name in sorted(value)
            }
        if key in _TIME_FIELDS and isinstance(value, int | float) and not isinstance(value, bool):
            return "<time>"
        return value

    def _call_id(self, call_id: str) -> str:
        return self._call_ids.setdefault(call_id, f"<call {len(self._call_ids) + 1}>")

    def _stamp(self, match: re.Match[str]) -> str:
        if match[0] in self._given:
            return match[0]
        if match["uuid"] is None:
            return "<time>"
        return self._uuids.setdefault(match[0].lower(), f"<uuid {len(self._uuids) + 1}>")


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


# --- how two requests differ -----------------------------------------------------------------


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """In words, each place where `new` differs from `old`; a place is a JSON path such as `messages[0].content`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            place = f"{path}.{key}" if path else key
            if key not in new:
                yield f"{place} was left out"
            elif key not in old:
                yield f"{place} was added: {_shown(new[key])}"
            else:
                yield from differences(old[key], new[key], place)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_differences(old, new, path)
    elif orjson.dumps(old) == orjson.dumps(new):
        return
    elif isinstance(old, str) and isinstance(new, str):
        start = _first_difference(old, new)
        yield f"{path}: {_excerpt(old, start)} became {_excerpt(new, start)}"
    else:
        yield f"{path}: {_shown(old)} became {_shown(new)}"


def _list_differences(old: list[Any], new: list[Any], path: str) -> Iterator[str]:
    """Elements that were added or left out are told as such, so that those behind them do not differ, too."""
    before, after = [orjson.dumps(item) for item in old], [orjson.dumps(item) for item in new]
    for what, i, i_end, j, j_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        for number in range(max(i_end - i, j_end - j)):
            if i + number >= i_end:
                yield f"{path}[{j + number}] was added: {_shown(new[j + number])}"
            elif j + number >= j_end:
                yield f"{path}[{i + number}] was left out: {_shown(old[i + number])}"
            else:
                yield from differences(old[i + number], new[j + number], f"{path}[{j + number}]")


def _first_difference(old: str, new: str) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (one, other) in pairs if one != other), min(len(old), len(new)))


def _excerpt(text: str, place: int) -> str:
    """The text around a place, quoted."""
    start = max(0, place - _BEFORE)
    end = start + _EXCERPT
    return f"'{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}'"


def _shown(value: Any) -> str:
    return _excerpt(value, 0) if isinstance(value, str) else _excerpt(orjson.dumps(value).decode(), 0).strip("'")
