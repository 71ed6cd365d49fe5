"""`bakeoff import`."""

from typing import Annotated

import typer

from evaluator.catalog.suites import all_suites
from evaluator.cli.options import command, console, one, say
from evaluator.suites.outside import import_suites

app = command()


@app.command(
    name="import",
    epilog="""[bold]Examples[/]

    bakeoff import                                the suites that there are, and which of them are imported

    bakeoff import bfcl                           installs its package, and reads its cases

    bakeoff run -t bfcl -m scripted --cases 50    imports it first if need be""",
)
def import_(
    suite: Annotated[
        list[str] | None, typer.Argument(metavar="[SUITE]…", help="Suites. Without any, they are listed.")
    ] = None,
) -> None:
    """Install outside suites from their packages, each into an environment of its own, and read their cases."""
    there_are = all_suites()
    wanted = [one(name, there_are, "suite") for name in suite or ()]
    import_suites(wanted, console, say)
    for each in wanted or there_are.values():
        standing = "imported" if each.is_imported else f"not imported: `bakeoff import {each.name}`"
        say(f"{each.name}: {each.title}, {each.package} {each.version}, {each.licence}; {standing}")
