"""Values in words, and the columns and rows that the tables for people have in common."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from evaluator.analysis.metrics import Value
from evaluator.analysis.parity.report import per_call
from evaluator.analysis.repricing import Cost
from evaluator.probes.behaviours import Shared, shared
from evaluator.scorecard.content import Cell, Scorecard


def seconds(value: Value) -> str:
    """A duration given in seconds: in ms below one second."""
    if value is None:
        return "–"
    if value < 0.9995:
        return f"{value * 1000:.1f} ms" if value < 0.00995 else f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"


def count(value: Value) -> str:
    """A count or a mean of counts: one decimal below 100, if it has any."""
    if value is None:
        return "–"
    return f"{value:,.1f}".removesuffix(".0") if value < 99.95 else f"{value:,.0f}"


def per_1000_runs(cost_usd: Value) -> str:
    """The cost of a thousand runs in US dollars, to three digits."""
    return "–" if cost_usd is None else f"{float(f'{1000 * cost_usd:.3g}'):,}".removesuffix(".0")


def per_1000_runs_on(cost: Cost) -> str:
    """`1.23 (0.45)`: the cost of a thousand runs in US dollars without a cache, and if another, with one."""
    with_cache = "" if cost.cached in (None, cost.uncached) else f" ({per_1000_runs(cost.cached)})"
    return f"{per_1000_runs(cost.uncached)}{with_cache}"


def pass_rate(metrics: Mapping[str, Value]) -> str:
    """`88% [53–98]`: the rate and its 95 % interval, in per cent."""
    rate, low, high = (100 * (metrics[name] or 0) for name in ("pass_rate", "pass_rate_low", "pass_rate_high"))
    return f"{rate:.0f}% [{low:.0f}–{high:.0f}]"


def discrepancy(value: Value) -> str:
    """By how much a count is off, in per cent."""
    if value is None:
        return "–"
    return f"{100 * value:+.1f} %".replace("-", "−") if value else "exact"


@dataclass(frozen=True)
class Column:
    """One column of the tables for people. `in_terminal` tells whether 100 columns have room for it."""

    title: str
    show: Callable[[Mapping[str, Value]], str]
    in_terminal: bool = True


COLUMNS = (
    Column("cases", lambda metrics: count(metrics["cases"])),
    Column("passed", lambda metrics: f"{metrics['passed']}/{metrics['runs']}"),
    Column("pass rate [95%]", pass_rate),
    Column("mean score", lambda metrics: f"{metrics['mean_score'] or 0:.0%}", in_terminal=False),
    Column("wall p50", lambda metrics: seconds(metrics["wall_s_p50"])),
    Column("model p50", lambda metrics: seconds(metrics["model_s_p50"])),
    Column("tools p50", lambda metrics: seconds(metrics["tool_s_p50"]), in_terminal=False),
    Column("gateway p50", lambda metrics: seconds(metrics["gateway_s_p50"]), in_terminal=False),
    Column("overhead p50", lambda metrics: seconds(metrics["overhead_s_p50"])),
    Column("model calls", lambda metrics: count(metrics["model_calls_mean"])),
    Column("prompt tokens", lambda metrics: count(metrics["prompt_tokens_mean"])),
    Column("injected / call", lambda metrics: per_call(metrics["injected_tokens_per_call"]), in_terminal=False),
    Column("completion tokens", lambda metrics: count(metrics["completion_tokens_mean"]), in_terminal=False),
    Column("source lines", lambda metrics: count(metrics["source_lines"])),
)


MODEL_COLUMNS = (
    Column("passed", lambda metrics: f"{metrics['passed']}/{metrics['runs']}"),
    Column("pass rate [95%]", pass_rate),
    Column("mean score", lambda metrics: f"{metrics['mean_score'] or 0:.0%}"),
    Column("wall p50", lambda metrics: seconds(metrics["wall_s_p50"])),
    Column("model p50", lambda metrics: seconds(metrics["model_s_p50"]), in_terminal=False),
    Column("overhead p50", lambda metrics: seconds(metrics["overhead_s_p50"])),
    Column("prompt tokens", lambda metrics: count(metrics["prompt_tokens_mean"])),
    Column("completion tokens", lambda metrics: count(metrics["completion_tokens_mean"])),
    Column("$ / 1,000 runs", lambda metrics: per_1000_runs(metrics["cost_usd_mean"])),
)
"""The columns of the table of models."""


def by_task(cells: Iterable[Cell], model: str) -> list[tuple[str, list[Cell]]]:
    """The tables of a model: the title and the cells of each."""
    of_model = (cell for cell in cells if cell.model == model)
    return [(task or "all tasks", list(group)) for task, group in groupby(of_model, key=lambda cell: cell.task)]


def not_implemented(scorecard: Scorecard, model: str, task: str | None) -> str | None:
    """Who does not implement the task, or with None any of the model's tasks, and why; None where all do."""
    tasks = {cell.task for cell in scorecard.cells if cell.model == model and task in (None, cell.task)}
    lacks = [
        ("" if task else f"{lacked} by ") + notes.title + (f" ({why})" if why else "")
        for notes in scorecard.frameworks.values()
        for lacked, why in notes.not_implemented
        if lacked in tasks
    ]
    if not lacks:
        return None
    return f"Not implemented{' by' if task else ':'} {'; '.join(lacks)}."


def by_probe(scorecard: Scorecard, show: Callable[[str], str]) -> list[tuple[str, Shared]]:
    """The rows of the table of behaviours; the first of each probe has its name and meaning."""
    rows = shared(scorecard.behaviours)
    firsts = {id(next(group)) for _, group in groupby(rows, key=lambda row: row.probe)}
    return [(f"{show(row.probe)}: {show(row.meaning)}" if id(row) in firsts else "", row) for row in rows]


def who(scorecard: Scorecard, row: Shared) -> str:
    """The frameworks that behave like this."""
    if {name for name, tasks in row.frameworks if tasks is None} == {one.framework for one in scorecard.behaviours}:
        return "all"
    return ", ".join(
        scorecard.frameworks[name].title + (f" ({', '.join(tasks)})" if tasks else "") for name, tasks in row.frameworks
    )
