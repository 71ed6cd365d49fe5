"""Tool calls that the model asked for, as replies and messages have them."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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


def alike(value: Any) -> Hashable:
    """A value that equals another one's exactly where the two JSON values are equal: 4 and 4.0 are."""
    if isinstance(value, dict):
        return frozenset((name, alike(item)) for name, item in value.items())
    if isinstance(value, list):
        return tuple(map(alike, value))
    plain: Hashable = value
    return plain


T = TypeVar("T")


class Waiting(Generic[T]):
    """Things that wait in a row. Each goes once, and is found by any of its marks without looking at the others.

    A reply may ask for thousands of calls; looking through all of them for each would take hours.
    """

    def __init__(self, things: Iterable[T], marks: Callable[[T], Iterable[Hashable]]) -> None:
        self._things: list[T | None] = list(things)
        self._places: dict[Hashable, deque[int]] = {}
        for place in range(len(self._things)):
            self._put(place, marks)

    def mark(self, marks: Callable[[T], Iterable[Hashable]]) -> None:
        """Give those that still wait further marks."""
        for place in range(len(self._things)):
            self._put(place, marks)

    def _put(self, place: int, marks: Callable[[T], Iterable[Hashable]]) -> None:
        if (thing := self._things[place]) is not None:
            for mark in marks(thing):
                self._places.setdefault(mark, deque()).append(place)

    def take(self, *marks: Hashable) -> T | None:
        """The first thing with any of these marks, which then waits no longer; None where there is none."""
        first = min((place for mark in marks if (place := self._first(mark)) is not None), default=None)
        if first is None:
            return None
        thing, self._things[first] = self._things[first], None
        return thing

    def _first(self, mark: Hashable) -> int | None:
        places = self._places.get(mark)
        while places and self._things[places[0]] is None:
            places.popleft()
        return places[0] if places else None

    def rest(self) -> list[T]:
        """Those that still wait, in their order."""
        return [thing for thing in self._things if thing is not None]


def shown_marks(call: Asked) -> tuple[Hashable, Hashable]:
    """What a call that the model asked for is known by where a request shows it; a framework may give it another id."""
    return ("id", call.name, call.id), ("arguments", call.name, alike(call.arguments))


class Made:
    """The recorded calls of a run that have not been told yet, in the order in which they ran."""

    def __init__(self, calls: Iterable[TracedToolCall]) -> None:
        self._waiting = Waiting(
            calls, lambda call: (("tool", call.name), ("exactly", call.name, alike(call.arguments)))
        )
        self._names: dict[str, set[str]] = {}
        for call in self._waiting.rest():
            self._names.setdefault(call.name, set()).update(call.arguments)
        self._marked: dict[str, set[frozenset[str]]] = {}

    def take(self, asked: Asked, defaults: Mapping[str, Any]) -> TracedToolCall | None:
        """The recorded call that answers `asked`, taken out.

        Rather one with the same arguments, then one that has more of them, then one of the same tool. A recorded call
        has all arguments: those that the model left out are the tool's `defaults`.
        """
        wanted = asked.arguments if isinstance(asked.arguments, dict) else {}
        return (
            self._waiting.take(("exactly", asked.name, alike({**defaults, **wanted})))
            or self._with_more(asked.name, wanted)
            or self._waiting.take(("tool", asked.name))
        )

    def _with_more(self, tool: str, wanted: Mapping[str, Any]) -> TracedToolCall | None:
        """A call of the tool that has all that is wanted; null and absent are the same."""
        known = self._names.get(tool, set())
        if any(value is not None for name, value in wanted.items() if name not in known):
            return None
        names = frozenset(known & wanted.keys())
        marked = self._marked.setdefault(tool, set())
        if names not in marked:
            if len(marked) >= _MOST_SHAPES:
                return None
            marked.add(names)
            self._waiting.mark(lambda call: [_with(call.name, names, call.arguments)] if call.name == tool else [])
        return self._waiting.take(_with(tool, names, wanted))

    def rest(self) -> list[TracedToolCall]:
        """The calls that nothing was told of so far."""
        return self._waiting.rest()


_MOST_SHAPES = 50
"""How many sets of names the arguments of one tool may have where a call is looked for that has more of them. No model
that does well has as many."""


def _with(tool: str, names: Iterable[str], arguments: Mapping[str, Any]) -> Hashable:
    return "with", tool, frozenset((name, alike(arguments.get(name))) for name in names)


def complaint(call: TracedToolCall) -> str | None:
    """The words of a tool's error, without its type."""
    return call.error.partition(": ")[2] if call.error is not None else None
