"""How two texts differ: as lines for a reader, and as what is told apart whatever the case."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

from evaluator.analysis.parity import TaskSpec
from evaluator.trace import Trace
from evaluator.wire.messages import completion_of
from evaluator.wire.tool_results import leaves

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


class Masks:
    """What belongs to a case and to what the model did, which is left out of account when changes are told apart."""

    def __init__(self, spec: TaskSpec | None, traces: Iterable[Trace]) -> None:
        masks: dict[str, str] = {}
        for trace in traces:
            said = [completion_of(call.response).text for call in trace.chats]
            values = [value for call in trace.tool_calls for value in leaves([call.arguments, call.result])]
            values += [call.error.partition(": ")[2] for call in trace.tool_calls if call.error]
            masks.update({value: "‹value›" for value in values if len(value) >= _SHORTEST or value.isdecimal()})
            masks.update({text.strip(): "‹reply›" for text in said})
        if spec is not None:
            masks.update({passage: "‹document›" for passage in spec.passages.values()})
            masks.update({agent.instructions: "‹instructions›" for agent in spec.agents})
            masks[spec.question] = "‹question›"
        self._masks = sorted(((text, mask) for text, mask in masks.items() if text), key=lambda one: -len(one[0]))

    def masked(self, text: str) -> str:
        """The text with a mark in place of each."""
        for known, mark in self._masks:
            text = text.replace(known, mark)
        return _REPEATED.sub(r"\1", _NUMBER.sub("‹value›", text))
