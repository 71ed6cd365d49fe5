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
from evaluator.wire.messages import calls_in, completion_of, messages_in
from evaluator.wire.tokens import text_of


@dataclass(frozen=True)
class Sent:
    """A chat request: as it was sent, and in canonical form. `number` is its place in the run, from 1.

    `asks` are the tools that the model asked for in its reply.
    """

    number: int
    raw: dict[str, Any]
    request: dict[str, Any]
    asks: tuple[str, ...] = ()

    @cached_property
    def history(self) -> list[tuple[str, ...]]:
        """The tools that were asked for before, as the request shows it: those of each message."""
        asked = (tuple(call.name for call in calls_in(message)) for message in messages_in(self.request))
        return [names for names in asked if names]

    @cached_property
    def form(self) -> bytes:
        """Equal for requests that are the same."""
        return orjson.dumps(self.request)

    @cached_property
    def words(self) -> Counter[str]:
        """How often each word stands in it."""
        return Counter(self.form.decode().split())

    @cached_property
    def instructions(self) -> list[str]:
        """What it says as the system or the developer: of which agent it is."""
        said = (one for one in messages_in(self.request) if one.get("role") in ("system", "developer"))
        return [text_of(message.get("content")) for message in said]

    def unlike(self, other: "Sent") -> tuple[bool, int, int]:
        """Whether the instructions differ, how many words only one of the two has, and how far apart they are."""
        words = ((self.words - other.words) + (other.words - self.words)).total()
        return self.instructions != other.instructions, words, abs(self.number - other.number)


@dataclass(frozen=True)
class Matched:
    """The requests of two runs: in pairs, those that are gone, and those that have come."""

    pairs: tuple[tuple[Sent, Sent], ...]
    gone: tuple[Sent, ...]
    come: tuple[Sent, ...]


def sent(trace: Trace, given: frozenset[str]) -> list[Sent]:
    """The chat requests of a run in their order; `given` are the stamps that it was given."""
    calls = sorted(trace.chats, key=lambda call: call.start_s)
    return [
        Sent(number, _raw(call), _settled(canonical(_raw(call), given)), _asks(call))
        for number, call in enumerate(calls, 1)
    ]


def _asks(call: ModelCall) -> tuple[str, ...]:
    return tuple(asked.name for asked in completion_of(call.response).calls)


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
    """Pairs of requests: those that are the same, then those of the same instructions that share most words, then those
    that share most words, and of these those nearest in place."""
    pairs: list[tuple[Sent, Sent]] = []
    waiting, left = list(before), []
    for one in after:
        same = next((other for other in waiting if other.form == one.form), None)
        if same is None:
            left.append(one)
        else:
            waiting.remove(same)
            pairs.append((same, one))
    ranked = sorted((*old.unlike(new), old.number, new.number) for old in waiting for new in left)
    old_by_number, new_by_number = {one.number: one for one in waiting}, {one.number: one for one in left}
    for *_, old, new in ranked:
        if old in old_by_number and new in new_by_number:
            pairs.append((old_by_number.pop(old), new_by_number.pop(new)))
    return Matched(
        tuple(sorted(pairs, key=lambda pair: pair[0].number)),
        tuple(old_by_number.values()),
        tuple(new_by_number.values()),
    )
