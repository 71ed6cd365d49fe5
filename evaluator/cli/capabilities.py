"""`bakeoff capabilities`."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from evaluator.analysis.capabilities import Found, as_data, gather
from evaluator.catalog.frameworks import Framework
from evaluator.cli.options import (
    OWN_TRACES,
    FrameworkOption,
    TaskOption,
    TracesOption,
    chosen,
    command,
    console,
    every_capability,
    every_framework,
    existing,
    say,
)
from evaluator.errors import Mistake
from evaluator.fitting import Fitted
from evaluator.providers.names import CAPABILITIES_NAME
from evaluator.suites.capabilities import folder_of
from evaluator.text import shown_path, visible

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff capabilities                          what each framework can do, as recorded

    bakeoff capabilities -f crewai -t approval    which cases fail, and why

    bakeoff run -m capabilities -f crewai         the same made anew, in .bakeoff/traces

    bakeoff capabilities --traces .bakeoff/traces --json"""
)
def capabilities(
    framework: FrameworkOption = None,
    task: TaskOption = None,
    traces: TracesOption = OWN_TRACES,
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="Who answered. Default: the scripted model.")
    ] = CAPABILITIES_NAME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what frameworks can do: approval, durable runs, streaming and more, from recorded runs.

    A cell says how many cases are right, "full" for all; "by hand" where the framework has nothing for it and its
    users write it. Below, each case that is not right, and why.
    """
    frameworks = chosen(framework, every_framework(), "framework")
    wanted = {one.name: one for one in chosen(task, every_capability(), "capability")}
    folder = existing(traces)
    found = gather(folder, frameworks, wanted, folder_of(model))
    if not any(cell.runs for cell in found.cells):
        raise Mistake(
            f"{shown_path(folder / CAPABILITIES_NAME)}: has no runs of what was asked for; make them with `bakeoff run "
            f"-m {CAPABILITIES_NAME} --traces {shown_path(folder)}`"
        )
    for damaged in found.damaged:
        say(f"{shown_path(damaged.path)}: left out: {damaged.reason}")
    if as_json:
        console.print_json(data=[as_data(cell) for cell in found.cells])
    else:
        print_capabilities(found, frameworks, list(wanted))


def print_capabilities(found: Found, frameworks: list[Framework], names: list[str]) -> None:
    """The table, and a line for each case that is not right."""
    table = Table("framework", *(name.replace("_", " ") for name in names), box=None, title_justify="left")
    for framework in frameworks:
        table.add_row(framework.title, *(found.of(framework.name, name).brief for name in names))
    console.print(Fitted(table))
    for cell in found.cells:
        for run in cell.failing:
            reasons = "; ".join(visible(reason) for reason in run.reasons)
            line = f"{cell.framework} {cell.capability}, {run.title}: {reasons}"
            console.print(Text(line), soft_wrap=True)
        if cell.why:
            console.print(Text(f"{cell.framework} {cell.capability}: {cell.why}"), soft_wrap=True)
