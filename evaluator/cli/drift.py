"""`bakeoff drift`. What it needs is imported where it runs, so that its help comes at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from evaluator import ROOT, files
from evaluator.catalog.frameworks import AT
from evaluator.catalog.releases import CODE
from evaluator.cli.options import (
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
    say,
)
from evaluator.errors import Mistake

if TYPE_CHECKING:
    from evaluator.analysis.drift import Drift
    from evaluator.catalog.frameworks import Framework

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
    traces: TracesOption = ROOT / "traces",
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
        say(words)
    if any(one.drift.broken for one in found):
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Asked:
    framework: str | None
    since: str | None
    task: str | None
    cases: str | None
    traces: Path


@dataclass(frozen=True)
class _Found:
    title: str
    drift: "Drift"
    notes: list[str]


def _compared(asked: _Asked, others: Console) -> list[_Found]:
    """What each of the frameworks sends differently; `others` is told what is under way. Raises `Mistake`."""
    from evaluator.analysis.drift import drift
    from evaluator.suites import drifting
    from evaluator.suites.planning import cases_named
    from tasks.cases import SIZES

    def tell(line: str) -> None:
        others.print(escape(line), highlight=False, soft_wrap=True)

    plain = every_framework()
    after = chosen_releases(asked.framework)
    before = [_at(one, asked.since) for one in after] if asked.since else []
    tasks = chosen(asked.task, every_task(), "task")
    cases = cases_named(asked.cases or SIZES[-1], tasks)
    recorded = []
    jobs = []
    for number, one in enumerate(after):
        if asked.since and asked.cases:
            runs = [(task, case, 1) for task in tasks for case in cases[task.name]]
        else:
            recorded.append(drifting.recorded(asked.traces, one, cases, tell))
            runs = list(recorded[-1].asked)
        jobs += [job for each in [*before[number : number + 1], one] for job in drifting.jobs(each, runs)]
    made = drifting.made(jobs, others, tell)
    found = []
    for number, one in enumerate(after):
        title = plain[one.plain_name].title
        if asked.since:
            notes = [drifting.other_packages(before[number], one)]
            found.append(_Found(title, drift(made[before[number].name], made[one.name]), notes))
        else:
            notes = drifting.changed_besides(one, recorded[number])
            found.append(_Found(title, drift(recorded[number].traces, made[one.name]), notes))
    return found


def _at(framework: "Framework", since: str) -> "Framework":
    """The framework at the release that it is compared with, locked. Raises `Mistake`."""
    if framework.at and framework.at.startswith(CODE):
        raise Mistake(f"{framework.name}: --since is for the packages of releases, not for the modules of a month")
    [before] = chosen_releases(f"{framework.plain_name}{AT}{since}")
    if before.at and before.at.startswith(CODE):
        raise Mistake(f"--since {since}: must be a version such as 1.12.0 or a day such as 2026-03-01")
    if before.name == framework.name:
        raise Mistake(f"-f {framework.name} --since {since}: these are the same packages")
    return before
