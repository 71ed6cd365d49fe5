"""A scorecard in the terminal."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.analysis.judge import Figures
from evaluator.analysis.metrics import Value
from evaluator.analysis.models import TIMES, ModelComparison, in_words
from evaluator.analysis.pairs import COMPARED
from evaluator.analysis.repricing import Repricing
from evaluator.catalog.frameworks import BASELINE
from evaluator.fitting import Fitted
from evaluator.scorecard import breakdown, letters, tables, words
from evaluator.scorecard.breakdown import Breakdown
from evaluator.scorecard.content import FAILURES_NAME, MARKDOWN_NAME, Cell, ReferenceRow, Scorecard
from evaluator.scorecard.tables import by_probe, by_task, who
from evaluator.scorecard.words import not_implemented, per_1000_runs_on
from evaluator.text import visible

_COLUMNS = (
    *(tables.CASES, tables.PASSED, tables.RATE, tables.WALL, tables.MODEL_TIME, tables.OVERHEAD),
    *(tables.CALLS, tables.PROMPT, tables.LINES),
)
_MODEL_COLUMNS = [column for column in tables.MODEL_COLUMNS if column is not tables.MODEL_TIME]
"""What 100 columns have room for."""

_REFERENCE = "italic"
"""How a row that is no framework is set apart."""

_FAILURE_LINES = 12
_FEW, _LINE_OF_FEW = 3, 400
"""So few lines may be so long: they say all there is to say."""

_LINE_WIDTH = 100
"""A longer line is cut; in a narrower console what is left is wrapped."""

_PRICE_COLUMNS = 4


def print_scorecard(
    console: Console, scorecard: Scorecard, failures: str = FAILURES_NAME, left_out: str = MARKDOWN_NAME
) -> None:
    """Print the tables and the failures, for 100 columns; `failures` and `left_out` are where all of them stand."""
    for model in scorecard.models:
        for title, cells in [*by_task(scorecard.cells, model), *by_task(scorecard.totals, model)]:
            task = cells[0].task
            rows = [(scorecard.frameworks[cell.framework].title, cell.metrics) for cell in cells]
            console.print(table_of(f"{model} · {title}", rows, references=scorecard.references_of(model, task)))
            if parts := breakdown.components(scorecard, model, task):
                console.print()
                console.print(_breakdown_table(f"{model} · {title} · runs in which each component held", parts))
            if lacks := not_implemented(scorecard, model, task):
                console.print(Text(lacks))
            console.print()
        if levels := breakdown.levels(scorecard, model, None):
            console.print(_breakdown_table(f"{model} · passed runs by level of the case", levels))
            console.print()
        for judge, judged in tables.judged_cells(scorecard.totals, model):
            console.print(_judge_table(scorecard, f"{model} · judged by {judge}", judged))
            console.print()
        if letters.with_baseline(scorecard, model, None):
            console.print(_pairs_table(scorecard, model))
            console.print(Text(words.correctness(scorecard, model) or ""))
            console.print()
    if scorecard.comparison:
        console.print(_comparison_table(scorecard, scorecard.comparison))
        console.print(Text(f"\n{in_words(scorecard.comparison, scorecard.titles)} {TIMES}\n"))
    if scorecard.repricing:
        _print_costs(console, scorecard, scorecard.repricing)
    if scorecard.behaviours:
        console.print(_behaviour_table(scorecard))
        console.print()
    if scorecard.cells:
        _print_failures(console, scorecard, failures)
    for note in scorecard.notes:
        console.print(Text(f"note: {visible(note)}"))
    if scorecard.damaged:
        console.print(Text(f"{len(scorecard.damaged)} traces left out:"))
        _print_lines(console, [f"{damaged.path}: {damaged.reason}" for damaged in scorecard.damaged], left_out)


def table_of(
    title: str,
    rows: Iterable[tuple[str, Mapping[str, Value]]],
    columns: Sequence[tables.Column] = _COLUMNS,
    references: Iterable[ReferenceRow] = (),
) -> Fitted:
    """A row for each framework, by its title and metrics, for 100 columns of a terminal; below them the references."""
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("framework")
    for column in columns:
        table.add_column(Text(column.title.replace(" ", "\n", 1)), justify="right", no_wrap=True)
    for name, metrics in rows:
        table.add_row(Text(name), *(Text(column.show(metrics)) for column in columns))
    for row in references:
        shown = (Text(tables.of_reference(column, row)) for column in columns)
        table.add_row(Text(row.reference.title), *shown, style=_REFERENCE)
    # How many cases there are matters least: it stands in `passed`, too.
    return Fitted(table, order=sorted(range(len(table.columns)), key=lambda i: i and columns[i - 1] is tables.CASES))


def _breakdown_table(title: str, found: Breakdown) -> Fitted:
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("framework")
    for column in found.columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.rows:
        cells = ("–" if tally is None else str(tally) for tally in row.tallies)
        table.add_row(Text(row.title), *cells, style=None if row.framework else _REFERENCE)
    return Fitted(table)


def _judge_table(scorecard: Scorecard, title: str, judged: Sequence[tuple[Cell, Figures]]) -> Fitted:
    """What a judge says of a model's runs, beside the rules."""
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("framework")
    for heading in ("by the rules", *(heading for heading, _ in tables.JUDGE_COLUMNS)):
        table.add_column(heading, justify="right")
    for cell, figures in judged:
        shown = (tables.RATE.show(cell.metrics), *(show(figures) for _, show in tables.JUDGE_COLUMNS))
        table.add_row(Text(scorecard.frameworks[cell.framework].title), *map(Text, shown))
    return Fitted(table)


def _pairs_table(scorecard: Scorecard, model: str) -> Fitted:
    """Each framework beside the baseline: what differs, and what is a tie."""
    title = Text(f"{model} · against {scorecard.frameworks[BASELINE].title}", style="bold")
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("framework")
    table.add_column("cases", justify="right")
    for compared in COMPARED:
        table.add_column(compared.title.replace(" ", "\n", 1), justify="right")
    against = letters.with_baseline(scorecard, model, None)
    found = {(one.framework, one.metric): one for one in against}
    for name in dict.fromkeys(one.framework for one in against):
        cases = max(one.cases for one in against if one.framework == name)
        cells = [
            "–" if one is None else "tie" if one.verdict == "tie" else words.amount(compared, one.difference)
            for compared in COMPARED
            for one in [found.get((name, compared.name))]
        ]
        table.add_row(Text(scorecard.frameworks[name].title), str(cases), *cells)
    return Fitted(table)


def _comparison_table(scorecard: Scorecard, comparison: ModelComparison) -> Fitted:
    title = f"Models, on the same {len(comparison.cases)} cases"
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("framework")
    table.add_column("model", no_wrap=True)
    for column in _MODEL_COLUMNS:
        table.add_column(Text("\n".join(column.title.rsplit(" ", 1))), justify="right", no_wrap=True)
    for row in comparison.rows:
        name = scorecard.frameworks[row.framework].title if row.framework else "all of them"
        table.add_row(
            Text(name), _folded(row.model, 18), *(Text(column.show(row.metrics)) for column in _MODEL_COLUMNS)
        )
    for reference in scorecard.references_of(None, None):
        shown = (Text(tables.of_reference(column, reference)) for column in _MODEL_COLUMNS)
        table.add_row(Text(reference.reference.title), "", *shown, style=_REFERENCE)
    return Fitted(table, names=2)


def _folded(model: str, width: int) -> Text:
    """A model's name in lines of at most `width`, broken behind a slash or a hyphen where that will do."""
    return Text(textwrap.fill(model.replace("/", "/ "), width).replace("/ ", "/"))


def _print_costs(console: Console, scorecard: Scorecard, repricing: Repricing) -> None:
    for model in scorecard.models:
        console.print(Text(f"{model} · what 1,000 runs would have cost on other models, in $", style="bold"))
        for start in range(0, len(repricing.models), _PRICE_COLUMNS):
            console.print(_cost_table(scorecard, repricing, model, slice(start, start + _PRICE_COLUMNS)))
            console.print()
    console.print(
        Text(
            f"Estimates by {repricing.price_list}, from the tokens of the model used; another's tokenizer would count "
            "otherwise. In parentheses: with the prompt cache of the model used.\n"
        )
    )


def _cost_table(scorecard: Scorecard, repricing: Repricing, model: str, shown: slice) -> Fitted:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("framework")
    table.add_column("n", justify="right", no_wrap=True)
    for other in repricing.models[shown]:
        table.add_column(_folded(other.name, 14), justify="right", no_wrap=True)
    for row in repricing.rows:
        if row.model == model and row.task is None:
            costs = (Text(per_1000_runs_on(cost)) for cost in row.costs[shown])
            table.add_row(Text(scorecard.frameworks[row.framework].title), f"{row.priced}/{row.runs}", *costs)
    return Fitted(table)


def _behaviour_table(scorecard: Scorecard) -> Fitted:
    table = Table(title=Text("Behaviour", style="bold"), title_justify="left", box=None, padding=(0, 1, 1, 0))
    for title, ratio in (("probe", 3), ("what the framework does", 4), ("will do", 1), ("frameworks", 4)):
        table.add_column(title, ratio=ratio)
    for rows in by_probe(scorecard):
        for row in rows:
            probe = f"{row.probe}: {row.meaning}" if row is rows[0] else ""
            cells = (probe, row.words, "yes" if row.acceptable else "NO", who(scorecard, row))
            table.add_row(*(Text(cell) for cell in cells))
    return Fitted(table, text=(0, 1, 3))


def _print_failures(console: Console, scorecard: Scorecard, file: str) -> None:
    runs = sum(int(cell.metrics["runs"] or 0) for cell in scorecard.totals)
    console.print(Text(f"{len(scorecard.failures)} of {runs} runs failed"), end=":\n" if scorecard.failures else "\n")
    groups = Counter(
        (failure.key.model, failure.key.framework, failure.key.task, "; ".join(failure.reasons[:1]))
        for failure in scorecard.failures
    )
    lines = [
        f"{number} × {model} {framework} {task}: {reason}"
        for (model, framework, task, reason), number in groups.most_common()
    ]
    _print_lines(console, lines, file)


def _print_lines(console: Console, lines: Sequence[str], file: str) -> None:
    for line in lines[:_FAILURE_LINES]:
        shown = Text(f" {' '.join(visible(line).split())}")
        shown.truncate(max(console.width, _LINE_WIDTH if len(lines) > _FEW else _LINE_OF_FEW), overflow="ellipsis")
        console.print(shown)
    if len(lines) > _FAILURE_LINES:
        console.print(Text(f" … and {len(lines) - _FAILURE_LINES} more: see {file}"))
