"""What model calls cost, by the price list that is installed."""

from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from factories import key, model_call, setup, trace
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot

from evaluator.analysis.graded_run import grade_run
from evaluator.analysis.metrics import CellRuns, measure
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.providers.prices import (
    PricedModel,
    Rates,
    Tokens,
    cost_usd,
    find,
    of_endpoint,
    price_key,
    price_list,
    rates,
    run_cost_usd,
)
from evaluator.trace import ModelCall, Trace

THEN = datetime(2026, 1, 1, 12, tzinfo=UTC)
MILLION = 1_000_000


def test_prompt_cached_and_completion_tokens_have_their_own_prices() -> None:
    # $0.25 and $2.00 a million, and a tenth of the first where the prompt came from the cache.
    cost = cost_usd("openai", "gpt-5-mini", Tokens(prompt=MILLION, completion=MILLION, cached=MILLION // 2), THEN)
    assert cost == pytest.approx(0.125 + 0.0125 + 2.00)
    assert price_list().startswith("genai-prices 0.")


def test_costs_are_to_the_last_bit_those_of_the_price_list() -> None:
    """For every model that the list has a price for, also just below and above each length at which prices change."""
    checked = 0
    for provider in get_snapshot().providers:
        for entry in provider.models:
            if (found := rates(PricedModel("", provider.id, entry.id), THEN)) is None:
                continue
            listed = entry.get_prices(THEN)
            border = found.higher_above or 1000
            for prompt, cached in product((0, 1, 17, border, border + 1, 3 * border), (None, 0, 1, 13, 10**9)):
                usage = Usage(input_tokens=prompt, cache_read_tokens=cached, output_tokens=prompt % 7)
                try:
                    wanted = float(listed.calc_price(usage)["total_price"])
                except ValueError:
                    wanted = None
                tokens = Tokens(prompt, prompt % 7, cached)
                assert cost_usd(provider.id, entry.id, tokens, THEN) == wanted, (entry.id, tokens)
                checked += 1
    assert checked > 1000


def test_the_price_is_that_of_the_time() -> None:
    before, after = (
        cost_usd("openai", "o3", Tokens(MILLION, 0), datetime(2025, month, 15, tzinfo=UTC)) for month in (5, 7)
    )
    assert (before, after) == (10.0, 2.0)


@pytest.mark.parametrize(
    ("provider", "model", "tokens"),
    [
        ("openai", "no-such-model", Tokens(1, 1)),
        ("no-such-provider", "gpt-5-mini", Tokens(1, 1)),
        ("openai", "gpt-5-mini", Tokens(prompt=1, completion=1, cached=2)),
        ("openai", "text-embedding-3-small", Tokens(1, 1)),  # has no price for what it cannot do
    ],
)
def test_no_price_is_guessed(provider: str, model: str, tokens: Tokens) -> None:
    assert cost_usd(provider, model, tokens, THEN) is None


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("openai/gpt-5-mini", ("openai", "gpt-5-mini")),
        ("gemini/gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        ("openrouter/openai/gpt-5-mini", ("openrouter", "openai/gpt-5-mini")),
        ("ollama/qwen3:8b", None),
        ("local", None),
        ("scripted", None),
        ("openai", None),
        ("gpt-5-mini", None),
        ("mine/gpt-5-mini", None),
    ],
)
def test_the_price_key_comes_from_the_shipped_endpoints_alone(
    model: str, found: tuple[str, str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "models.toml"
    own.write_text('[endpoint.mine]\ntitle = "M"\nkind = "hosted"\nbase_url = "http://x/v1"\nprice_key = "openai"\n')
    monkeypatch.setenv("BAKEOFF_MODELS", str(own))
    assert price_key(model) == found


def call(prompt: int | None, completion: int | None = 0, **changes: Any) -> ModelCall:
    return model_call(0, 0, 1, 1, input_tokens=prompt, output_tokens=completion, cached_tokens=None, **changes)


def made(*calls: ModelCall, model: str = "openai/gpt-5-mini") -> Trace:
    return trace(key(model=model), model_calls=list(calls))


def test_a_run_costs_what_its_chat_calls_cost() -> None:
    embedding = call(MILLION, operation="embeddings")
    refused = call(None, None, status=429, error="rate_limit")
    run = made(call(MILLION), call(MILLION, MILLION), embedding, refused)
    assert run_cost_usd(run) == pytest.approx(0.25 + 0.25 + 2.00)
    cost = measure(CellRuns((grade_run(run, all_tasks()["tool_calling"]),), code=None))["cost_usd_mean"]
    assert cost == pytest.approx(2.5)


def test_each_call_has_the_price_of_its_own_length() -> None:
    pro = "gemini/gemini-2.5-pro"  # dearer above 200 000 prompt tokens
    short, long = made(call(150_000), call(150_000), model=pro), made(call(300_000), model=pro)
    assert run_cost_usd(short) == pytest.approx(0.3 * 1.25)
    assert run_cost_usd(long) == pytest.approx(0.3 * 2.50)


def test_a_run_that_failed_before_its_first_call_cost_nothing() -> None:
    assert run_cost_usd(made()) == 0


@pytest.mark.parametrize(
    "run",
    [
        made(call(10), model="local"),
        made(call(10), model="openai/no-such-model"),
        made(call(10), call(None, None)),
        made(call(10, usage_source="counted")),
        made(model="openai/no-such-model"),
        made(call(10)).model_copy(update={"setup": setup(started_at="yesterday")}),
    ],
    ids=[
        *("a model of one's own", "not in the list", "no usage", "not counted by the upstream"),
        *("no calls, and not in the list", "no time"),
    ],
)
def test_a_cost_that_is_not_known_is_none_and_not_zero(run: Trace) -> None:
    assert run_cost_usd(run) is None


@pytest.mark.parametrize(
    ("name", "provider", "entry"),
    [
        ("openai/gpt-5-mini", "openai", "gpt-5-mini"),
        ("gemini/gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("google/gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("openrouter/qwen/qwen-2.5-7b-instruct", "openrouter", "qwen/qwen-2.5-7b-instruct"),
        ("openai/gpt-5-mini-2025-08-07", "openai", "gpt-5-mini"),
    ],
)
def test_a_model_is_found_by_endpoint_or_by_provider(name: str, provider: str, entry: str) -> None:
    found = find(name)
    assert (found.name, found.provider, found.entry) == (name, provider, entry)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("openai/gpt-5-minni", "openai/gpt-5-mini"),
        ("gpt-5-mini", "openai/gpt-5-mini"),
        ("claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5"),
        ("gemini/gemini-2.5-flush", "gemini/gemini-2.5-flash"),
        ("google/gemini-2.5-flush", "google/gemini-2.5-flash"),
        ("ollama/qwen3:8b", "openrouter/qwen/qwen3-8b"),
        ("openai/text-embedding-3-small", None),  # has a price, but none for completions
        ("openai/", None),
        ("?", None),
    ],
)
def test_a_model_without_a_price_is_named_with_the_nearest(name: str, nearest: str | None) -> None:
    with pytest.raises(Mistake) as error:
        find(name)
    said = str(error.value)
    assert said.startswith(f"--prices {name!r}: {price_list()} has no price for it; ") and "\n" not in said
    _, found, names = said.partition("; the nearest there are ")
    assert nearest in names.split(", ") if nearest else "embedding" not in names
    assert all(find(one) for one in names.split(", ") if found)
    assert found or said.endswith("; name one as in openai/gpt-5-mini")


def test_rates_are_those_of_the_price_list() -> None:
    assert rates(find("openai/gpt-5-mini"), THEN) == Rates(0.25, 0.025, 2.0, higher_above=None)
    assert rates(find("gemini/gemini-2.5-pro"), THEN) == Rates(1.25, 0.125, 10.0, higher_above=200_000)
    assert rates(find("groq/llama-3.1-8b-instant"), THEN) == Rates(0.05, None, 0.08, higher_above=None)


def test_an_endpoint_of_the_users_own_has_the_prices_of_its_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "models.toml"
    own.write_text(
        '[endpoint.mine]\ntitle = "Mine"\nkind = "hosted"\nbase_url = "https://example.org/v1"\n'
        'key_variable = "MY_KEY"\nprice_key = "openai"\n'
    )
    assert of_endpoint("mine/gpt-5-mini", THEN) is None
    monkeypatch.setenv("BAKEOFF_MODELS", str(own))
    assert of_endpoint("mine/gpt-5-mini", THEN) == PricedModel("mine/gpt-5-mini", "openai", "gpt-5-mini")
    assert of_endpoint("mine/no-such-model", THEN) is None
    assert of_endpoint("gpt-5-mini", THEN) is None
