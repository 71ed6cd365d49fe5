"""What model calls cost: pure functions of tokens and a price list.

The price list is the data inside the package genai-prices; it is never fetched. A cost is given only where
that list knows the model and the upstream counted the tokens: None means unknown, never free.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version

from evaluator import endpoints
from evaluator.trace import Trace


@dataclass(frozen=True)
class Tokens:
    """The tokens of one model call. `cached` are those of the prompt that came from the upstream's cache."""

    prompt: int
    completion: int
    cached: int = 0


def price_list() -> str:
    """The price list and its version, such as `genai-prices 0.2.3`."""
    return f"genai-prices {version('genai-prices')}"


def cost_usd(provider: str, model: str, tokens: Tokens, at: datetime) -> float | None:
    """The price of one model call in US dollars, at the prices of that time; None where the list has none.

    `provider` and `model` are named as in the price list. The time matters: prices change, and some
    depend on the hour.
    """
    from genai_prices import Usage, calc_price  # takes a second, and most runs have no price

    usage = Usage(input_tokens=tokens.prompt, cache_read_tokens=tokens.cached, output_tokens=tokens.completion)
    try:
        found = calc_price(usage, model, provider_id=provider, genai_request_timestamp=at)
    except (LookupError, ValueError):  # ValueError: counts that contradict one another
        return None
    if found.model_price.input_mtok is None or found.model_price.output_mtok is None:
        return None
    return float(found.total_price)


@cache
def price_key(model: str) -> tuple[str, str] | None:
    """Provider and model in the price list, for the name of a model in a trace.

    Derived from the shipped endpoints alone, so that the same traces have the same costs everywhere.
    """
    name, _, of_endpoint = model.partition("/")
    table = endpoints.shipped().get(name)
    return (table.price_key, of_endpoint) if table and table.price_key and of_endpoint else None


def run_cost_usd(trace: Trace) -> float | None:
    """What the chat calls of a run cost in US dollars; None where that is not known for each of them.

    Each call counts by itself, because some prices depend on the length of a prompt. What the upstream does not
    say came from its cache costs the full price; a failed call without usage costs nothing.
    """
    key = price_key(trace.key.model)
    if key is None:
        return None
    at = datetime.fromisoformat(trace.setup.started_at)
    costs = []
    for call in trace.model_calls:
        if call.operation != "chat" or (call.input_tokens is None and (call.error or call.status >= 400)):
            continue
        if call.input_tokens is None or call.output_tokens is None or call.usage_source != "upstream":
            return None
        tokens = Tokens(call.input_tokens, call.output_tokens, call.cached_tokens or 0)
        costs.append(cost_usd(*key, tokens, at))
    known = [cost for cost in costs if cost is not None]
    return sum(known) if costs and len(known) == len(costs) else None
