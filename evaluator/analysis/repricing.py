"""What runs would have cost on other models: pure functions of graded runs and a price list."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from statistics import fmean
from typing import Any

from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.metrics import Value, rounded
from evaluator.providers.prices import (
    PricedModel,
    Rates,
    Tokens,
    calls_cost_usd,
    price_list,
    rates,
)

DEFAULT_MODELS = (
    "openai/gpt-5-mini",
    "anthropic/claude-sonnet-4-5",
    "gemini/gemini-2.5-flash",
    "openrouter/qwen/qwen-2.5-7b-instruct",
)
"""Models of several makers and prices. The last is of the family of the embedded ones, and has their tokenizer."""


@dataclass(frozen=True)
class Cost:
    """The mean cost of a run in US dollars.

    `uncached` is if no prompt token had come from a cache, `cached` if as many had as with the model used.
    `cached` is None where the model used did not say how many.
    """

    uncached: Value
    cached: Value


@dataclass(frozen=True)
class Row:
    """One framework × task, or with `task` None one framework over all tasks, on the model used.

    `priced` of the `runs` have tokens that are known, and the means are over these. `costs` has one for each
    of the models asked about, in their order.
    """

    model: str
    framework: str
    task: str | None
    runs: int
    priced: int
    prompt_tokens: Value
    completion_tokens: Value
    costs: tuple[Cost, ...]


@dataclass(frozen=True)
class Repricing:
    """The costs of all runs on the `models`. `rates` are those at the `time` of the newest run; None where none."""

    price_list: str
    models: tuple[PricedModel, ...]
    time: datetime
    rates: tuple[Rates | None, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Priced:
    """A run whose tokens and time are known, and what it would have cost on each model: uncached, and cached."""

    calls: tuple[Tokens, ...]
    uncached: tuple[float | None, ...]
    cached: tuple[float | None, ...]


_Cell = tuple[str, str, str | None]
"""Model, framework, and task if it is one."""


def reprice(runs: Iterable[tuple[GradedRun, Priced | None]], models: Sequence[PricedModel]) -> Repricing | None:
    """The costs of `runs`, each with what `price_run` gives on `models`; None where there is nothing to price."""
    totals: dict[_Cell, list[Priced | None]] = defaultdict(list)
    of_tasks: dict[_Cell, list[Priced | None]] = defaultdict(list)
    times = []
    for run, priced in runs:
        totals[run.key.model, run.key.framework, None].append(priced)
        of_tasks[run.key.model, run.key.framework, run.key.task].append(priced)
        if priced and run.started_at:
            times.append(run.started_at)
    if not times or not models:
        return None
    return Repricing(
        price_list=price_list(),
        models=tuple(models),
        time=max(times),
        rates=tuple(rates(model, max(times)) for model in models),
        rows=tuple(_row(*cell, of_cell, len(models)) for cell, of_cell in (totals | of_tasks).items()),
    )


def price_run(run: GradedRun, models: Sequence[PricedModel]) -> Priced | None:
    """What a run would have cost on each of `models`; None where its tokens or its time are not known."""
    at, calls = run.started_at, run.chat_tokens
    if at is None or calls is None:
        return None

    def on_all(of_run: Sequence[Tokens]) -> tuple[float | None, ...]:
        return tuple(calls_cost_usd(model.provider, model.entry, of_run, at) for model in models)

    return Priced(calls, uncached=on_all([replace(tokens, cached=None) for tokens in calls]), cached=on_all(calls))


def _row(model: str, framework: str, task: str | None, runs: Sequence[Priced | None], others: int) -> Row:
    priced = [run for run in runs if run]
    told = any(tokens.cached is not None for run in priced for tokens in run.calls)
    return Row(
        model=model,
        framework=framework,
        task=task,
        runs=len(runs),
        priced=len(priced),
        prompt_tokens=_mean([sum(tokens.prompt for tokens in run.calls) for run in priced]),
        completion_tokens=_mean([sum(tokens.completion for tokens in run.calls) for run in priced]),
        costs=tuple(
            Cost(_mean([run.uncached[i] for run in priced]), _mean([run.cached[i] for run in priced]) if told else None)
            for i in range(others)
        ),
    )


def _mean(values: Sequence[float | None]) -> Value:
    """The mean; None where there is no value, or one is not known."""
    known = [value for value in values if value is not None]
    return rounded(fmean(known)) if known and len(known) == len(values) else None


def as_data(repricing: Repricing) -> dict[str, Any]:
    """The costs for `scorecard.json`."""
    return {
        "price_list": repricing.price_list,
        "models": [
            {**asdict(model), "usd_per_million_tokens": asdict(one) if one else None}
            for model, one in zip(repricing.models, repricing.rates, strict=True)
        ],
        "rates_at": repricing.time.isoformat(),
        "rows": [
            {
                **asdict(row),
                "costs": {
                    model.name: {"usd_mean_uncached": cost.uncached, "usd_mean_cached": cost.cached}
                    for model, cost in zip(repricing.models, row.costs, strict=True)
                },
            }
            for row in repricing.rows
        ],
    }
