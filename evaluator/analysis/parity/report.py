"""Reads traces for `bakeoff parity`, and shows what differs: in the terminal, and as data for programs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.analysis.parity import (
    Finding,
    Observation,
    Parity,
    compare_all,
    observe,
    stale,
    summarise,
)
from evaluator.catalog.frameworks import BASELINE, Deviation, Framework, implements, plain_name
from evaluator.catalog.tasks import Task
from evaluator.fitting import Fitted
from evaluator.providers.names import SCRIPTED
from evaluator.text import shortened
from evaluator.trace import Trace, model_folder, read_traces

Numbered = Mapping[str, Sequence[tuple[int, Deviation]]]
"""The deviations of each framework, each with its number."""


@dataclass(frozen=True)
class Report:
    """What was compared. `missing` are frameworks and tasks without traces, `unusable` traces with the reason.

    `stale` are the patterns that explain nothing, by the number of their deviation.
    """

    parities: tuple[Parity, ...]
    missing: tuple[tuple[str, str], ...]
    unusable: tuple[str, ...]
    stale: tuple[tuple[int, str], ...]

    @property
    def unexplained(self) -> int:
        """The number of differences that nothing explains."""
        return sum(len(parity.unexplained) for parity in self.parities)


def collect(
    traces: Path,
    model: str,
    frameworks: Sequence[Framework],
    tasks: Sequence[Task],
    deviations: Numbered,
    every_task: Collection[str],
) -> Report:
    """Compare the traces of `model` below `traces` with the spec, and what searches found with the baseline's there.

    Whether a pattern is stale can be said only where the scripted model's runs of all cases that its deviation is
    about are there. What a framework does not implement is passed over.
    """
    unusable: list[str] = []
    missing: list[tuple[str, str]] = []
    parities: list[Parity] = []

    def observed(framework: str, task: Task) -> list[Observation]:
        found = []
        for item in read_traces(model_folder(traces, model) / framework / task.name):
            if not isinstance(item, Trace):
                unusable.append(f"{item.path}: {item.reason}")
                continue
            try:
                found.append(observe(item, task))
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                unusable.append(f"{framework} {task.name} {item.key.case}: {' '.join(str(error).split())}")
        return found

    for task in tasks:
        beside = observed(BASELINE, task)
        for framework in (one for one in frameworks if implements(one, task.name)):
            runs = beside if framework.name == BASELINE else observed(framework.name, task)
            if not runs:
                missing.append((framework.name, task.name))
                continue
            parities.append(summarise(compare_all(runs, beside), deviations[framework.name]))
    cases = {task.name: {case.id for case in task.load()} for task in tasks}
    unneeded: list[tuple[int, str]] = []
    for framework in (one for one in frameworks if model == SCRIPTED and one.at is None):
        own = [parity for parity in parities if parity.framework == framework.name]
        implemented = {name for name in every_task if implements(framework, name)}
        complete = {parity.task for parity in own if parity.cases >= cases[parity.task]}
        decidable = [
            (number, deviation)
            for number, deviation in deviations[framework.name]
            if ({deviation.task} if deviation.task else implemented) <= complete
        ]
        unneeded += stale(own, decidable)
    order = {framework.name: number for number, framework in enumerate(frameworks)}
    return Report(
        parities=tuple(sorted(parities, key=lambda one: (order[one.framework], one.task))),
        missing=tuple(dict.fromkeys(missing)),
        unusable=tuple(unusable),
        stale=tuple(unneeded),
    )


def per_call(tokens: float | None) -> str:
    """Tokens for each call, with their sign."""
    if tokens is None:
        return "–"
    return f"{tokens:+,.1f}".removesuffix(".0").replace("-", "−") if round(tokens, 1) else "0"


def compared_of_made(parity: Parity) -> str:
    """How many chat calls could be compared: `87`, or `80 of 87` where not all."""
    return str(parity.calls) if parity.calls == parity.made else f"{parity.calls} of {parity.made}"


def one_line(text: str, limit: int) -> str:
    """Untrusted text for one line: no control characters, cut after `limit` characters."""
    line = " ".join(text.split())
    return shortened("".join(character if character.isprintable() else "�" for character in line), limit)


def parts_in_words(parts: Mapping[str, float]) -> str:
    """`tools +48.2, conversation +1.9`: where the injected tokens lie, the most first."""
    ordered = sorted(parts.items(), key=lambda part: -abs(part[1]))
    return ", ".join(f"{name} {per_call(tokens)}" for name, tokens in ordered if round(tokens, 1))


# --- data ------------------------------------------------------------------------------------

_EXAMPLE = 200


def as_data(parity: Parity) -> dict[str, Any]:
    """One framework × task for programs; examples are cut."""
    return {
        "model": parity.model,
        "framework": parity.framework,
        "task": parity.task,
        "runs": parity.runs,
        "calls": parity.calls,
        "calls_made": parity.made,
        "injected_tokens_per_call": _rounded(parity.injected_per_call),
        "injected_tokens_per_call_by_part": {name: _rounded(value) for name, value in parity.parts_per_call.items()},
        "explained": len(parity.explained),
        "unexplained": len(parity.unexplained),
        "differences": [
            {
                "name": finding.name,
                "runs": finding.runs,
                "tokens_per_call": _rounded(finding.tokens_per_call),
                "explained": finding.explained,
                "deviations": finding.deviations,
                "example": one_line(finding.example, _EXAMPLE),
            }
            for finding in parity.findings
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def report_as_data(report: Report) -> dict[str, Any]:
    """The whole report for programs."""
    return {
        "parity": [as_data(parity) for parity in report.parities],
        "stale": [{"deviation": number, "pattern": pattern} for number, pattern in report.stale],
        "unusable": report.unusable,
    }


# --- terminal --------------------------------------------------------------------------------


def print_report(console: Console, report: Report, frameworks: Iterable[Framework], deviations: Numbered) -> None:
    """A table for each framework × task, the deviations that explain something, and a line that sums up."""
    titles = {framework.name: framework.title for framework in frameworks}
    for parity in report.parities:
        _print_parity(console, parity, titles[parity.framework])
    used = {number for parity in report.parities for finding in parity.findings for number in finding.deviations}
    for name, numbered in deviations.items():
        for number, deviation in numbered:
            if number in used and plain_name(name) == name:
                where = f"{titles.get(name, name)}, {deviation.task or 'all tasks'}"
                console.print(Text(f"{number}. {where}: {deviation.note}"))
    for number, pattern in report.stale:
        console.print(Text(f"deviation {number}: {pattern!r} explains nothing; take it out", style="red"))
    for line in report.unusable:
        console.print(Text(f"left out: {one_line(line, 300)}"))
    explained = sum(len(parity.explained) for parity in report.parities)
    console.print(
        Text(
            f"{len(report.parities)} framework × task: {explained} differences explained, "
            f"{report.unexplained} unexplained, {len(report.stale)} explanations stale"
        )
    )


def _print_parity(console: Console, parity: Parity, framework: str) -> None:
    head = Text(f"{framework} · {parity.task}", style="bold")
    head.append(f"  {len(parity.cases)} cases, {compared_of_made(parity)} calls", style="not bold")
    if parity.injected_per_call is not None:
        where = parts_in_words(parity.parts_per_call)
        words = f", {per_call(parity.injected_per_call)} injected tokens a call" + (f": {where}" if where else "")
        head.append(words, style="not bold")
    console.print(head)
    if not parity.findings:
        console.print(Text("  no difference\n"))
        return
    rows = [
        (
            one_line(finding.name, 60),
            f"{finding.runs}/{parity.runs}",
            per_call(finding.tokens_per_call) if finding.tokens_per_call is not None else "",
            _explanation(finding),
        )
        for finding in parity.findings
    ]
    header = ("difference", "runs", "tokens/call", "deviation", "for example")
    widths = [max(len(title), *(len(row[i]) for row in rows)) for i, title in enumerate(header[:4])]
    room = max(console.width - sum(widths) - 2 * len(header), len(header[4]))
    table = Table(box=None, padding=(0, 1, 0, 1))
    for i, title in enumerate(header):
        table.add_column(title, no_wrap=True, justify="right" if i in (1, 2) else "left")
    for finding, row in zip(parity.findings, rows, strict=True):
        style = "" if finding.explained else "bold red"
        texts = [Text(value) for value in row[:3]]
        table.add_row(*texts, Text(row[3], style), Text(_fitted(one_line(finding.example, 200), room)))
    console.print(Fitted(table, order=(0, 3, 1, 2, 4), text=(0, 4)))
    console.print()


def _fitted(line: str, room: int) -> str:
    """As much of the line as fits into `room` cells of the terminal; a Chinese letter takes two."""
    if cell_len(line) <= room:
        return line
    return set_cell_size(line, room - 1).rstrip() + "…"


def _explanation(finding: Finding) -> str:
    if finding.deviations:
        return ", ".join(map(str, finding.deviations))
    return "needs none" if finding.explained else "UNEXPLAINED"
