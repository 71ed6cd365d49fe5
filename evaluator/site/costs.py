"""What runs cost, for the pages: at the prices of the model that was used, or else at those of a hosted one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluator.analysis.metrics import Value
from evaluator.analysis.repricing import DEFAULT_MODELS, Repricing
from evaluator.providers.prices import (
    PricedModel,
    Tokens,
    cost_usd,
    find,
    price_key,
    price_list,
    rates,
)
from evaluator.scorecard import Cell
from evaluator.trace import ModelCall

PRICED_ON = DEFAULT_MODELS[0]
"""The hosted model whose prices are taken where the model that was used has none, as one on the own machine."""

_OWN = f"Costs are those of the chat calls, at the prices of {price_list()}."
_OTHER = (
    f"Costs are estimates: the same tokens at the prices of {PRICED_ON} in {price_list()}, without a prompt cache, "
    "because costs on the model that was used are not known."
)


@dataclass(frozen=True)
class Prices:
    """The model of the price list whose prices of a time are taken; `own` tells whether it is the one that was used."""

    model: PricedModel
    own: bool
    at: datetime

    @property
    def in_words(self) -> str:
        """What the costs are, in a sentence."""
        return _OWN if self.own else _OTHER

    def of_call(self, call: ModelCall) -> float | None:
        """What a chat call costs in US dollars; None where its tokens are not known."""
        if call.input_tokens is None or call.output_tokens is None:
            return None
        tokens = Tokens(call.input_tokens, call.output_tokens, call.cached_tokens if self.own else None)
        return cost_usd(self.model.provider, self.model.entry, tokens, self.at)


def prices(model: str, at: datetime) -> Prices:
    """The prices of `model` at a time; where it has none, those of `PRICED_ON`."""
    if (key := price_key(model)) and rates(own := PricedModel(model, *key), at):
        return Prices(own, True, at)
    return Prices(find(PRICED_ON), False, at)


@dataclass(frozen=True)
class Costs:
    """The mean cost of a run by framework, in US dollars; one whose cost is not known is left out.

    `on` names the model whose prices they are, and `in_words` says what that means.
    """

    on: str
    in_words: str
    usd: dict[str, float]


def of_cells(cells: Sequence[Cell], repricing: Repricing | None) -> Costs | None:
    """The costs of the cells of one model and one task, at its own prices if all of them have one; None without any."""
    own = _known({cell.framework: cell.metrics["cost_usd_mean"] for cell in cells})
    if cells and len(own) == len(cells):
        return Costs(cells[0].model, _OWN, own)
    if not cells or repricing is None:
        return None
    number = [model.name for model in repricing.models].index(PRICED_ON)
    place = cells[0].model, cells[0].task
    other = _known(
        {row.framework: row.costs[number].uncached for row in repricing.rows if (row.model, row.task) == place}
    )
    return Costs(PRICED_ON, _OTHER, other) if other else None


def _known(costs: dict[str, Value]) -> dict[str, float]:
    return {framework: float(cost) for framework, cost in costs.items() if cost is not None}
