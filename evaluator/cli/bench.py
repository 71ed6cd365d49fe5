"""`bakeoff bench`."""

from typing import Annotated

import typer

from evaluator.bench import run
from evaluator.cli.options import command, console

app = command()


@app.command(epilog="[bold]Example[/]\n\n    bakeoff bench --seconds 5")
def bench(
    seconds: Annotated[float, typer.Option(min=0.5, metavar="S", help="Length of each measurement.")] = 4.0,
    matrix: Annotated[bool, typer.Option(help="Also time the scripted matrix.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure the harness itself: what the gateway adds to a call, and the scripted matrix."""
    run(console, seconds, matrix, as_json)
