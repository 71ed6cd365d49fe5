"""What drifted, in words: Markdown for people, and data for programs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evaluator.analysis.drift.runs import OUTCOME
from evaluator.analysis.drift.summary import Change, Drift, Example
from evaluator.text import shortened, visible

_MOST_CHANGES = 8
"""How many changes of one part are told."""

_MOST_TOOLS = 4
_MOST_PACKAGES = 6
_MOST_LINES = 40
_MOST_DIFFS = 8
_LONGEST = 200
"""Characters of an error, or of what is told of an example."""


def in_words(drift: Drift, title: str | None = None, notes: Sequence[str] = ()) -> list[str]:
    """Lines of Markdown: the tokens, then what changed, then a diff of an example of each.

    `title` is the framework's; `notes` are what else is to be known, told before the changes.

    Texts of frameworks stand in code alone, so that nothing in them is read as markup.
    """
    shown = list(_shown(drift.changes))
    with_diff = [change for change in shown if change.example.lines][:_MOST_DIFFS]
    lines = [f"**{title or drift.framework} {_versions(drift)}**: {_tokens(drift)}", "", _runs(drift)]
    for note in notes:
        lines += ["", note]
    if shown:
        lines += ["", *_bullets(drift, shown, with_diff)]
    for number, change in enumerate(with_diff, start=1):
        lines += ["", f"{number}. {_head(change)}, in {_where(change.example)}:", "", *_fenced(change.example.lines)]
    return lines


def _versions(drift: Drift) -> str:
    if drift.version_before != drift.version_after:
        return f"{drift.version_before} → {drift.version_after}"
    return f"{drift.version_after}, {'the same' if drift.same_lock else 'other'} packages"


def _tokens(drift: Drift) -> str:
    if not drift.changes:
        return f"sends the same, {drift.after.a_call:,.0f} tokens a call and {drift.after.a_run:,.0f} a run"
    before, after = drift.before, drift.after
    if not before.calls or not after.calls:
        return "no runs that ended alike made model calls, so tokens cannot be compared"
    words = [
        _became(before.a_call, after.a_call, "tokens a call"),
        _became(before.a_run, after.a_run, "a run"),
    ]
    if before.injected is not None and after.injected is not None:
        words.append(_became(before.injected, after.injected, "injected tokens a call"))
    parts = sorted({*before.parts, *after.parts})
    moved = {name: after.parts.get(name, 0) / after.calls - before.parts.get(name, 0) / before.calls for name in parts}
    where = [
        f"{name} {_signed(tokens)}"
        for name, tokens in sorted(moved.items(), key=lambda one: -abs(one[1]))
        if _signed(tokens) != "0"
    ]
    return ", ".join(words) + (f". A call: {', '.join(where)}" if where else "")


def _became(before: float, after: float, what: str) -> str:
    if _signed(after - before) == "0":
        return f"{_number(after)} {what} as before"
    return f"{_number(before)} {what} became {_number(after)} ({_signed(after - before)})"


def _number(tokens: float) -> str:
    return f"{tokens:,.0f}" if abs(tokens) >= 100 else f"{tokens:,.1f}".removesuffix(".0")


def _signed(tokens: float) -> str:
    """With its sign; `0` where it rounds to that."""
    digits = 0 if abs(tokens) >= 100 else 1
    return f"{tokens:+,.{digits}f}".removesuffix(".0").replace("-", "−") if round(tokens, digits) else "0"


def _runs(drift: Drift) -> str:
    total = sum(drift.runs.values())
    tasks = ", ".join(f"{count} of {task}" for task, count in drift.runs.items())
    ends = "All ended as before"
    if drift.broken or drift.mended:
        ends = ", ".join(
            f"{_of_runs(count)} {what}"
            for count, what in ((drift.broken, "no longer passed"), (drift.mended, "passed that did not before"))
            if count
        )
    elif any(change.part == OUTCOME for change in drift.changes):
        ends = "No run passed that failed before, or the other way round"
    alone = [
        f"{_of_runs(count)} from {when} had no counterpart"
        for count, when in ((drift.only_before, "before"), (drift.only_after, "after"))
        if count
    ]
    return (
        ". ".join([f"Compared: {_of_runs(total)} ({tasks})" if total else "Nothing could be compared", ends, *alone])
        + "."
    )


def _of_runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def _shown(changes: Sequence[Change]) -> Iterator[Change]:
    """The first changes of each part."""
    told: dict[str, int] = {}
    for change in changes:
        told[change.part] = told.get(change.part, 0) + 1
        if told[change.part] <= _MOST_CHANGES:
            yield change


def _bullets(drift: Drift, shown: Sequence[Change], with_diff: Sequence[Change]) -> Iterator[str]:
    for place, change in enumerate(shown):
        detail = f" ({_code(change.example.detail)})" if change.example.detail else ""
        which = f" [{with_diff.index(change) + 1}]" if change in with_diff else ""
        yield f"- {_head(change)}{detail}, {_in_runs(change.runs, drift.runs)}{_each(change)}{which}"
        is_last = place + 1 == len(shown) or shown[place + 1].part != change.part
        if is_last and (left := sum(one.part == change.part for one in drift.changes) - _MOST_CHANGES) > 0:
            yield f"- **{change.part}**: {left} more changes, each in fewer runs"


def _head(change: Change) -> str:
    """The part and what became of it; for tools, which."""
    names = [_code(name) for name in change.tools[:_MOST_TOOLS]]
    more = len(change.tools) - len(names)
    which = f" {', '.join(names)}" + (f" and {more} more" if more > 0 else "") if names else ""
    return f"**{change.part}**{which}: {change.what}"


def _in_runs(runs: Mapping[str, int], compared: Mapping[str, int]) -> str:
    """`in all 40 runs`, or task by task."""
    if dict(runs) == dict(compared):
        total = sum(compared.values())
        return "in the one run" if total == 1 else f"in all {total} runs"
    *others, last = (
        f"all {count} runs of {task}" if count == compared[task] else f"{count} of {compared[task]} runs of {task}"
        for task, count in runs.items()
    )
    return f"in {', '.join(others)} and {last}" if others else f"in {last}"


def _each(change: Change) -> str:
    if change.tokens is None or _signed(change.tokens) == "0":
        return ""
    what = "run" if change.example.call is None else "call"
    return f", {_signed(change.tokens)} tokens in each such {what}"


def _where(example: Example) -> str:
    call = f", call {example.call}" if example.call is not None else ""
    return f"{example.key.task} {_code(example.key.case)}{call}"


def _code(text: str) -> str:
    """Text of anybody's as code in a line of Markdown."""
    line = shortened(text, _LONGEST)
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    return f"{ticks} {line} {ticks}" if "`" in line else f"{ticks}{line}{ticks}"


def _fenced(lines: Sequence[str]) -> list[str]:
    shown = [visible(line) for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown.append(f"… and {len(lines) - _MOST_LINES} more")
    fence = "`" * max(3, *(len(run) + 1 for line in shown for run in re.findall(r"`+", line)), 3)
    return [f"{fence}diff", *shown, fence]


def as_data(drift: Drift) -> dict[str, Any]:
    """The same for programs."""
    data = asdict(drift)
    for side, tokens in (("before", drift.before), ("after", drift.after)):
        data[side] |= {"a_call": tokens.a_call, "a_run": tokens.a_run}
    for change, of in zip(data["changes"], drift.changes, strict=True):
        change["example"]["key"] = of.example.key.model_dump()
    return data


def packages_in_words(old: Mapping[str, str], new: Mapping[str, str], own: str) -> str:
    """The packages of which there are other versions, in a line: the framework's `own` and its namesakes first."""
    family = own.partition("-")[0]
    names = sorted({*old, *new}, key=lambda name: (name != own, not name.startswith(family), name))
    changed = [
        f"{name} {old.get(name, 'none')} → {new.get(name, 'none')}" for name in names if old.get(name) != new.get(name)
    ]
    more = f" and {len(changed) - _MOST_PACKAGES} more" if len(changed) > _MOST_PACKAGES else ""
    return f"Packages: {', '.join(changed[:_MOST_PACKAGES])}{more}." if changed else "Packages: the same."
