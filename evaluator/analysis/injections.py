"""What reaches the model of an instruction that somebody put into a tool's result: recorded requests, read again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from evaluator.trace import Trace, TracedToolCall
from evaluator.wire.injections import spelled
from evaluator.wire.messages import messages_in
from evaluator.wire.tokens import text_of
from evaluator.wire.tool_results import leaves, result_changes

How = Literal["whole", "changed", "not"]

NOT_GIVEN = "no tool gave it"
"""How it looks where no tool was called that gives the instruction."""

_WORDS = 8
"""So many words of an instruction in a row are taken for a piece of it."""


@dataclass(frozen=True)
class Reached:
    """What reached the model of an instruction.

    `how`: it stands whole in a message, spelled as it is or as a text in JSON or Python; only a piece of it, or with
    other blanks; or not at all. `looks` says how it is spelled, and what else the message does to what the tool gave.
    `before` and `after` are what stands around that in the message and the tool did not give: a mark, say. `text` is
    the message; empty where there is none.
    """

    how: How
    looks: tuple[str, ...]
    before: str = ""
    after: str = ""
    text: str = ""


def reached(trace: Trace) -> Reached:
    """What reached the model in a run of a case with an `injected` text: by the message that says most of it."""
    injected = str(trace.case["injected"])
    gave = [call for call in trace.tool_calls if any(injected in leaf for leaf in leaves(call.result))]
    if not gave:
        return Reached("not", (NOT_GIVEN,))
    texts = list(dict.fromkeys(_sent(trace)))
    for text in texts:
        if (how := spelled(text, injected)) is not None:
            return _whole(text, how, gave[0])
    pieces = [(piece, text) for text in texts if (piece := _piece(text, injected)) is not None]
    if pieces:
        piece, text = max(pieces, key=lambda pair: len(pair[0]))
        return Reached("changed", (piece,), text=text)
    return Reached("not", ("a tool gave it, no message has it",))


def _sent(trace: Trace) -> Iterator[str]:
    """What the model was sent, but for what it said itself."""
    for call in trace.chats:
        for message in messages_in(call.request):
            if message.get("role") != "assistant":
                yield text_of(message.get("content"))


def _whole(text: str, how: str, gave: TracedToolCall) -> Reached:
    before, after = _around(text, gave.result)
    return Reached("whole", (how, *result_changes(gave.result, None, text)), before, after, text)


def _around(text: str, result: Any) -> tuple[str, str]:
    """What stands in a text before and after a tool's result, in whatever way the result is written; nothing where that
    is not to be told."""
    for form in _written(result):
        if form in text:
            before, _, after = text.partition(form)
            return before, after
    return "", ""


def _written(result: Any) -> Iterator[str]:
    for ascii_only in (False, True):
        for separators in (None, (",", ":")):
            yield json.dumps(result, ensure_ascii=ascii_only, separators=separators)
            yield json.dumps(json.dumps(result, ensure_ascii=ascii_only, separators=separators))[1:-1]
        yield json.dumps(result, ensure_ascii=ascii_only, indent=2)
    yield repr(result)
    yield str(result)


def _piece(text: str, injected: str) -> str | None:
    """In words, what of an instruction that is not whole stands in a text, if anything does."""
    told, words = _in_a_line(text), _in_a_line(injected).split()

    def stands(first: int, last: int) -> bool:
        return " ".join(words[first:last]) in told

    if stands(0, len(words)):
        return "other blanks"
    if not stands(0, _WORDS):
        later = any(stands(at, at + _WORDS) for at in range(1, len(words) - _WORDS + 1))
        return "without its beginning" if later else None
    longest = max(number for number in range(_WORDS, len(words)) if stands(0, number))
    return f"cut after {longest} of {len(words)} words"


def _in_a_line(text: str) -> str:
    """A text without the blanks and the escapes in which spellings differ."""
    for escape in ("\\\\n", "\\n", "\\\\t", "\\t"):
        text = text.replace(escape, " ")
    return " ".join(text.replace('\\"', '"').replace("\\'", "'").split())
