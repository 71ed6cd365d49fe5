"""What model calls cost: pure functions of tokens and a price list.

The price list is the data inside the package genai-prices; it is never fetched. A cost is given only where
that list knows the model and the tokens are known: None means unknown, never free.
"""

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from evaluator.errors import Mistake
from evaluator.providers import endpoints
from evaluator.trace import Trace

if TYPE_CHECKING:  # the package takes half a second to import, and most runs have no price
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one model call. `cached` are those of the prompt that came from the upstream's cache.

    `cached` is None where the upstream does not say.
    """

    prompt: int
    completion: int
    cached: int | None = None


@dataclass(frozen=True)
class PricedModel:
    """A model of the price list: the name that it was asked for by, and its provider and entry in that list."""

    name: str
    provider: str
    entry: str


@dataclass(frozen=True)
class Rates:
    """Prices in US dollars for a million tokens.

    `cached` is None where the list has no price of its own for cached tokens: they cost what others cost.
    `higher_above` is the length of prompt, in tokens, above which a call has higher prices, if there are such.
    """

    prompt: float
    cached: float | None
    completion: float
    higher_above: int | None


def price_list() -> str:
    """The price list and its version, such as `genai-prices 0.2.3`."""
    return f"genai-prices {version('genai-prices')}"


@cache
def find(name: str) -> PricedModel:
    """The model `ENDPOINT/MODEL` or `PROVIDER/MODEL` of the price list. Raises `Mistake`."""
    first, _, model = name.partition("/")
    providers = _providers()
    if (provider := providers.get(first)) and (entry := _entry(provider, model)):
        return PricedModel(name, provider, entry.id)
    near = _nearest(model, {first: provider}) if provider else _nearest(model or name, providers)
    instead = f"the nearest there are {', '.join(near)}" if near else "name one as in openai/gpt-5-mini"
    raise Mistake(f"--prices {name!r}: {price_list()} has no price for it; {instead}")


def _providers() -> dict[str, str]:
    """The providers of the price list, by the names of shipped endpoints and by their own."""
    from genai_prices.data_snapshot import get_snapshot

    of_endpoints = {name: table.price_key for name, table in endpoints.shipped().items() if table.price_key}
    return of_endpoints | {one.id: one.id for one in get_snapshot().providers}


def _nearest(model: str, providers: Mapping[str, str]) -> list[str]:
    """The models of `providers` with a price whose names are most like `model`."""
    from genai_prices.data_snapshot import get_snapshot

    models = {one.id: [entry.id for entry in one.models] for one in get_snapshot().providers}
    found: dict[str, PricedModel] = {}
    for name, provider in providers.items():
        for entry in models[provider]:
            for called in (entry, entry.rpartition("/")[2]):  # in some lists a maker stands first: qwen/qwen3-8b
                found.setdefault(called, PricedModel(f"{name}/{entry}", provider, entry))
    near = (found[called] for called in difflib.get_close_matches(model.lower(), found, _NEAREST))
    return list(dict.fromkeys(one.name for one in near if _entry(one.provider, one.entry)))


@cache
def _entry(provider: str, model: str) -> "ModelInfo | None":
    """The model's entry in the price list, if it has prices for prompts and completions."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, entry = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    prices = [one.prices for one in entry.prices] if isinstance(entry.prices, list) else [entry.prices]
    known = any(one.input_mtok is not None and one.output_mtok is not None for one in prices)
    return entry if known else None


def rates(model: PricedModel, at: datetime) -> Rates | None:
    """The prices of a model at a time; None where it has none for prompts and completions then."""
    entry = _entry(model.provider, model.entry)
    if entry is None:
        return None
    prices = entry.get_prices(at)
    if prices.input_mtok is None or prices.output_mtok is None:
        return None
    tiers = [] if isinstance(prices.input_mtok, Decimal) else prices.input_mtok.tiers
    return Rates(
        prompt=_lowest(prices.input_mtok),
        cached=None if prices.cache_read_mtok is None else _lowest(prices.cache_read_mtok),
        completion=_lowest(prices.output_mtok),
        higher_above=tiers[0].start if tiers else None,
    )


def _lowest(price: "Decimal | TieredPrices") -> float:
    return float(price if isinstance(price, Decimal) else price.base)


def cost_usd(provider: str, model: str, tokens: Tokens, at: datetime) -> float | None:
    """The price of one model call in US dollars, at the prices of that time; None where the list has none.

    `provider` and `model` are named as in the price list. The time matters: prices change, and some
    depend on the hour.
    """
    entry = _entry(provider, model)
    prices = entry.get_prices(at) if entry else None
    if prices is None or prices.input_mtok is None or prices.output_mtok is None:
        return None
    if (linear := _LINEAR.get(id(prices))) is None:
        linear = _LINEAR[id(prices)] = _Linear(prices)
    return linear.cost_usd(tokens)


class _Linear:
    """The prices of one model as a constant and a factor for each kind of token, by length of prompt.

    They are read off the price list's own computation, which takes 50 times as long, and are exact: decimals all along.
    """

    def __init__(self, prices: "ModelPrice") -> None:
        self._prices = prices
        tiered = (price for price in vars(prices).values() if price is not None and not isinstance(price, Decimal))
        self._starts = sorted({tier.start for price in tiered for tier in price.tiers})
        self._factors: dict[tuple[int, bool], tuple[Decimal, ...] | None] = {}

    def cost_usd(self, tokens: Tokens) -> float | None:
        """What one call costs in US dollars; None where the list cannot tell."""
        cached = tokens.cached or 0
        if cached > tokens.prompt:  # a contradiction, if the list looks at what is cached
            listed = self._listed(tokens)
            return None if listed is None else float(listed)
        which = bisect_left(self._starts, tokens.prompt), tokens.cached is not None
        if which not in self._factors:
            self._factors[which] = self._read_off(*which)
        if (factors := self._factors[which]) is None:
            return None
        constant, prompt, of_cached, completion = factors
        return float(constant + tokens.prompt * prompt + cached * of_cached + tokens.completion * completion)

    def _read_off(self, tier: int, caches: bool) -> tuple[Decimal, ...] | None:
        """Constant, and factors of prompt, cached and completion tokens, for prompts of the tier's length."""
        first = (self._starts[tier - 1] if tier else 0) + 1  # the shortest prompt of which one token may be cached
        none, one = (0, 1) if caches else (None, None)
        asked = ((first, 0, none), (first + 1, 0, none), (first, 0, one), (first, 1, none))
        at, longer, with_cached, with_completion = (self._listed(Tokens(*tokens)) for tokens in asked)
        if at is None or longer is None or with_cached is None or with_completion is None:
            return None
        prompt = longer - at
        return at - first * prompt, prompt, with_cached - at, with_completion - at

    def _listed(self, tokens: Tokens) -> Decimal | None:
        from genai_prices import Usage

        usage = Usage(input_tokens=tokens.prompt, cache_read_tokens=tokens.cached, output_tokens=tokens.completion)
        try:
            return self._prices.calc_price(usage)["total_price"]
        except ValueError:  # counts that contradict one another
            return None


_LINEAR: dict[int, _Linear] = {}
"""By the id of the prices, which stay: the price list is not loaded twice."""


def calls_cost_usd(provider: str, model: str, calls: Iterable[Tokens], at: datetime) -> float | None:
    """What several calls cost in US dollars; None where that is not known for each of them.

    Each call counts by itself, because some prices depend on the length of a prompt, and some are for a call.
    """
    total = 0.0
    for tokens in calls:
        cost = cost_usd(provider, model, tokens, at)
        if cost is None:
            return None
        total += cost
    return total


@cache
def price_key(model: str) -> tuple[str, str] | None:
    """Provider and model in the price list, for the name of a model in a trace.

    Derived from the shipped endpoints alone, so that the same traces have the same costs everywhere.
    """
    name, _, of_endpoint = model.partition("/")
    table = endpoints.shipped().get(name)
    return (table.price_key, of_endpoint) if table and table.price_key and of_endpoint else None


def of_endpoint(name: str, at: datetime) -> PricedModel | None:
    """The model `ENDPOINT/MODEL` of any endpoint, the user's own ones included; None where it has no price then.

    Raises `Mistake` where the user's own file of endpoints cannot be used.
    """
    endpoint, _, model = name.partition("/")
    table = endpoints.endpoints().get(endpoint)
    if table is None or table.price_key is None or not model:
        return None
    found = PricedModel(name, table.price_key, model)
    return found if rates(found, at) else None


def chat_tokens(trace: Trace) -> tuple[Tokens, ...] | None:
    """The tokens of each chat call of a run; None where an answered call came without them.

    A failed call without them is left out: what it cost, if anything, nobody knows.
    """
    calls = []
    for call in trace.chats:
        if call.input_tokens is not None and call.output_tokens is not None:
            calls.append(Tokens(call.input_tokens, call.output_tokens, call.cached_tokens))
        elif call.answered:
            return None
    return tuple(calls)


def started_at(trace: Trace) -> datetime | None:
    """When a run began, in UTC if it does not say where; None where the trace does not say so in ISO 8601."""
    try:
        at = datetime.fromisoformat(trace.setup.started_at)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def run_cost_usd(trace: Trace) -> float | None:
    """What the chat calls of a run cost in US dollars on the model that was used; None where that is not known.

    Only tokens that the upstream counted will do. What it does not say came from its cache costs the full price.
    A run that made no call cost nothing.
    """
    key, calls, at = price_key(trace.key.model), chat_tokens(trace), started_at(trace)
    if key is None or calls is None or at is None or _entry(*key) is None:
        return None
    if any(call.usage_source == "counted" for call in trace.chats):
        return None
    return calls_cost_usd(*key, calls, at)
