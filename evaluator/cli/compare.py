"""`bakeoff compare`."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from evaluator import ROOT, WORK
from evaluator.catalog import capabilities, suites
from evaluator.catalog.frameworks import Framework, implements, lacking_in_words, numbered_deviations
from evaluator.catalog.tasks import Task
from evaluator.cli.options import (
    TaskOption,
    chosen,
    chosen_releases,
    command,
    console,
    every_capability,
    every_framework,
    every_task,
    names_in,
    say_left_out,
)
from evaluator.compare import print_side_by_side, read_side
from evaluator.errors import Mistake
from evaluator.providers.names import SCRIPTED

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff compare langgraph crewai -t handoff

    bakeoff compare langgraph agno -t approval            a capability

    bakeoff compare langgraph agno -t bfcl_multi_turn     the modules that serve an outside suite

    bakeoff compare agno@2026-05-01 agno@2026-09-01       the same code on two releases: what is sent differently?

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

    Of one framework at two releases, of which the code is the same, it shows what they send differently in the recorded
    runs.
    """
    numbered = numbered_deviations(every_framework().values())
    compared = [chosen_releases(name, lock=False)[0] for name in (left, right)]
    if compared[0].folder == compared[1].folder and compared[0].name != compared[1].name:
        _compare_releases(compared[0], compared[1], names_in(task))
        return
    shown = Console(width=width or (None if console.is_terminal else 160))
    in_tasks = chosen(task, {**every_task(), **(_others() if task else {})}, "task")
    both = [a_task for a_task in in_tasks if all(implements(framework, a_task.module) for framework in compared)]
    lacks = lacking_in_words(compared, [a_task.module for a_task in in_tasks])
    if not both:
        raise Mistake(f"nothing to compare: {'; '.join(lacks)}")
    say_left_out(lacks)
    for a_task in both:
        ours, theirs = (read_side(framework, a_task, numbered[framework.plain_name]) for framework in compared)
        print_side_by_side(shown, a_task.name, ours, theirs)


def _others() -> dict[str, Task]:
    """Capability tasks and outside suites by name, as tasks."""
    return {
        **{name: capabilities.as_task(capability) for name, capability in every_capability().items()},
        **{name: suites.as_task(suite) for name, suite in suites.all_suites().items()},
    }


def _compare_releases(before: Framework, after: Framework, tasks: Sequence[str]) -> None:
    """What one framework sends differently at two releases. Raises `Mistake` where its runs there are not recorded."""
    from evaluator.analysis.drift import drift, in_words
    from evaluator.analysis.history import recorded_at

    sides = []
    for framework in (before, after):
        traces = recorded_at(ROOT / "traces", framework) or recorded_at(WORK / "traces", framework)
        wanted = [trace for trace in traces if not tasks or trace.key.task in tasks]
        if not wanted:
            raise Mistake(
                f"{before.name} and {after.name} have the same code, and what {framework.name} sends is not recorded: "
                f"`bakeoff run -f {framework.name} -m {SCRIPTED} --cases full`"
            )
        sides.append(wanted)
    title = every_framework()[before.plain_name].title
    for line in in_words(drift(sides[0], sides[1]), title):
        typer.echo(line)
