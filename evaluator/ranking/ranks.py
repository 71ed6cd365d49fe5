"""A ranking for a user's own weights, and how far it stands on them and on the cases.

There is no overall number by default: what a framework gives and what it costs cannot be added up before somebody says
what matters how much. Then only ratios are used, as they have no unit: each framework gets the weighted geometric mean
of how near it comes to the best one in each criterion. Its order does not depend on what the best one is, nor on which
other frameworks are there (Fleming and Wallace, "How not to lie with statistics: the correct way to summarize benchmark
results", Communications of the ACM 29, 1986). With correctness=3,cost=1, twice the pass rate makes up for 2^3 times
the tokens; nothing makes up for a pass rate of 0.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.metrics import METRICS, CellRuns, Value
from evaluator.analysis.models import largest_grid
from evaluator.catalog.code_size import total_size
from evaluator.errors import Mistake
from evaluator.scorecard.content import Scorecard
from evaluator.stats.intervals import SEED, drawn_cases

WEIGHT_DRAWS = 10_000
CASE_DRAWS = 1_000
FACTOR = 2.0
"""Weights near the given ones are up to this factor larger or smaller."""

_METRICS = {metric.name: metric for metric in METRICS}
_ROUNDING = 1e-9

_Floats = NDArray[np.float64]
_CaseName = tuple[str, str]


@dataclass(frozen=True)
class Criterion:
    """What can be weighted: a metric whose ratios mean something. `of_cases`: whether other cases would change it."""

    metric: str
    of_cases: bool = True

    @property
    def meaning(self) -> str:
        """The metric in words."""
        return _METRICS[self.metric].meaning

    @property
    def unit(self) -> str:
        """The metric's unit."""
        return _METRICS[self.metric].unit

    @property
    def higher(self) -> bool:
        """Whether more is better."""
        return _METRICS[self.metric].better == "higher"

    def of(self, cell: CellRuns) -> Value:
        """The value of some runs of a framework."""
        return _METRICS[self.metric].function(cell)


CRITERIA = {
    "correctness": Criterion("pass_rate"),
    "score": Criterion("mean_score"),
    "latency": Criterion("wall_s_p50"),
    "overhead": Criterion("overhead_s_p50"),
    "cost": Criterion("prompt_tokens_mean"),
    "price": Criterion("cost_usd_mean"),
    "code": Criterion("source_lines", of_cases=False),
    "footprint": Criterion("installed_mb_max", of_cases=False),
    "import": Criterion("import_s_p50", of_cases=False),
    "memory": Criterion("peak_memory_mb_max", of_cases=False),
}


@dataclass(frozen=True)
class Place:
    """A framework in the ranking.

    `total` is in [0, 1]; 1 would be the best in each criterion. The shares are of draws in which it comes first, alone
    or with others: with weights near the given ones, with any weights, with the cases drawn anew. From `best_place`
    to `worst_place` are the places that it takes in 95 % of draws of cases and near weights together.
    """

    framework: str
    place: int
    total: float
    values: dict[str, Value]
    first_with_near_weights: float
    first_with_any_weights: float
    first_with_other_cases: float
    best_place: int
    worst_place: int


@dataclass(frozen=True)
class Ranking:
    """The frameworks on one model, the best first, all on the same `cases`.

    `order_with_near_weights` is the share of weights near the given ones that give this very order. `left_out` has
    the frameworks that cannot be ranked, and why.
    """

    model: str
    cases: int
    places: tuple[Place, ...]
    order_with_near_weights: float
    left_out: dict[str, str]


def read_weights(text: str) -> dict[str, float]:
    """The weight of each criterion in `correctness=3,cost=1`; without a number it is 1. Raises `Mistake`."""
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if name not in CRITERIA:
            raise Mistake(f"--weights {part}: there is no {name!r}; there are {', '.join(CRITERIA)}")
        if name in weights:
            raise Mistake(f"--weights {part}: {name} has a weight already")
        try:
            weight = float(number) if equals else 1.0
        except ValueError:
            raise Mistake(f"--weights {part}: {number!r} is no number") from None
        if not 0 < weight < float("inf"):
            raise Mistake(f"--weights {part}: a weight must be above 0")
        weights[name] = weight
    if not weights:
        raise Mistake(f"--weights {text!r}: give at least one, as in correctness=3,cost=1")
    return weights


def rankings(card: Scorecard, weights: Mapping[str, float]) -> list[Ranking]:
    """The ranking on each model of the scorecard."""
    return [_ranking(card, model, weights) for model in card.models]


def _ranking(card: Scorecard, model: str, weights: Mapping[str, float]) -> Ranking:
    runs: dict[str, dict[_CaseName, list[GradedRun]]] = defaultdict(lambda: defaultdict(list))
    for run in card.runs:
        if run.key.model == model:
            runs[run.key.framework][run.key.task, run.key.case].append(run)
    names, cases = largest_grid({name: set(of_cases) for name, of_cases in runs.items()})
    left_out = {name: "they were not run on the others' cases" for name in runs if name not in names}
    cells = {name: _cells(card, model, name, runs[name], cases) for name in names}
    values: dict[str, dict[str, Value]] = {}
    for name, of_cases in cells.items():
        values[name] = {criterion: CRITERIA[criterion].of(_together(of_cases)) for criterion in weights}
        if lacking := [criterion for criterion, value in values[name].items() if value is None]:
            left_out[name] = f"these runs do not tell {' and '.join(lacking)}"
    names = [name for name in names if name not in left_out]
    return Ranking(model, len(cases), *_places({name: cells[name] for name in names}, values, weights), left_out)


def _cells(
    card: Scorecard,
    model: str,
    framework: str,
    runs: Mapping[_CaseName, Sequence[GradedRun]],
    cases: Sequence[_CaseName],
) -> list[CellRuns]:
    """The runs of each case, each with the size of the code of all tasks that the cases are of."""
    tasks = {task for task, _ in cases}
    sizes = [
        cell.code for cell in card.cells if (cell.model, cell.framework) == (model, framework) and cell.task in tasks
    ]
    known = [size for size in sizes if size is not None]
    code = total_size(known) if len(known) == len(sizes) else None
    return [CellRuns(tuple(runs[case]), code=code) for case in cases]


def _together(cells: Sequence[CellRuns]) -> CellRuns:
    return CellRuns(tuple(run for cell in cells for run in cell.runs), code=cells[0].code)


def _places(
    cells: Mapping[str, Sequence[CellRuns]], values: Mapping[str, dict[str, Value]], weights: Mapping[str, float]
) -> tuple[tuple[Place, ...], float]:
    """The places, and the share of weights near the given ones that give this very order."""
    names = list(cells)
    if not names:
        return (), 1.0
    near = _nearness(np.array([[values[name][criterion] for criterion in weights] for name in names], float), weights)
    near_drawn = np.array([_nearness(drawn, weights) for drawn in _drawn_values(cells, values, weights)])
    given = np.array([list(weights.values())])
    uniform = np.random.PCG64(SEED).random_raw(WEIGHT_DRAWS * len(weights)).reshape(WEIGHT_DRAWS, -1) / 2**64
    changed = given * FACTOR ** (2 * uniform - 1)
    any_weights = -np.log1p(-uniform)  # exponential, so uniform over all shares: Dirichlet(1, …, 1)
    totals = _totals(near[None], given)[0]
    places = _ranked(totals[None])[0]
    by_weights, by_any, by_cases, by_both = (
        _ranked(_totals(*drawn))
        for drawn in (
            (near[None], changed),
            (near[None], any_weights),
            (near_drawn, given),
            (near_drawn, changed[: len(near_drawn)]),
        )
    )
    ranked = [
        Place(
            framework=name,
            place=int(places[i]),
            total=float(np.exp(totals[i])),
            values=values[name],
            first_with_near_weights=float(np.mean(by_weights[:, i] == 1)),
            first_with_any_weights=float(np.mean(by_any[:, i] == 1)),
            first_with_other_cases=float(np.mean(by_cases[:, i] == 1)),
            best_place=int(np.percentile(by_both[:, i], 2.5, method="lower")),
            worst_place=int(np.percentile(by_both[:, i], 97.5, method="higher")),
        )
        for i, name in enumerate(names)
    ]
    same_order = float(np.mean((by_weights == places).all(axis=1)))
    return tuple(sorted(ranked, key=lambda one: (one.place, names.index(one.framework)))), same_order


def _drawn_values(
    cells: Mapping[str, Sequence[CellRuns]], values: Mapping[str, dict[str, Value]], weights: Mapping[str, float]
) -> _Floats:
    """Draws × frameworks × criteria: the values when the same cases are drawn with replacement for all frameworks.

    What does not depend on the cases stays as it is, as does what no run of a draw tells.
    """
    cases = len(next(iter(cells.values())))
    drawn = np.empty((CASE_DRAWS, len(cells), len(weights)))
    for i, (name, of_cases) in enumerate(cells.items()):
        drawn[:, i] = [float(values[name][criterion] or 0) for criterion in weights]
        for n, numbers in enumerate(islice(chain.from_iterable(drawn_cases(cases)), CASE_DRAWS)):
            cell = _together([of_cases[number] for number in numbers])
            for j, criterion in enumerate(weights):
                if CRITERIA[criterion].of_cases and (value := CRITERIA[criterion].of(cell)) is not None:
                    drawn[n, i, j] = value
    return drawn


def _nearness(values: _Floats, weights: Mapping[str, float]) -> _Floats:
    """Frameworks × criteria: the logarithm of value / best, or of best / value where lower is better.

    Where all are 0 they are alike, and 0 is the best where lower is better.
    """
    near = np.ones_like(values)
    for j, criterion in enumerate(weights):
        column = values[:, j]
        if CRITERIA[criterion].higher:
            near[:, j] = column / column.max() if column.max() > 0 else 1.0
        else:
            near[column > 0, j] = column.min() / column[column > 0]
    with np.errstate(divide="ignore"):  # log 0 is what nothing makes up for
        return np.log(near)


def _totals(near: _Floats, weights: _Floats) -> _Floats:
    """Draws × frameworks: the weighted mean over criteria, of logarithms. One row of either is that of all draws."""
    shares = weights / weights.sum(axis=1, keepdims=True)
    totals: _Floats = (near * shares[:, None, :]).sum(axis=2)
    return totals


def _ranked(totals: _Floats) -> NDArray[np.int64]:
    """Draws × frameworks: 1 + how many are better, beyond rounding."""
    better = totals[:, None, :] > totals[:, :, None] + _ROUNDING
    places: NDArray[np.int64] = 1 + better.sum(axis=2, dtype=np.int64)
    return places
