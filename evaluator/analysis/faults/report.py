"""Tables of what frameworks made of faults, for a terminal."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.analysis.faults.rows import Figures, Row, Total, sentence
from evaluator.catalog.frameworks import Framework
from evaluator.faults.table import BY_NAME
from evaluator.fitting import Fitted


def print_faults(
    console: Console, found: Sequence[Row], of_all: Sequence[Total], frameworks: Mapping[str, Framework]
) -> None:
    """A table for each framework, a sentence on it, and why it is so; after several, a table with all of them."""
    titles = {name: framework.title for name, framework in frameworks.items()}
    for total in of_all:
        table = _table(title_of(total, titles), ["fault"], ["ended", "what happens"])
        of_it = [row for row in found if (row.framework, row.hardened) == (total.framework, total.hardened)]
        for row in of_it:
            table.add_row(row.fault, *_cells(row.figures), _ended(row.figures), BY_NAME[row.fault].happens)
        console.print(Fitted(table, order=(1, 2, 3, 7, 4, 6, 5, 8), text=[7, 8]))
        console.print(Text(sentence(title_of(total, titles), total, found)), soft_wrap=True)
        for name, note in () if total.hardened else _why(frameworks.get(total.framework), {row.fault for row in of_it}):
            console.print(Text(f"{name}: {note}"), soft_wrap=True)
        console.print()
    if len(of_all) > 1:
        table = _table("All faults", ["framework"], ["ended"])
        for total in of_all:
            table.add_row(title_of(total, titles), *_cells(total.figures), _ended(total.figures))
        console.print(Fitted(table, order=(1, 2, 3, 4, 6, 5, 7), text=[7]))
        console.print()


def _why(framework: Framework | None, shown: AbstractSet[str]) -> list[tuple[str, str]]:
    """The deviations that say why the framework makes of these faults what it does: faults, and words."""
    deviations = framework.deviations if framework else ()
    return [(", ".join(one.faults), one.note) for one in deviations if shown & {*one.faults}]


def title_of(one: Row | Total, titles: Mapping[str, str]) -> str:
    """What a framework is called, and whether these are its `hardened` modules."""
    return titles.get(one.framework, one.framework) + (", hardened" if one.hardened else "")


def _table(title: str, before: Sequence[str], after: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for heading in before:
        table.add_column(heading)
    for heading in ("recovered", "always: well", "twice", "calls", "tokens", "s"):
        table.add_column(heading, justify="right")
    for heading in after:
        table.add_column(heading)
    return table


def _cells(of: Figures) -> list[str | Text]:
    twice = Text(str(of.done_twice), style="bold red") if of.done_twice else Text("0")
    extra = (signed(of.extra_calls, 1), signed(of.extra_tokens, 0), signed(of.extra_s, 1))
    return [shown(of.recovered, of.passing), shown(of.ended_well, of.lasting), twice, *extra]


def _ended(of: Figures) -> str:
    return ", ".join(f"{count} {end}" for end, count in of.ends.items())


def shown(part: int, whole: int) -> str:
    """`3/4`, or a dash where there is nothing to count."""
    return f"{part}/{whole}" if whole else "–"


def signed(value: float | None, digits: int) -> str:
    """A number with its sign, or a dash."""
    return "–" if value is None else f"{value:+,.{digits}f}"
