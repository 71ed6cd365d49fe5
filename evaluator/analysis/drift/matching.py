"""Which request of one run is to be read against which of another."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import orjson

from evaluator.trace import ModelCall, Trace
from evaluator.wire.canonical import canonical


@dataclass(frozen=True)
class Sent:
    """A chat request: as it was sent, and in canonical form. `number` is its place in the run, from 1."""

    number: int
    raw: dict[str, Any]
    request: dict[str, Any]

    @cached_property
    def form(self) -> bytes:
        """Equal for requests that are the same."""
        return orjson.dumps(self.request)

    @cached_property
    def words(self) -> Counter[str]:
        """How often each word stands in it."""
        return Counter(self.form.decode().split())

    def distance(self, other: "Sent") -> int:
        """How many words only one of two requests has."""
        return ((self.words - other.words) + (other.words - self.words)).total()


@dataclass(frozen=True)
class Matched:
    """The requests of two runs: in pairs, those that are gone, and those that have come."""

    pairs: tuple[tuple[Sent, Sent], ...]
    gone: tuple[Sent, ...]
    come: tuple[Sent, ...]


def sent(trace: Trace, given: frozenset[str]) -> list[Sent]:
    """The chat requests of a run in their order; `given` are the stamps that it was given."""
    calls = sorted(trace.chats, key=lambda call: call.start_s)
    return [Sent(number, _raw(call), _settled(canonical(_raw(call), given))) for number, call in enumerate(calls, 1)]


def _raw(call: ModelCall) -> dict[str, Any]:
    return call.request if isinstance(call.request, dict) else {}


def _settled(request: dict[str, Any]) -> dict[str, Any]:
    """The request with the results of one turn's tool calls in the order of the calls."""
    messages = request.get("messages")
    if not isinstance(messages, list):
        return request
    ordered: list[Any] = []
    for is_result, group in groupby(messages, key=_is_result):
        together = list(group)
        ordered += sorted(together, key=lambda one: str(one.get("tool_call_id"))) if is_result else together
    return {**request, "messages": ordered}


def _is_result(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "tool"


def matched(before: Sequence[Sent], after: Sequence[Sent]) -> Matched:
    """Pairs of requests: those that are the same, then those that share most words, then those nearest in place."""
    pairs: list[tuple[Sent, Sent]] = []
    waiting, left = list(before), []
    for one in after:
        same = next((other for other in waiting if other.form == one.form), None)
        if same is None:
            left.append(one)
        else:
            waiting.remove(same)
            pairs.append((same, one))
    ranked = sorted(
        (old.distance(new), abs(old.number - new.number), old.number, new.number) for old in waiting for new in left
    )
    old_by_number, new_by_number = {one.number: one for one in waiting}, {one.number: one for one in left}
    for _, _, old, new in ranked:
        if old in old_by_number and new in new_by_number:
            pairs.append((old_by_number.pop(old), new_by_number.pop(new)))
    return Matched(
        tuple(sorted(pairs, key=lambda pair: pair[0].number)),
        tuple(old_by_number.values()),
        tuple(new_by_number.values()),
    )
