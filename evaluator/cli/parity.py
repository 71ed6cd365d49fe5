"""`bakeoff parity`."""

from typing import Annotated

import typer

from evaluator.analysis.parity.report import collect, print_report, report_as_data
from evaluator.catalog.frameworks import lacking_in_words, numbered_deviations
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
    say_left_out,
)
from evaluator.errors import Mistake
from evaluator.providers.names import SCRIPTED
from evaluator.text import shown_path
from evaluator.trace import model_folder

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff parity                          every framework and task, from the committed traces

    bakeoff parity -f langgraph -t handoff  one of them

    bakeoff run -f crewai -m scripted --cases full && bakeoff parity -f crewai --traces .bakeoff/traces

    bakeoff run -f crewai@1.12.0 -m scripted && bakeoff parity -f crewai@1.12.0 --traces .bakeoff/traces"""
)
def parity(
    framework: ReleasesOption = None,
    task: TaskOption = None,
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="The model whose runs are compared.")
    ] = SCRIPTED,
    traces: TracesOption = OWN_TRACES,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what each framework puts on the wire beside the task's spec.

    Exit code 1 if a difference has no deviation that explains it, or a deviation explains nothing.
    """
    frameworks, tasks = every_framework(), every_task()
    compared, in_tasks = chosen_releases(framework, lock=False), chosen(task, tasks, "task")
    folder = existing(traces)
    deviations = dict(numbered_deviations(frameworks.values()))
    deviations |= {one.name: deviations[one.plain_name] for one in compared}
    report = collect(folder, model, compared, in_tasks, deviations, list(tasks))
    if as_json:
        console.print_json(data=report_as_data(report))
    else:
        say_left_out(lacking_in_words(compared, [a_task.name for a_task in in_tasks]))
    if report.parities and not as_json:
        print_report(console, report, [*frameworks.values(), *compared], deviations)
    if report.missing:
        lacking = [",".join(dict.fromkeys(names)) for names in zip(*report.missing, strict=True)]
        size = " --cases full" if model == SCRIPTED else ""
        raise Mistake(
            f"{shown_path(model_folder(folder, model))}: {lacking[0]} has no traces of {lacking[1]}; make them with "
            f"`bakeoff run -f {lacking[0]} -t {lacking[1]} -m {model}{size} --traces {shown_path(folder)}`"
        )
    if report.unexplained or report.stale:
        raise typer.Exit(1)
