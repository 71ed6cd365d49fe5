"""What `bakeoff doctor` tells: one line for each check, in words, with what it means and what to do.

The checks themselves are rows of two tables: `evaluator/doctor/machine.py` has those of this
machine, `evaluator/doctor/model.py` those of a model.
"""

import textwrap
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.text import Text

_TITLE_WIDTH = 34
_VERDICT_WIDTH = 15
_NARROWEST = 30
"""Columns that what was found needs beside these two."""
_INDENT = 6


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    LIMITED = "limited"
    """It works, with a limitation."""
    FAILS = "fails"
    NOT_APPLICABLE = "not applicable"
    NOT_MADE = "not made"
    """It could not be made: no time was left, or what it builds on fails."""


_COLOURS = {
    Verdict.OK: "green",
    Verdict.LIMITED: "yellow",
    Verdict.FAILS: "bold red",
    Verdict.NOT_APPLICABLE: "dim",
    Verdict.NOT_MADE: "yellow",
}


@dataclass(frozen=True)
class Finding:
    """What a check found, in words; `measured` has its figures by name, the unit in the name.

    `todo` and `means` take the place of what the check says in general.
    """

    verdict: Verdict
    found: str
    todo: str = ""
    means: str = ""
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A check that was made: what it is called, what it found, what that means and what to do.

    `needed` is whether runs fail where it fails; `sent_by` names the frameworks whose recorded runs
    have what was checked.
    """

    name: str
    title: str
    finding: Finding
    means: str = ""
    todo: str = ""
    needed: bool = True
    sent_by: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What to do; what the check advises in general only where it shows a limitation or fails."""
        shows = self.finding.verdict in (Verdict.LIMITED, Verdict.FAILS)
        return self.finding.todo or (self.todo if shows else "")

    @property
    def failed(self) -> bool:
        """Whether this alone makes runs fail."""
        return self.needed and self.finding.verdict is Verdict.FAILS


Begun = Callable[[str], None]
"""Called with the title of each check that is about to be made."""

Examine = Callable[[Begun], AsyncIterator[Result]]
"""Makes checks, and gives each result as soon as it is there."""


async def tell(console: Console, subject: str, examine: Examine, as_json: bool) -> bool:
    """Make the checks, print each result as it comes (or all as JSON at the end); whether runs can be made."""
    start, results = time.monotonic(), []
    # A line that stands only while a check is made, and only on a terminal.
    with Console(stderr=True).status("checking") as status:
        async for result in examine(lambda title: status.update(f"checking: {title}")):
            results.append(result)
            if not as_json:
                print_result(console, result)
    seconds = time.monotonic() - start
    if as_json:
        console.print_json(data=as_data(subject, results, seconds))
    else:
        console.print(f"\n{summary(subject, results, seconds)}", highlight=False, soft_wrap=True, markup=False)
    return not any(result.failed for result in results)


def print_result(console: Console, result: Result) -> None:
    """One line, and where it is not in order, what it means and what to do about it."""
    verdict = result.finding.verdict
    margin = _TITLE_WIDTH + _VERDICT_WIDTH
    if console.width >= margin + _NARROWEST:
        line = Text(f"{result.title:<{_TITLE_WIDTH}}")
        line.append(f"{verdict.value:<{_VERDICT_WIDTH}}", style=_COLOURS[verdict])
        line.append(_hanging(result.finding.found, console.width, margin))
    else:  # one under the other
        line = Text(f"{result.title}: ")
        line.append(verdict.value, style=_COLOURS[verdict])
        line.append(_paragraph(result.finding.found, console.width))
    if verdict in (Verdict.LIMITED, Verdict.FAILS):
        if result.sent_by:
            line.append(_paragraph(f"sent by: {', '.join(result.sent_by)}", console.width))
        line.append(_paragraph(f"means: {result.means}", console.width))
    if verdict is not Verdict.OK and (todo := result.advice):
        line.append(_paragraph(f"do: {todo}", console.width))
    console.print(line, highlight=False, soft_wrap=True)


def _hanging(text: str, width: int, margin: int) -> str:
    lines = textwrap.wrap(text, width - margin, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * margin).join(lines)


def _paragraph(text: str, width: int) -> str:
    lines = textwrap.wrap(text, max(width - _INDENT, 10), break_long_words=False, break_on_hyphens=False)
    return "".join(f"\n{' ' * _INDENT}{line}" for line in lines)


def summary(subject: str, results: Sequence[Result], seconds: float) -> str:
    """How many checks ended in which way, and what follows for runs: one or two sentences."""
    counts = {verdict: sum(result.finding.verdict is verdict for result in results) for verdict in Verdict}
    told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    failed = [result.title for result in results if result.failed]
    # What only builds on another check has nothing to be done about it.
    unknown = [one.title for one in results if one.needed and one.finding.verdict is Verdict.NOT_MADE and one.advice]
    if failed:
        follows = f"runs will fail: {'; '.join(failed)}"
    elif unknown:
        follows = f"whether runs will fail was not found out: {'; '.join(unknown)}"
    else:
        follows = "nothing stands in the way of runs"
    return f"{subject}: {told} ({seconds:.0f} s); {follows}"


def as_data(subject: str, results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """The results for programs."""
    return {
        "subject": subject,
        "seconds": round(seconds, 1),
        "passed": not any(result.failed for result in results),
        "checks": [
            {
                "name": result.name,
                "title": result.title,
                "verdict": result.finding.verdict.value,
                "needed": result.needed,
                "found": result.finding.found,
                "measured": result.finding.measured,
                "means": result.means,
                "todo": result.advice,
                "sent_by": list(result.sent_by),
            }
            for result in results
        ],
    }
