"""`bakeoff export`."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress as Bar

from evaluator import WORK
from evaluator.cli.options import (
    OWN_TRACES,
    FrameworkOption,
    TaskOption,
    TracesOption,
    chosen,
    command,
    console,
    every_framework,
    every_task,
    names_in,
    refreshed,
    say,
    say_left_out,
)
from evaluator.errors import Mistake
from evaluator.export import run_table, training
from evaluator.export.runs import Report, graded_runs, trace_folders
from evaluator.stores import store_at
from evaluator.text import shown_path

app = command()

_FORMATS = (*training.LAYOUTS, *run_table.FORMATS, "otlp", "inspect")
_FILE_NAMES = {"inspect": "inspect", **{layout: f"runs.{layout}" for layout in run_table.FORMATS}}


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff export --format openai                          every passed run of the committed traces

    bakeoff export --format sharegpt --traces .bakeoff/traces -m qwen3:8b -t tool_calling,handoff

    bakeoff export --format alpaca -f baseline --out train.jsonl

    bakeoff export --format csv -m local                    a table of all runs, one row each, however they ended

    uv run --extra parquet bakeoff export --format parquet

    bakeoff export --format otlp -m local                   all runs as OpenTelemetry spans

    uv run --extra inspect bakeoff export --format inspect

What reads which format, and with which setting: docs/exports.md"""
)
def export(
    layout: Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(_FORMATS)}.")],
    framework: FrameworkOption = None,
    task: TaskOption = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL,…", help="Whose runs. Default: all models.")
    ] = None,
    traces: TracesOption = OWN_TRACES,
    failed: Annotated[bool, typer.Option("--failed", help="Conversations of runs that failed, too.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For inspect, a folder. Default: in .bakeoff/export.")
    ] = None,
) -> None:
    """Write recorded runs for other tools, graded now: the passed ones as conversations to train on (openai, sharegpt,
    alpaca), or all of them as a table (csv, parquet), as OpenTelemetry spans (otlp) or as logs of Inspect (inspect).

    Each file appears whole or not at all. The same traces give the same bytes.
    """
    if layout not in _FORMATS:
        raise Mistake(f"--format {layout!r}: there are {', '.join(_FORMATS)}")
    frameworks = {a_framework.name for a_framework in chosen(framework, every_framework(), "framework")}
    tasks = {a_task.name for a_task in chosen(task, every_task(), "task")}
    folder = refreshed(store_at(traces)).folder
    out = out or WORK / "export" / _FILE_NAMES.get(layout, f"{layout}.jsonl")
    report = Report()
    with Bar(console=console, disable=not console.is_terminal, transient=True) as bar:
        models = names_in(model)
        files = sum(1 for one in trace_folders(folder, models) for _ in one.rglob("*.json"))
        reading = bar.add_task("reading traces", total=files)
        asked = (folder, models, lambda key: key.framework in frameworks and key.task in tasks)
        read = partial(bar.advance, reading)
        runs = graded_runs(*asked, report, read)
        if layout in run_table.FORMATS:
            with _extra(layout):
                write_rows = run_table.writer(layout)
            run_table.write(write_rows, *asked, out, report, read)
        elif layout == "otlp":
            from evaluator.export import otlp

            otlp.write(runs, out, report)
        elif layout == "inspect":
            with _extra(layout):
                from evaluator.export import inspect_log

            inspect_log.write(runs, out, report)
        else:
            training.write(layout, runs, failed, out, report)
    say_left_out(report.damaged)
    what = "logs" if layout == "inspect" else "rows" if layout in run_table.FORMATS else "lines"
    say(f"wrote {report.written:,} {what} to {shown_path(out)}: {report.in_words()}")


@contextlib.contextmanager
def _extra(name: str) -> Iterator[None]:
    """What is done in here needs the packages of an optional extra, which has the format's name."""
    try:
        yield
    except ImportError:
        raise Mistake(f"--format {name}: needs the extra, as in `uv run --extra {name} bakeoff …`") from None
