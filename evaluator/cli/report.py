"""`bakeoff report`."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress as Bar

from evaluator import ROOT, WORK
from evaluator.analysis.kept import Kept
from evaluator.cli.options import OWN_TRACES, TracesOption, command, console, existing, say, say_left_out
from evaluator.site import output
from evaluator.site.build import build
from evaluator.text import shown_path

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff report --open                  the site of the committed traces, in your browser

    bakeoff report --traces .bakeoff/traces --out /tmp/mine      a site of your own runs"""
)
def report(
    traces: TracesOption = OWN_TRACES,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the site goes.")] = ROOT / output.NAME,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Build the static site: the matrix with plots, the code side by side, every run, and the method.

    It needs no server and no network. The same traces give the same bytes.
    """
    folder = existing(traces)
    with Bar(console=console, disable=not console.is_terminal, transient=True) as bar:
        step = bar.add_task("reading traces", total=None)
        card = build(
            folder,
            out,
            kept=Kept(WORK / "report"),
            say=lambda what, done, total: bar.update(step, description=what, completed=done, total=total or None),
        )
    say_left_out(f"{damaged.path}: {damaged.reason}" for damaged in card.damaged)
    start = out / output.START
    say(f"wrote {shown_path(start)}")
    if open_it:
        webbrowser.open(start.resolve().as_uri())
