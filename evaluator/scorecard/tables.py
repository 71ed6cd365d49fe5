"""The columns and rows that the tables for people have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from evaluator.analysis.judge import Figures
from evaluator.analysis.metrics import Value
from evaluator.analysis.pairs import COMPARED, Pair
from evaluator.analysis.parity.report import per_call
from evaluator.catalog.frameworks import BASELINE
from evaluator.probes.behaviours import Shared, shared
from evaluator.providers.names import SCRIPTED, is_real
from evaluator.scorecard.content import Cell, ReferenceRow, Scorecard
from evaluator.scorecard.letters import detectable, tie_letters
from evaluator.scorecard.words import (
    agreement,
    beside_baseline,
    count,
    judged_of,
    judged_right,
    kappa,
    limit,
    pass_rate,
    per_1000_runs,
    percent,
    seconds,
)
from evaluator.text import raised


@dataclass(frozen=True)
class Column:
    """One column: its title and what it shows of a cell's metrics, and the one of `COMPARED` whose ties it shows."""

    title: str
    show: Callable[[Mapping[str, Value]], str]
    compared: str | None = None


def _of(title: str, show: Callable[[Value], str], metric: str, compared: str | None = None) -> Column:
    return Column(title, lambda metrics: show(metrics[metric]), compared)


CASES = _of("cases", count, "cases")
PASSED = Column("passed", lambda metrics: f"{metrics['passed']}/{metrics['runs']}", "pass_rate")
RATE = Column("pass rate [95%]", pass_rate, "pass_rate")
SCORE = _of("mean score", percent, "mean_score", "score")
WALL = _of("wall p50", seconds, "wall_s_p50", "wall_s")
MODEL_TIME = _of("model p50", seconds, "model_s_p50")
OVERHEAD = _of("overhead p50", seconds, "overhead_s_p50", "overhead_s")
CALLS = _of("model calls", count, "model_calls_mean")
PROMPT = _of("prompt tokens", count, "prompt_tokens_mean")
COMPLETION = _of("completion tokens", count, "completion_tokens_mean")
TOKENS = Column("prompt + completion tokens", lambda m: f"{PROMPT.show(m)} + {COMPLETION.show(m)}", "tokens")
INJECTED = _of("injected / call", per_call, "injected_tokens_per_call")
COST = _of("$ / 1,000 runs", per_1000_runs, "cost_usd_mean")
LINES = _of("source lines", count, "source_lines")
PACKAGES = _of("packages", count, "packages_max")
INSTALLED = _of("installed MB", count, "installed_mb_max")
IMPORT = _of("import p50", seconds, "import_s_p50")
IMPORTED_MEMORY = _of("MB after import", count, "memory_after_import_mb_p50")
PEAK_MEMORY = _of("peak MB", count, "peak_memory_mb_max")

CORRECTNESS = (CASES, PASSED, RATE, SCORE)
"""What the floors and the ceiling have, too."""

MODEL_COLUMNS = (PASSED, RATE, SCORE, WALL, MODEL_TIME, OVERHEAD, PROMPT, COMPLETION, COST)
"""Of the table of models."""


def tied(column: Column, metrics: Mapping[str, Value], letters: str | None) -> str:
    """A value with the letters of its ties, as Markdown; without a value over all tasks there is nothing to tie."""
    shown = column.show(metrics)
    return shown if shown == "–" else f"{shown} {raised(letters)}".strip()


def of_reference(column: Column, row: ReferenceRow) -> str:
    """What stands in a column of a floor's or the ceiling's row: nothing where it takes a run to know."""
    return column.show(row.metrics) if column in CORRECTNESS else ""


JUDGE_COLUMNS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("judged right [95%]", judged_right),
    ("of runs", judged_of),
    ("no verdict", lambda figures: count(figures.no_verdict)),
    ("agrees with rules", agreement),
    ("kappa", kappa),
)
"""Of the tables of judges: what a judge says of a cell's runs."""


def judged_cells(cells: Iterable[Cell], model: str) -> list[tuple[str, list[tuple[Cell, Figures]]]]:
    """The tables of a model's judges: the judge, and the cells of `cells` that it says something about."""
    found: dict[str, list[tuple[Cell, Figures]]] = {}
    for cell in cells:
        for figures in cell.judges if cell.model == model else ():
            found.setdefault(figures.judge, []).append((cell, figures))
    return sorted(found.items())


def by_task(cells: Iterable[Cell], model: str) -> list[tuple[str, list[Cell]]]:
    """The tables of a model: the title and the cells of each."""
    of_model = (cell for cell in cells if cell.model == model)
    return [(task or "all tasks", list(group)) for task, group in groupby(of_model, key=lambda cell: cell.task)]


def by_probe(scorecard: Scorecard) -> list[tuple[Shared, ...]]:
    """What the frameworks did, probe by probe: for each the most common behaviour first, what will not do last."""
    return [tuple(group) for _, group in groupby(shared(scorecard.behaviours), key=lambda row: row.probe)]


def who(scorecard: Scorecard, row: Shared) -> str:
    """The frameworks that behave like this."""
    if {name for name, tasks in row.frameworks if tasks is None} == {one.framework for one in scorecard.behaviours}:
        return "all"
    return ", ".join(
        scorecard.frameworks[name].title + (f" ({', '.join(tasks)})" if tasks else "") for name, tasks in row.frameworks
    )


def quiet_model(scorecard: Scorecard) -> str:
    """The model whose runs show best what a framework itself takes: the scripted one, if there is any run of it."""
    return SCRIPTED if SCRIPTED in scorecard.models else scorecard.models[0]


def asked_most(scorecard: Scorecard) -> str | None:
    """The real model with the most frameworks, and of those the one with the most runs; None without any."""
    runs = {
        model: [cell.metrics["runs"] or 0 for cell in scorecard.totals if cell.model == model]
        for model in scorecard.models
    }
    return max(filter(is_real, runs), key=lambda model: (len(runs[model]), sum(runs[model])), default=None)


def whole_code(scorecard: Scorecard) -> dict[str, Cell]:
    """The total of each framework that tells of its code. That is the same for all models: the most tasks count."""
    largest: dict[str, Cell] = {}
    for cell in scorecard.totals:
        lines, before = cell.metrics["source_lines"], largest.get(cell.framework)
        if lines is not None and (before is None or lines > (before.metrics["source_lines"] or 0)):
            largest[cell.framework] = cell
    return largest


@dataclass(frozen=True)
class Row:
    """A framework beside the baseline on `cases`, or the baseline itself.

    For each of `COMPARED`: the difference in words, and the letters of the ties.
    """

    framework: str
    cases: int | None
    cells: tuple[tuple[str, str], ...]


def rows(pairs: Sequence[Pair]) -> list[Row]:
    """The baseline, and each framework beside it."""
    against = [one for one in pairs if one.against == BASELINE]
    cases: dict[str, int] = {}
    for one in against:
        cases[one.framework] = max(one.cases, cases.get(one.framework, 0))
    found = {(one.framework, one.metric): beside_baseline(one) for one in against}
    tied = {compared: tie_letters(pairs, compared) for compared in COMPARED}
    return [
        Row(
            name,
            cases.get(name),
            tuple((found.get((name, compared.name), "–"), tied[compared].get(name, "")) for compared in COMPARED),
        )
        for name in (BASELINE, *cases)
    ]


def limits(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """For each of `COMPARED` from which difference on one is found, and the noise floor if there is one."""
    floors = {one.metric: one.noise_floor for one in pairs if one.against == BASELINE}
    known = {"found from": [limit(compared, detectable(compared, pairs)) for compared in COMPARED]}
    if any(floor is not None for floor in floors.values()):
        known["noise floor"] = [limit(compared, floors.get(compared.name)) for compared in COMPARED]
    return known
