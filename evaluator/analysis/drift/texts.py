"""How two texts differ: as lines for a reader, and as what is told apart whatever the case."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import orjson

from evaluator.analysis.parity import TaskSpec
from evaluator.analysis.parity.calls import complaint
from evaluator.trace import Trace
from evaluator.wire.messages import completion_of
from evaluator.wire.tool_results import leaves, result_changes

_LONG_LINE = 120
"""Characters; longer lines are shown sentence by sentence."""

_WIDEST = 200
_KEPT_AROUND = 50
"""Characters that are shown on either side of what differs in a line wider than that."""

_SENTENCE_END = re.compile(r"(?<=[.!?;]) +")
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?")
_REPEATED = re.compile(r"(‹\w+›)(?:[\s,;:'\"{}\[\]-]*\1)+")
_SHORTEST = 3
"""Characters of a value that can be told from a word by chance."""


def diff(before: str, after: str) -> tuple[str, ...]:
    """The lines that differ as a unified diff has them, without its heads."""
    lines = list(difflib.unified_diff(_lines(before), _lines(after), n=1, lineterm=""))[2:]
    return tuple(_narrowed([line for line in lines if not line.startswith("@@")]))


def changed_lines(lines: Iterable[str]) -> frozenset[str]:
    """Those lines of a diff that came or went."""
    return frozenset(line for line in lines if line[:1] in "+-")


def counted(before: str, after: str) -> str:
    """How many lines were added, went or changed, in words."""
    came = gone = changed = 0
    old, new = before.splitlines(), after.splitlines()
    for _, i, i_end, j, j_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if old[i:i_end] != new[j:j_end]:
            both = min(i_end - i, j_end - j)
            changed, gone, came = changed + both, gone + i_end - i - both, came + j_end - j - both
    words = [f"{_of_lines(n)} {what}" for n, what in ((came, "added"), (gone, "gone"), (changed, "changed")) if n]
    return ", ".join(words) or "other line ends"


def _of_lines(number: int) -> str:
    return "1 line" if number == 1 else f"{number} lines"


def _lines(text: str) -> list[str]:
    return [
        part for line in text.splitlines() for part in (_SENTENCE_END.split(line) if len(line) > _LONG_LINE else [line])
    ]


def _narrowed(lines: Sequence[str]) -> Iterator[str]:
    """Wide lines cut to what differs between a line that went and the one that came in its place."""
    place = 0
    while place < len(lines):
        gone = _block(lines, place, "-")
        come = _block(lines, place + len(gone), "+")
        if not gone and not come:
            yield _cut(lines[place])
            place += 1
            continue
        if len(gone) == len(come):
            narrowed = [_beside(old, new) for old, new in zip(gone, come, strict=True)]
            yield from (old for old, _ in narrowed)
            yield from (new for _, new in narrowed)
        else:
            yield from map(_cut, (*gone, *come))
        place += len(gone) + len(come)


def _block(lines: Sequence[str], start: int, mark: str) -> list[str]:
    end = start
    while end < len(lines) and lines[end].startswith(mark):
        end += 1
    return list(lines[start:end])


def _beside(old: str, new: str) -> tuple[str, str]:
    if max(len(old), len(new)) <= _WIDEST:
        return old, new
    a, b = old[1:], new[1:]
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    start = max(0, start - _KEPT_AROUND)
    return _cut(f"-{'…' if start else ''}{a[start:]}"), _cut(f"+{'…' if start else ''}{b[start:]}")


def _cut(line: str) -> str:
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


class Known:
    """What is known of two runs of one case, to tell what a framework sends from what is the case's, the tools' and the
    model's.

    `unsettled` are the tools that gave something else in one run than in the other, as those do that are called at the
    same time as one that changes what they read.
    """

    def __init__(self, spec: TaskSpec | None, before: Trace, after: Trace) -> None:
        self._calls = [*before.tool_calls, *after.tool_calls]
        old, new = (
            Counter((call.name, orjson.dumps([call.arguments, call.result, call.error])) for call in trace.tool_calls)
            for trace in (before, after)
        )
        self.unsettled = frozenset(name for name, _ in (old - new) + (new - old))
        masks = {text: mask for text, mask in self._texts(spec, (before, after)) if text}
        self._masks = sorted(masks.items(), key=lambda one: -len(one[0]))

    def _texts(self, spec: TaskSpec | None, traces: Iterable[Trace]) -> Iterator[tuple[str, str]]:
        for call in self._calls:
            values = [*leaves([call.arguments, call.result]), (call.error or "").partition(": ")[2]]
            yield from ((value, "‹value›") for value in values if len(value) >= _SHORTEST or value.isdecimal())
        for trace in traces:
            yield from ((completion_of(call.response).text.strip(), "‹reply›") for call in trace.chats)
        if spec is not None:
            yield from ((passage, "‹document›") for passage in spec.passages.values())
            for agent in spec.agents:
                yield from ((when.strip().rstrip("."), "‹description›") for when in agent.handover.targets.values())
                yield agent.instructions, "‹instructions›"
            yield spec.question, "‹question›"

    def masked(self, text: str) -> str:
        """The text with a mark in place of what belongs to the case, the tools and the model."""
        for known, mark in self._masks:
            text = text.replace(known, mark)
        return _REPEATED.sub(r"\1", _NUMBER.sub("‹value›", text))

    def told_as(self, tool: str, text: str) -> str | None:
        """How a text tells what a tool gave: `plain JSON`, or what differs from that; None where it tells no result."""
        ways = (result_changes(call.result, complaint(call), text) for call in self._calls if call.name == tool)
        telling = sorted((way for way in ways if not _NO_RESULT & {*way}), key=len)
        return (", ".join(telling[0]) or "plain JSON") if telling else None


_NO_RESULT = {"other content", "error lost"}
