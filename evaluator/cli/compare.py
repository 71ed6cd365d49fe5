"""`bakeoff compare`."""

from typing import Annotated

import typer
from rich.console import Console

from evaluator.catalog.capabilities import as_task
from evaluator.catalog.frameworks import implements, lacking_in_words, numbered_deviations
from evaluator.cli.options import (
    TaskOption,
    chosen,
    command,
    console,
    every_capability,
    every_framework,
    every_task,
    one,
    say_left_out,
)
from evaluator.compare import print_side_by_side, read_side
from evaluator.errors import Mistake

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff compare langgraph crewai -t handoff

    bakeoff compare langgraph agno -t approval            a capability

    bakeoff compare baseline agno --width 200 | less      all tasks, for a pager"""
)
def compare(
    left: Annotated[str, typer.Argument(metavar="A", help="A framework.")],
    right: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    task: TaskOption = None,
    width: Annotated[
        int | None, typer.Option(min=40, metavar="N", help="Columns. Default: the terminal's, or 160 elsewhere.")
    ] = None,
) -> None:
    """Show two implementations side by side: part by part, with line counts and deviations.

    What both say alike is dimmed. A terminal of less than 120 columns gets one under the other.
    """
    frameworks = every_framework()
    numbered = numbered_deviations(frameworks.values())
    compared = [one(name, frameworks, "framework") for name in (left, right)]
    shown = Console(width=width or (None if console.is_terminal else 160))
    of_capabilities = {name: as_task(capability) for name, capability in every_capability().items()}
    in_tasks = chosen(task, {**every_task(), **(of_capabilities if task else {})}, "task")
    both = [a_task for a_task in in_tasks if all(implements(framework, a_task.name) for framework in compared)]
    lacks = lacking_in_words(compared, [a_task.name for a_task in in_tasks])
    if not both:
        raise Mistake(f"nothing to compare: {'; '.join(lacks)}")
    say_left_out(lacks)
    for a_task in both:
        ours, theirs = (read_side(framework, a_task, numbered[framework.name]) for framework in compared)
        print_side_by_side(shown, a_task.name, ours, theirs)
