"""A ranking in the terminal, and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.analysis.metrics import Value, rounded
from evaluator.fitting import Fitted
from evaluator.ranking.ranks import (
    CASE_DRAWS,
    CRITERIA,
    FACTOR,
    WEIGHT_DRAWS,
    Place,
    Ranking,
)
from evaluator.scorecard.content import Scorecard
from evaluator.scorecard.words import count, per_1000_runs, seconds


def as_data(rankings: Sequence[Ranking], weights: Mapping[str, float]) -> dict[str, Any]:
    """The rankings as JSON has them."""
    return {
        "weights": dict(weights),
        "criteria": {name: {"metric": CRITERIA[name].metric, "meaning": CRITERIA[name].meaning} for name in weights},
        "how": how(weights),
        "rankings": [
            {
                **asdict(ranking),
                "places": [
                    {**asdict(place), "total": rounded(place.total), "values": _rounded(place.values)}
                    for place in ranking.places
                ],
                "in_words": in_words(ranking, {}),
            }
            for ranking in rankings
        ],
    }


def _rounded(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: None if value is None else rounded(value) for name, value in values.items()}


def print_rankings(
    console: Console, card: Scorecard, rankings: Sequence[Ranking], weights: Mapping[str, float]
) -> None:
    """Print a table for each model, for 100 columns, and what it means."""
    titles = card.titles
    for ranking in rankings:
        if ranking.places:
            console.print(_table(ranking, weights, titles))
        console.print(Text(in_words(ranking, titles)))
        for why in dict.fromkeys(ranking.left_out.values()):
            names = [titles.get(name, name) for name, reason in ranking.left_out.items() if reason == why]
            console.print(Text(f"left out, as {why}: {_listed(names)}"))
        console.print()
    for line in how(weights):
        console.print(Text(line))


def _table(ranking: Ranking, weights: Mapping[str, float], titles: Mapping[str, str]) -> Fitted:
    given = ", ".join(f"{name}={weight:g}" for name, weight in weights.items())
    cases = f"{ranking.cases} case{'' if ranking.cases == 1 else 's'}"
    title = Text(f"{ranking.model} · by {given} · {cases}", style="bold")
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("\nplace", justify="right")
    table.add_column("\nframework")
    titles_of_shares = ("first:\nnear weights", "first:\nany weights", "first:\nother cases", "places\nin 95 %")
    for column in ("\ntotal", *(f"\n{name}" for name in weights), *titles_of_shares):
        table.add_column(column, justify="right", no_wrap=True)
    for place in ranking.places:
        table.add_row(
            str(place.place),
            Text(titles[place.framework]),
            f"{place.total:.2f}",
            *(_shown(name, value) for name, value in place.values.items()),
            f"{place.first_with_near_weights:.0%}",
            f"{place.first_with_any_weights:.0%}",
            f"{place.first_with_other_cases:.0%}",
            _places(place),
        )
    return Fitted(table, names=2)


def _places(place: Place) -> str:
    if place.best_place == place.worst_place:
        return str(place.best_place)
    return f"{place.best_place}–{place.worst_place}"


def _shown(criterion: str, value: Value) -> str:
    unit = CRITERIA[criterion].unit
    if unit == "share":
        return f"{value or 0:.0%}"
    if unit == "s":
        return seconds(value)
    return f"{per_1000_runs(value)} $/1000" if unit == "USD" else count(value)


def in_words(ranking: Ranking, titles: Mapping[str, str]) -> str:
    """Who comes first, and whether that can be told from these runs."""
    firsts = [one for one in ranking.places if one.place == 1]
    if not firsts:
        return f"On {ranking.model} nothing can be ranked."
    names = _listed([titles.get(one.framework, one.framework) for one in firsts])
    could = [titles.get(one.framework, one.framework) for one in ranking.places if one.best_place == 1 < one.place]
    verdict = (
        f"Could be first as well, with other cases or weights near these: {_listed(could)}."
        if could
        else "Each of the others is first in less than one of 40 draws of cases and weights."
    )
    order = f"The whole order is the same with {ranking.order_with_near_weights:.0%} of the weights near these."
    return f"{names} {'come' if len(firsts) > 1 else 'comes'} first. {verdict} {order}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def how(weights: Mapping[str, float]) -> list[str]:
    """How a ranking is made, in lines of words."""
    lines = [f"{name}: {CRITERIA[name].meaning}" for name in weights]
    lines.append(
        "total: the geometric mean, by these weights, of how near a framework comes to the best in each; 1 is the best "
        "in all. Only ratios count, so nothing makes up for passing nothing"
    )
    heavy, light = max(weights, key=weights.__getitem__), min(weights, key=weights.__getitem__)
    if heavy != light:
        factor = 2 ** (weights[heavy] / weights[light])
        lines.append(f"example: twice as good in {heavy} makes up for {factor:.3g} times as bad in {light}")
    return [
        *lines,
        f"near weights: {WEIGHT_DRAWS:,} draws of weights that are up to {FACTOR:g} times larger or smaller than these",
        f"any weights: {WEIGHT_DRAWS:,} draws of all the weights that there are",
        f"other cases: {CASE_DRAWS:,} draws of as many of the same cases, with replacement; code, footprint, import "
        "and memory stay as they are",
        "places in 95 %: of the draws of cases and near weights together",
    ]
