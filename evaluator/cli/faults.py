"""`bakeoff faults`."""

from typing import Annotated

import typer

from evaluator.analysis.faults.gather import gather
from evaluator.analysis.faults.report import print_faults
from evaluator.analysis.faults.rows import as_data, rows, totals
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
    existing,
)
from evaluator.errors import Mistake
from evaluator.harness.progress import UnderWay
from evaluator.providers.names import FAULTS_NAME
from evaluator.text import shown_path

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff faults -f crewai                        what CrewAI makes of each fault, as recorded

    bakeoff faults -f crewai,langgraph -t handoff --json

    bakeoff run -m faults -f crewai                 the same made anew, in .bakeoff/traces

    bakeoff faults --traces .bakeoff/traces         what came of it, once more"""
)
def faults(
    framework: FrameworkOption = None,
    task: TaskOption = None,
    traces: TracesOption = OWN_TRACES,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what frameworks make of faults of the model, its server, tools and search, from recorded runs.

    The columns: of the runs in which the fault came once or twice, how many ended right; of those in which it always
    came, how many ended with an error or an answer that says so; side effects that were done twice; and what the
    recovered runs took beyond the same run without the fault.
    """
    frameworks, tasks = every_framework(), every_task()
    names = {one.name for one in chosen(framework, frameworks, "framework")}
    of_tasks = [one.name for one in chosen(task, tasks, "task")]
    folder = existing(traces)
    with UnderWay(console) as under_way, under_way.doing("looking at what came of the faults"):
        found = list(gather(folder, names, of_tasks))
    runs = [run for of in found for run in of.runs]
    table = rows(runs)
    if not table:
        raise Mistake(
            f"{shown_path(folder / FAULTS_NAME)}: has no runs of what was asked for; make them with `bakeoff run -m "
            f"{FAULTS_NAME} --traces {shown_path(folder)}`"
        )
    if as_json:
        console.print_json(data=as_data(table))
    else:
        print_faults(console, table, totals(runs), frameworks)
