"""`bakeoff history`."""

import asyncio
from datetime import UTC, date, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from evaluator.analysis import history as analysis
from evaluator.analysis.history import HistoryOf, Measured
from evaluator.analysis.parallel import Workers
from evaluator.catalog.frameworks import BASELINE
from evaluator.cli.options import (
    OWN_TRACES,
    FrameworkOption,
    chosen,
    command,
    console,
    every_framework,
    every_task,
    refreshed,
    say,
)
from evaluator.errors import Mistake
from evaluator.fitting import Fitted
from evaluator.harness.progress import UnderWay
from evaluator.harness.stopping import Stopped, stoppable
from evaluator.history import FOLDER, LOCKED, Cell
from evaluator.scorecard.history import back_to
from evaluator.stores import store_at
from evaluator.suites import history as suite
from evaluator.text import shown_path, visible

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff history                               every framework, on the first of each of the last twelve months

    bakeoff history -f crewai                     one of them; what is recorded already is not made again

    bakeoff history -f agno --every release --since 2026-09-01     each release since then

    bakeoff history --show                        what is recorded, and why a cell does not run

    bakeoff run -f crewai@2026-03-01 -m scripted  the runs of one cell, whose environment stays"""
)
def history(
    framework: FrameworkOption = None,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="The first day. Default: twelve months back.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="The last day. Default: today.")] = None,
    every: Annotated[
        str, typer.Option(metavar="|".join(suite.EVERY), help="The first of each month, or each release.")
    ] = suite.EVERY[0],
    traces: Annotated[
        str, typer.Option("--traces", metavar="DIR|URL", help="Where the cells go, below `history/`.")
    ] = OWN_TRACES,
    rerun: Annotated[bool, typer.Option("--rerun", help="Make cells again that are recorded already.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep-environments", help="Leave the packages of releases where they are: many GB.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Make nothing, show what is recorded.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which cells would be made; do nothing.")] = False,
) -> None:
    """Run today's code on a year of releases, and show on which it runs and what it costs there.

    A cell is a framework with all packages as one would have installed them on a day, or at a release, and what is
    locked today. The scripted model answers the standard cases, the baseline's runs take turns with the framework's. A
    release that cannot be installed, or on which the code fails, is a result.

    Interrupted, the same command goes on where it stopped. Run it on an idle machine: times are measured.
    """
    if every not in suite.EVERY:
        raise Mistake(f"--every {every!r}: must be {' or '.join(suite.EVERY)}")
    today = datetime.now(UTC).date()
    first = _day("--since", since) if since else suite.since_default(today)
    last = _day("--until", until) if until else today
    if first > last:
        raise Mistake(f"--since {first}: comes after {last}")
    there_are = every_framework()
    frameworks = chosen(framework, there_are, "framework")
    store = store_at(traces)
    cells, folder = refreshed(store.below(FOLDER)), store.folder
    if not show:
        wanted = []
        for one in frameworks:
            if every == "release":
                with UnderWay(console) as under_way, under_way.doing(f"{one.name}: which releases are there?"):
                    wanted += asyncio.run(suite.every_release(one, first, last))
            else:
                wanted += suite.every_month(one, first, last)
            wanted += suite.of_today(one)
        grid = suite.Grid.of(every_task().values(), there_are[BASELINE])
        if dry_run:
            for cell in suite.missing(wanted, grid, folder, console):
                say(f"{cell.framework.plain_name} {cell.at}")
            return

        def made(cell: Cell) -> None:
            cells.send()
            say(_made(cell))

        cells.send()
        with stoppable():
            try:
                suite.make(wanted, grid, folder, rerun, keep, console, say, made)
            except Stopped as stopped:
                say("stopped; the same command goes on from here")
                raise typer.Exit(stopped.exit_code) from None
    with UnderWay(console) as under_way, under_way.doing("looking at what is recorded"), Workers() as workers:
        found = list(analysis.gather(folder, [one.name for one in frameworks], workers=workers))
    if not found:
        raise Mistake(f"{shown_path(folder)}: has no history of {framework or 'any framework'}; leave out --show")
    print_history(found, {one.name: one.title for one in frameworks})


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Mistake(f"{option} {text!r}: must be a day such as 2026-03-01") from None


def _made(cell: Cell) -> str:
    [one] = analysis.measured([cell])
    return f"{cell.framework} {_at(one)}: {_in_words(one)}"


def _at(cell: Measured) -> str:
    return f"{cell.at} ({cell.version})" if cell.version and cell.version != cell.at else cell.at


def _in_words(cell: Measured) -> str:
    why = "; ".join(f"{where}: {visible(reason)}" for where, reason in cell.reasons())
    if cell.not_installed is not None:
        return f"not installed: {why}"
    return f"{cell.passed} of {cell.runs} passed{f'; {why}' if why else ''}"


def print_history(found: list[HistoryOf], titles: dict[str, str]) -> None:
    """A table of how many runs passed, what follows from it, and a line for each cell in which not all did."""
    ats = sorted({(cell.day if cell.at == cell.day else cell.at) for one in found for cell in one.cells})
    if all(at == LOCKED or (at[:4].isdecimal() and len(at) == 10) for at in ats):
        table = Table("framework", *(_heading(at) for at in ats), box=None)
        for one in found:
            cells = {cell.at: cell for cell in one.cells}
            table.add_row(titles.get(one.framework, one.framework), *(_brief(cells.get(at)) for at in ats))
        console.print(Fitted(table))
        console.print()
    for one in found:
        say(f"{titles.get(one.framework, one.framework)}: today's code {back_to(one)}")
    for one in found:
        for damaged in one.damaged:
            say(f"{shown_path(damaged.path)}: {damaged.reason}")
        for cell in one.cells:
            if cell.standing != "runs" or cell.passed < cell.runs:
                console.print(Text(f"{one.framework} {_at(cell)}: {_in_words(cell)}"), soft_wrap=True)


def _heading(at: str) -> str:
    return at[2:7] if at != LOCKED else at


def _brief(cell: Measured | None) -> str:
    if cell is None:
        return ""
    return "–" if cell.not_installed else str(cell.passed)
