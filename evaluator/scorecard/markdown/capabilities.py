"""What the frameworks can do, by the runs of capability tasks."""

from evaluator.analysis.capabilities import Cell
from evaluator.scorecard.content import Scorecard
from evaluator.text import escape, table


def capabilities(scorecard: Scorecard) -> list[str]:
    """A line for each framework, a column for each capability."""
    found = scorecard.capabilities
    if found is None:
        return []
    rows = [
        [
            escape(scorecard.titles.get(framework, framework)),
            *(_cell(found.of(framework, name)) for name in found.titles),
        ]
        for framework in found.frameworks
    ]
    header = ["framework", *(title.lower() for title in found.titles.values())]
    return ["## What it can do", _ABOUT, table(header, rows, text_columns=len(header) - 1)]


_ABOUT = """\
Each capability is a task of its own, with one short module a framework, and is observed from outside: requests, \
effects, times, over processes that are killed ([how](docs/capabilities.md), `bakeoff run -m capabilities`). **Full** \
is every case right; else how many, and which are not is on the site, with all runs, and in `bakeoff capabilities`. \
**By hand** is a module that does without any facility of the framework's. The number is the module's source lines."""


def _cell(cell: Cell) -> str:
    words = f"{cell.brief}, {cell.lines}" if cell.runs else cell.brief
    return f"**{words}**" if cell.standing == "none" else words
