"""What runs would have cost on other models, by the price list that is installed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from factories import key, model_call, setup, trace
from genai_prices.data import providers

from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.analysis.repricing import (
    DEFAULT_MODELS,
    Cost,
    Repricing,
    Row,
    as_data,
    price_run,
    reprice,
)
from evaluator.catalog.tasks import all_tasks
from evaluator.providers.prices import find, price_list
from evaluator.trace import ModelCall

TASK = all_tasks()["tool_calling"]
MODELS = ("openai/gpt-5-mini", "groq/llama-3.1-8b-instant")


def call(prompt: int | None, completion: int | None = 0, cached: int | None = None, **changes: Any) -> ModelCall:
    return model_call(0, 0, 1, 1, input_tokens=prompt, output_tokens=completion, cached_tokens=cached, **changes)


def run(*calls: ModelCall, case: str = "a", framework: str = "baseline", at: str | None = None) -> GradedRun:
    made = trace(key(case, framework=framework, model="local"), model_calls=list(calls))
    return grade_run(made.model_copy(update={"setup": setup(started_at=at)}) if at else made, TASK)


def repriced(*runs: GradedRun, models: tuple[str, ...] = MODELS) -> Repricing:
    found = priced(runs, *models)
    assert found is not None
    return found


def priced(runs: Sequence[GradedRun], *names: str) -> Repricing | None:
    models = [find(name) for name in names]
    return reprice([(one, price_run(one, models)) for one in runs], models)


def total(repricing: Repricing, framework: str = "baseline") -> Row:
    (row,) = [row for row in repricing.rows if row.framework == framework and row.task is None]
    return row


def by_hand(provider: str, model: str, prompt: int, cached: int, completion: int) -> float:
    """Tokens times the prices that stand in the price data, without its own arithmetic."""
    (entry,) = [m for p in providers if p.id == provider for m in p.models if m.id == model]
    prices = entry.get_prices(datetime(2025, 1, 2, tzinfo=UTC))
    full, of_cached, out = prices.input_mtok, prices.cache_read_mtok, prices.output_mtok
    assert isinstance(full, Decimal) and isinstance(out, Decimal)
    assert of_cached is None or isinstance(of_cached, Decimal)
    cost = (prompt - cached) * full + cached * (full if of_cached is None else of_cached) + completion * out
    return float(cost / 1_000_000)


def test_the_cost_is_tokens_times_prices() -> None:
    row = total(repriced(run(call(3000, 50, 1000), call(4000, 100, 2000)), run(call(1000, 30, 0), case="b")))
    on_mini, on_llama = row.costs
    assert on_mini.uncached == pytest.approx(by_hand("openai", "gpt-5-mini", 8000, 0, 180) / 2)
    assert on_mini.cached == pytest.approx(by_hand("openai", "gpt-5-mini", 8000, 3000, 180) / 2)
    assert on_llama.uncached == pytest.approx(by_hand("groq", "llama-3.1-8b-instant", 8000, 0, 180) / 2)
    assert on_mini.cached is not None and on_mini.uncached is not None and on_mini.cached < on_mini.uncached
    # Without a price of their own, cached tokens cost what all do.
    assert on_llama.cached == on_llama.uncached
    assert (row.runs, row.priced, row.prompt_tokens, row.completion_tokens) == (2, 2, 4000, 90)


def test_without_word_of_a_cache_there_is_no_cost_with_one() -> None:
    (cost,) = total(repriced(run(call(1_000_000)), models=("openai/gpt-5-mini",))).costs
    assert cost == Cost(uncached=0.25, cached=None)


def test_each_call_has_the_price_of_its_own_length() -> None:
    pro = ("gemini/gemini-2.5-pro",)  # dearer above 200 000 prompt tokens
    assert total(repriced(run(call(150_000), call(150_000)), models=pro)).costs[0].uncached == 0.375
    assert total(repriced(run(call(300_000)), models=pro)).costs[0].uncached == 0.75


def test_each_run_has_the_prices_of_its_own_time() -> None:
    found = repriced(
        run(call(1_000_000), at="2025-05-15T12:00:00Z"),
        run(call(1_000_000), case="b", at="2025-07-15T12:00:00"),  # no zone: UTC
        models=("openai/o3",),
    )
    assert total(found).costs[0].uncached == 6.0  # $10 and $2
    (rates,) = found.rates
    assert rates is not None and rates.prompt == 2.0 and found.time == datetime(2025, 7, 15, 12, tzinfo=UTC)


def test_runs_without_tokens_are_counted_and_left_out_of_the_mean() -> None:
    found = repriced(
        run(call(1_000_000)),
        run(call(None, None), case="b"),
        run(call(1_000_000), case="c", at="yesterday"),
        run(case="d"),  # failed before its first call: no cost, and not left out
        run(call(1_000_000), call(None, None, status=429, error="rate_limit"), case="e"),
        run(call(1_000_000, usage_source="counted"), case="f"),
        models=("openai/gpt-5-mini",),
    )
    row = total(found)
    assert (row.runs, row.priced, row.prompt_tokens) == (6, 4, 750_000)
    assert row.costs[0].uncached == pytest.approx(0.75 * 0.25)


def test_where_no_tokens_are_known_there_is_no_cost() -> None:
    found = repriced(run(call(10)), run(call(None, None), framework="x"))
    row = total(found, "x")
    assert (row.runs, row.priced, row.prompt_tokens) == (1, 0, None)
    assert row.costs == (Cost(None, None), Cost(None, None))
    assert as_data(found)["rows"][1]["costs"]["openai/gpt-5-mini"] == {
        "usd_mean_uncached": None,
        "usd_mean_cached": None,
    }


def test_rows_are_for_each_framework_and_each_of_its_tasks() -> None:
    found = repriced(run(call(10)), run(call(10), framework="x"), run(call(10), case="b"))
    cells = [(row.model, row.framework, row.task, row.runs) for row in found.rows]
    assert cells == [
        ("local", "baseline", None, 2),
        ("local", "x", None, 1),
        ("local", "baseline", "tool_calling", 2),
        ("local", "x", "tool_calling", 1),
    ]


def test_nothing_to_price() -> None:
    assert priced([], "openai/gpt-5-mini") is None
    assert priced([run(call(10))]) is None
    assert priced([run(call(None, None))], "openai/gpt-5-mini") is None


def test_the_models_by_default_have_prices() -> None:
    found = repriced(run(call(1000, 10)), models=DEFAULT_MODELS)
    assert all(found.rates) and all(cost.uncached for cost in total(found).costs)


def test_as_data_the_costs_have_names() -> None:
    data = as_data(repriced(run(call(1_000_000, 0, 500_000))))
    assert data["price_list"] == price_list()
    assert data["models"][0] == {
        "name": "openai/gpt-5-mini",
        "provider": "openai",
        "entry": "gpt-5-mini",
        "usd_per_million_tokens": {"prompt": 0.25, "cached": 0.025, "completion": 2.0, "higher_above": None},
    }
    assert data["rows"][0]["costs"] == {
        "openai/gpt-5-mini": {"usd_mean_uncached": 0.25, "usd_mean_cached": 0.1375},
        "groq/llama-3.1-8b-instant": {"usd_mean_uncached": 0.05, "usd_mean_cached": 0.05},
    }
