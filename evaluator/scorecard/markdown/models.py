"""The models: which of them or the frameworks matter more, and a table for each."""

from collections import Counter
from collections.abc import Mapping, Sequence

from evaluator.analysis.judge import Figures
from evaluator.analysis.metrics import Value
from evaluator.analysis.models import in_words, shown
from evaluator.analysis.pairs import COMPARED, Pair
from evaluator.scorecard import breakdown, tables, words
from evaluator.scorecard.content import Cell, FrameworkNotes, Scorecard, about_model
from evaluator.scorecard.letters import letters_of, pairs_of
from evaluator.scorecard.tables import Column
from evaluator.stats.variance import SOURCES
from evaluator.text import escape, raised, table


def framework_or_model(scorecard: Scorecard) -> list[str]:
    """What explains the differences between several models and frameworks."""
    comparison = scorecard.comparison
    if comparison is None:
        return []
    tasks = Counter(task for task, _ in comparison.cases)
    cases = ", ".join(f"{number} of {escape(task)}" for task, number in tasks.items())
    said = f"The cases are {cases}."
    measured = {"score": comparison.score_shares, "passing": comparison.pass_shares}
    known = {name: shares for name, shares in measured.items() if shares}
    rows = [
        [source, *(shown(shares.sources[source]) for shares in known.values()), meaning]
        for source, meaning in SOURCES.items()
        if any(source in shares.sources for shares in known.values())
    ]
    header = ["source", *(f"variance in {name}" for name in known), "it is that"]
    shares = [table(header, rows, text_columns=1)] if known else []
    found = escape(in_words(comparison, scorecard.titles), limit=2000)
    return ["## Framework or model?", f"{found} {said}", *shares]


def model(scorecard: Scorecard, name: str) -> list[str]:
    """One model: what it is, what failed, and a table of all frameworks with ties."""
    about = [text] if (text := about_model(name, scorecard.outdated_models)) else []
    said = [words.failures(scorecard, name), words.correctness(scorecard, name)]
    summary = escape(" ".join(sentence for sentence in said if sentence), limit=2000)
    lacks = words.not_implemented(scorecard, name, None)
    said_last = [escape(lacks, limit=2000)] if lacks else []
    judged = [part for judge in tables.judged_cells(scorecard.totals, name) for part in _judged(scorecard, *judge)]
    return [f"## Model {escape(name)}", *about, summary, _table(scorecard, name), *said_last, *judged]


def _judged(scorecard: Scorecard, judge: str, cells: Sequence[tuple[Cell, Figures]]) -> list[str]:
    """What a judge says of a model's runs, beside the rules."""
    rows = [
        [
            escape(scorecard.frameworks[cell.framework].title),
            tables.RATE.show(cell.metrics),
            *(show(figures) for _, show in tables.JUDGE_COLUMNS),
        ]
        for cell, figures in cells
    ]
    said = (
        f"Judged by the model {escape(judge)}, beside the rules ([what that is worth](docs/judge.md)); what it says of "
        "each run stands on the site."
    )
    return [said, table(["framework", "by the rules", *(title for title, _ in tables.JUDGE_COLUMNS)], rows)]


def _table(scorecard: Scorecard, model: str) -> str:
    totals = [cell for cell in scorecard.totals if cell.model == model]
    tasks = list(dict.fromkeys(cell.task for cell in scorecard.cells if cell.model == model and cell.task))
    of_task = {(cell.framework, cell.task): cell.metrics for cell in scorecard.cells if cell.model == model}
    pairs = pairs_of(scorecard, model, None)
    letters = letters_of(pairs)
    repeated = any(len(cell.pass_hat) > 1 for cell in totals)
    tallies = _tallies(scorecard, model, tasks)
    rows = [
        [
            _name(scorecard.frameworks[cell.framework]),
            *(
                _passed(of_task.get((cell.framework, task)), task, scorecard.frameworks[cell.framework])
                for task in tasks
            ),
            *(of_row.get(cell.framework, "–") for of_row in tallies.values()),
            *(tables.tied(column, cell.metrics, letters.get((column.compared, cell.framework))) for column in _COLUMNS),
            *([_pass_hat(cell)] if repeated else []),
        ]
        for cell in totals
    ]
    of_references = {(row.reference, row.task): row for row in scorecard.references if row.model == model}
    rows += [
        [
            f"*{escape(row.reference.title)}*",
            *(tables.PASSED.show(of_references[row.reference, task].metrics) for task in tasks),
            *(of_row.get(row.reference.title, "–") for of_row in tallies.values()),
            *(tables.of_reference(column, row) for column in _COLUMNS),
            *([""] if repeated else []),
        ]
        for row in scorecard.references_of(model, None)
    ]
    before = [""] * (len(tasks) + len(tallies))
    rows += [[*row, *([""] if repeated else [])] for row in _limits(pairs, before)]
    header = ["framework", *(f"passed {escape(task)}" for task in tasks), *map(escape, tallies)]
    return table([*header, *(column.title for column in _COLUMNS), *(["pass^k"] if repeated else [])], rows)


def _tallies(scorecard: Scorecard, model: str, tasks: Sequence[str]) -> dict[str, dict[str, str]]:
    """Columns of passed runs by level and of components, each by framework or by what a reference is called.

    There are none where all runs passed. Of tasks that have the same components, as those with tools have, these are
    on the site only.
    """
    if all(cell.metrics["passed"] == cell.metrics["runs"] for cell in scorecard.totals if cell.model == model):
        return {}
    of_tasks = {task: breakdown.components(scorecard, model, task) for task in tasks}
    known = Counter(frozenset(found.columns) for found in of_tasks.values() if found)
    found = {"": breakdown.levels(scorecard, model, None)}
    found |= {f"{task} ": one for task, one in of_tasks.items() if one and known[frozenset(one.columns)] == 1}
    return {
        f"{prefix}{column}": {
            row.framework or row.title: str(tally) for row in one.rows if (tally := row.tallies[number]) is not None
        }
        for prefix, one in found.items()
        if one
        for number, column in enumerate(one.columns)
    }


_OWN_COUNT = Column("own count", words.own_count)

_COLUMNS = (
    *(tables.RATE, tables.SCORE, tables.WALL, tables.OVERHEAD, tables.CALLS, tables.TOKENS, tables.INJECTED),
    _OWN_COUNT,
)


def _name(notes: FrameworkNotes) -> str:
    return f"{escape(notes.title)} {raised(words.deviation_numbers(notes))}".strip()


def _passed(metrics: Mapping[str, Value] | None, task: str | None, notes: FrameworkNotes) -> str:
    if metrics:
        return tables.PASSED.show(metrics)
    return "not implemented" if task in dict(notes.not_implemented) else "–"


def _pass_hat(cell: Cell) -> str:
    return f"{cell.pass_hat[-1]:.0%} (k = {len(cell.pass_hat)})" if len(cell.pass_hat) > 1 else "–"


def _limits(pairs: Sequence[Pair], before: Sequence[str]) -> list[list[str]]:
    """Rows that say from where on a difference is found, and what chance makes of the baseline's trials."""
    if not pairs:
        return []
    names = [compared.name for compared in COMPARED]
    return [
        [f"*{name}*", *before, *(values[names.index(one.compared)] if one.compared else "" for one in _COLUMNS)]
        for name, values in tables.limits(pairs).items()
    ]
