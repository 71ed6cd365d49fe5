"""Tool calls that the model asked for, as replies and messages have them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from evaluator.trace import TracedToolCall
from evaluator.wire import messages
from evaluator.wire.tokens import written


@dataclass(frozen=True)
class Asked:
    """A tool call that the model asked for; `written` are its arguments as they were written."""

    id: str | None
    name: str
    arguments: Any
    written: str


def calls_in(message: Mapping[str, Any]) -> list[Asked]:
    """The calls of a message, in their order."""
    return [
        Asked(call.id, call.name, _parsed(call.arguments), written(call.arguments))
        for call in messages.calls_in(message)
    ]


def _parsed(arguments: Any) -> Any:
    """Arguments as data: an empty object where there are none, the text where it is no JSON."""
    if arguments and not isinstance(arguments, str):
        return arguments  # some servers write data in place of its text
    try:
        return orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return arguments


def searched_for(call: Asked) -> str:
    """The query of a search: the first argument that is text, whatever the framework calls it."""
    values = call.arguments.values() if isinstance(call.arguments, dict) else ()
    return next((value for value in values if isinstance(value, str)), "")


def as_json(value: Any) -> str:
    """The value as text, the same whatever the order of its keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def same(asked: Asked, shown: Asked) -> bool:
    """Whether a call that a request shows is one that the model asked for; a framework may give it another id."""
    return asked.name == shown.name and (asked.id == shown.id or asked.arguments == shown.arguments)


def taken(made: list[TracedToolCall], asked: Asked, defaults: Mapping[str, Any]) -> TracedToolCall | None:
    """The recorded call that answers `asked`, taken out of `made`, where calls stand in the order in which they ran.

    Rather one with the same arguments, then one that has more of them, then one of the same tool. A recorded call has
    all arguments: those that the model left out are the tool's `defaults`.
    """
    alike = [call for call in made if call.name == asked.name]
    wanted = asked.arguments if isinstance(asked.arguments, dict) else {}
    same_arguments = (call for call in alike if call.arguments == {**defaults, **wanted})
    with_more = (call for call in alike if all(call.arguments.get(name) == value for name, value in wanted.items()))
    call = next(chain(same_arguments, with_more, alike), None)
    if call is not None:
        made.remove(call)
    return call


def complaint(call: TracedToolCall) -> str | None:
    """The words of a tool's error, without its type."""
    return call.error.partition(": ")[2] if call.error is not None else None
