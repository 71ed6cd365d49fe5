"""`bakeoff drift`. What it needs is imported where it runs, so that its help comes at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from evaluator import files
from evaluator.catalog.frameworks import AT, Framework
from evaluator.catalog.releases import CODE
from evaluator.cli.options import (
    OWN_TRACES,
    ReleasesOption,
    TaskOption,
    TracesOption,
    chosen,
    chosen_releases,
    command,
    console,
    every_framework,
    every_task,
    existing,
)
from evaluator.errors import Mistake

if TYPE_CHECKING:
    from evaluator.analysis.drift import Drift
    from evaluator.suites.drifting import Recorded, Run
    from evaluator.trace import Trace

app = command()

_STDOUT = "-"


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff drift -f crewai                             what its lock sends, beside the recorded runs

    bakeoff drift -f crewai --since 1.12.0              from that release to its lock

    bakeoff drift -f crewai,langgraph --since 2026-03-01                from all packages of that day

    bakeoff drift -f crewai@1.14.0 --since 1.12.0       from one release to another

    bakeoff drift -f crewai --since 1.12.0 -t handoff --cases quick     sooner

    bakeoff drift -f crewai --markdown drift.md         the words for a pull request"""
)
def drift(
    framework: ReleasesOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE", help="Compare with this version or day (1.12.0, 2026-03-01), not with the recorded runs."
        ),
    ] = None,
    task: TaskOption = None,
    cases: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|FILE",
            help="quick, standard, full, or your own cases.jsonl, with --since. Default: those that are recorded.",
        ),
    ] = None,
    traces: TracesOption = OWN_TRACES,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    markdown: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Write the words there, or print nothing else.")
    ] = None,
) -> None:
    """Show what other packages send differently, and what it costs in tokens a call, with the scripted model.

    What the lock of a framework sends now stands beside what is recorded; with --since, beside what a release sends.
    Runs are made where they are not there yet, in .bakeoff/drift.

    Exit code 1 if runs that passed no longer do.
    """
    from evaluator.analysis.drift import as_data, in_words
    from evaluator.harness.stopping import Stopped, stoppable

    others = Console(stderr=True) if as_json or markdown == _STDOUT else console
    try:
        with stoppable():
            found = _compared(_Asked(framework, since, task, cases, existing(traces)), others)
    except Stopped as stopped:
        raise typer.Exit(stopped.exit_code) from None
    words = "\n\n".join("\n".join(in_words(one.drift, one.title, one.notes)) for one in found)
    if markdown not in (None, _STDOUT):
        files.write_whole(Path(markdown), f"{words}\n")
    if as_json:
        console.print_json(data=[as_data(one.drift) | {"notes": one.notes} for one in found])
    else:
        typer.echo(words)
    if any(one.drift.broken for one in found):
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Asked:
    """What the user typed."""

    framework: str | None
    since: str | None
    task: str | None
    cases: str | None
    traces: Path


@dataclass(frozen=True)
class _Sides:
    """What is compared of one framework: its runs with some packages, and the recorded ones, or those of a release."""

    after: "Framework"
    before: "Framework | Recorded"
    runs: "Sequence[Run]"

    @property
    def made_with(self) -> "list[Framework]":
        """Those with which the runs are to be made."""
        return [one for one in (self.before, self.after) if isinstance(one, Framework)]


@dataclass(frozen=True)
class _Found:
    title: str
    drift: "Drift"
    notes: list[str]


def _compared(asked: _Asked, others: Console) -> list[_Found]:
    """What each framework sends differently; `others` is told what is under way. Raises `Mistake`, `Failure`."""
    from evaluator.analysis.drift import drift
    from evaluator.suites import drifting

    titles = {framework.name: framework.title for framework in every_framework().values()}
    compared = _sides(asked, others)
    jobs = [job for sides in compared for one in sides.made_with for job in drifting.jobs(one, sides.runs)]
    made = drifting.made(jobs, others, partial(_tell, others))
    found = []
    before: Sequence[Trace]
    for sides in compared:
        if isinstance(sides.before, Framework):
            before, notes = made[sides.before.name], [drifting.other_packages(sides.before, sides.after)]
        else:
            before, notes = sides.before.traces, drifting.changed_besides(sides.after, sides.before)
        found.append(_Found(titles[sides.after.plain_name], drift(before, made[sides.after.name]), notes))
    return found


def _tell(others: Console, line: str) -> None:
    others.print(Text(line), soft_wrap=True)


def _sides(asked: _Asked, others: Console) -> list[_Sides]:
    """What is to be compared, its packages locked. Raises `Mistake`."""
    from evaluator.suites import drifting
    from evaluator.suites.planning import cases_named
    from tasks.cases import SIZES

    tasks = chosen(asked.task, every_task(), "task")
    cases = cases_named(asked.cases or SIZES[-1], tasks)
    found = []
    for framework in chosen_releases(asked.framework, shown_on=others):
        release = _at(framework, asked.since, others) if asked.since else None
        if release is not None and asked.cases:
            runs = [(task, case, 1) for task in tasks for case in cases[task.name]]
            found.append(_Sides(framework, release, runs))
        else:
            recorded = drifting.recorded(asked.traces, framework, cases, partial(_tell, others))
            found.append(_Sides(framework, release or recorded, recorded.runs))
        if not drifting.jobs(framework, found[-1].runs):
            raise Mistake(f"nothing to run: {framework.name} implements none of these tasks")
    return found


def _at(framework: Framework, since: str, others: Console) -> Framework:
    """The framework at the release that it is compared with, locked. Raises `Mistake`."""
    if CODE in (framework.at or ""):
        raise Mistake(f"{framework.name}: --since is for the packages of releases, not for the modules of a month")
    [before] = chosen_releases(f"{framework.plain_name}{AT}{since}", shown_on=others)
    if CODE in (before.at or ""):
        raise Mistake(f"--since {since}: must be a version such as 1.12.0 or a day such as 2026-03-01")
    if before.name == framework.name:
        raise Mistake(f"-f {framework.name} --since {since}: these are the same packages")
    return before
