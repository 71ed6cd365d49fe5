"""`bakeoff list`."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from evaluator.analysis.levels import LEVELS
from evaluator.catalog.frameworks import implements, lacking, lacking_in_words
from evaluator.catalog.suites import all_suites
from evaluator.cli.options import command, console, every_capability, every_framework, every_task, say
from evaluator.fitting import Fitted
from evaluator.providers import endpoints
from evaluator.providers.names import BUILT_IN, GGUF_ON_HUB, GGUF_PATH
from tasks.cases import SIZES, Case, of_size

app = command()


@app.command(
    name="list",
    epilog="""[bold]Examples[/]

    bakeoff list --json

    bakeoff list --capabilities     what is tried of each capability, and who has a module for it""",
)
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    of_capabilities: Annotated[
        bool, typer.Option("--capabilities", help="List the capability tasks and their cases instead.")
    ] = False,
) -> None:
    """List the frameworks with their versions, the tasks with their cases, the models and the endpoints."""
    if of_capabilities:
        _list_capabilities(as_json)
        return
    frameworks, tasks = every_framework().values(), every_task().values()
    cases = {task.name: task.load() for task in tasks}
    levels = {name: _by_level(loaded) for name, loaded in cases.items()}
    sizes = {name: {size: len(of_size(loaded, size)) for size in SIZES} for name, loaded in cases.items()}
    there_are, suites = endpoints.endpoints(), all_suites().values()
    if as_json:
        listed: dict[str, Any] = {
            "frameworks": [
                {
                    "name": f.name,
                    "title": f.title,
                    "version": f.version,
                    "homepage": f.homepage,
                    "not_implemented": lacking(f, sizes),
                }
                for f in frameworks
            ],
            "tasks": [{"name": name, "cases": counts, "levels": levels[name]} for name, counts in sizes.items()],
            "suites": [
                {
                    **{name: getattr(suite, name) for name in ("name", "title", "homepage", "licence", "package")},
                    **{name: getattr(suite, name) for name in ("version", "implemented_by")},
                    "cases": suite.imported,
                }
                for suite in suites
            ],
            "models": list(BUILT_IN),
            "model_files": [GGUF_PATH, GGUF_ON_HUB],
            "endpoints": [{"name": name, **endpoint.model_dump()} for name, endpoint in there_are.items()],
        }
        console.print_json(data=listed)
        return
    homepage = Column("homepage", overflow="fold")
    table = Table("framework", "title", "version", homepage, title="Frameworks", title_justify="left", box=None)
    for f in frameworks:
        table.add_row(f.name, f.title, f.version, f.homepage)
    console.print(Fitted(table, order=(0, 2, 1, 3), text=[3]))
    headings = (*SIZES, *(f"level {level}" for level in LEVELS))
    table = Table("task", *headings, title="\nTasks and their cases", title_justify="left", box=None)
    for name, counts in sizes.items():
        of_levels = (str(len(levels[name][str(level)])) for level in LEVELS)
        table.add_row(name, *(str(counts[size]) for size in SIZES), *of_levels)
    console.print(Fitted(table))
    for line in lacking_in_words(frameworks, sizes):
        say(line)
    if suites:
        headings = ("suite", "title", "licence", "version", "cases", "served by")
        table = Table(*headings, title="\nOutside suites", title_justify="left", box=None)
        for suite in suites:
            number = suite.imported
            shown = f"bakeoff import {suite.name}" if number is None else str(number)
            table.add_row(suite.name, suite.title, suite.licence, suite.version, shown, suite.implemented_by)
        console.print(Fitted(table, order=(0, 4, 3, 2, 1, 5)))
    table = Table("endpoint", "address", "key", "quirks", title="\nEndpoints", title_justify="left", box=None)
    for name, endpoint in there_are.items():
        table.add_row(name, endpoint.base_url, endpoint.key_variable or "none", ", ".join(endpoint.quirks))
    console.print(Fitted(table, text=(1, 3)))
    console.print(
        f"\nModels: {', '.join(BUILT_IN)}, {GGUF_PATH}, {GGUF_ON_HUB}, ENDPOINT/MODEL, or any name together with "
        "--base-url URL. "
        "Your own endpoints: docs/models.md"
    )


def _list_capabilities(as_json: bool) -> None:
    """The capability tasks: their cases, who has a module, and who has none."""
    frameworks, there_are = every_framework().values(), every_capability().values()
    having = {one.name: [f for f in frameworks if implements(f, one.name)] for one in there_are}
    if as_json:
        listed = [
            {
                "name": one.name,
                "title": one.title,
                "cases": {case.id: case.title for case in one.cases},
                "implemented": [f.name for f in having[one.name]],
                "by_hand": [f.name for f in having[one.name] if one.name in f.by_hand],
                "not_offered": {
                    f.name: f.not_implemented[one.name] for f in frameworks if one.name in f.not_implemented
                },
            }
            for one in there_are
        ]
        console.print_json(data=listed)
        return
    table = Table("capability", "cases", "modules", "by hand", title="Capabilities", title_justify="left", box=None)
    for one in there_are:
        by_hand = sum(one.name in f.by_hand for f in having[one.name])
        cases = "; ".join(case.title for case in one.cases)
        table.add_row(one.name, cases, f"{len(having[one.name])} of {len(frameworks)}", str(by_hand))
    console.print(Fitted(table, order=(0, 2, 3, 1), text=[1]))
    for line in lacking_in_words(frameworks, having):
        say(line)


def _by_level(cases: Iterable[Case]) -> dict[str, list[str]]:
    """The names of the cases of each level; a level without cases is there, too."""
    found: dict[str, list[str]] = {str(level): [] for level in LEVELS}
    for case in cases:
        found[str(case.level)].append(case.id)
    return found
