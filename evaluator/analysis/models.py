"""Is it the framework or the model? Several models beside one another, on the cases that all of them were asked."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.metrics import CellRuns, Value, measure, rounded
from evaluator.catalog.frameworks import baseline_first
from evaluator.providers.names import is_real
from evaluator.stats.variance import FEWEST_CASES, Share, Shares, variance_shares

TIMES = "The models took no turns: beside one another, their times are of different sittings."
"""What is to be said where times of several models are shown."""

METRICS = (
    *("runs", "passed", "pass_rate", "pass_rate_low", "pass_rate_high", "mean_score"),
    *("wall_s_p50", "model_s_p50", "overhead_s_p50", "prompt_tokens_mean", "completion_tokens_mean", "cost_usd_mean"),
)
"""The metrics that are given for each model × framework."""

_CaseName = tuple[str, str]
"""Task and case."""

_Case = TypeVar("_Case", _CaseName, tuple[str, int])

_Cell = Mapping[_CaseName, Sequence[GradedRun]]
"""The runs of one model with one framework."""


@dataclass(frozen=True)
class Row:
    """One model with one framework, or with `framework` None with all of those compared."""

    framework: str | None
    model: str
    metrics: dict[str, Value]


@dataclass(frozen=True)
class ModelComparison:
    """Models × frameworks, all on the same cases.

    `cases` are pairs of task and case; on `scored` of them every run has a score. `left_out` are the frameworks that
    not all of the models ran on them.
    The shares of the variance are None where they cannot be given: `in_words` says why.
    """

    models: tuple[str, ...]
    frameworks: tuple[str, ...]
    left_out: tuple[str, ...]
    cases: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    scored: int
    score_shares: Shares | None
    pass_shares: Shares | None


def compare_models(runs: Iterable[GradedRun]) -> ModelComparison | None:
    """Compare the real models among the runs; None where there are not two that have cases in common."""
    cells: dict[tuple[str, str], dict[tuple[str, str], list[GradedRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if is_real(run.key.model):
            cells[run.key.model, run.key.framework][run.key.task, run.key.case].append(run)
    models = sorted({model for model, _ in cells})
    ran = sorted({framework for _, framework in cells}, key=baseline_first)
    if len(models) < 2:
        return None
    asked = {one: set.intersection(*(set(cells.get((model, one), ())) for model in models)) for one in ran}
    frameworks, cases = largest_grid(asked)
    trials = _trials([cells[model, framework] for model in models for framework in frameworks], cases)
    cases = [case for case in cases if trials[case]]
    if not cases:
        return None
    kept = {place: _only(cells[place], trials) for place in cells}
    grid = [[kept[model, framework] for framework in frameworks] for model in models]
    score_shares, scored = _shares(grid, cases, lambda run: run.score)
    pass_shares, _ = _shares(grid, cases, lambda run: run.passed)
    rows: list[tuple[str | None, list[str]]] = [(framework, [framework]) for framework in frameworks]
    rows += [(None, frameworks)] if len(frameworks) > 1 else []
    return ModelComparison(
        models=tuple(models),
        frameworks=tuple(frameworks),
        left_out=tuple(framework for framework in ran if framework not in frameworks),
        cases=tuple(cases),
        rows=tuple(
            Row(framework, model, _measured([kept[model, one] for one in of_row], cases))
            for framework, of_row in rows
            for model in models
        ),
        scored=scored,
        score_shares=score_shares,
        pass_shares=pass_shares,
    )


def largest_grid(asked: Mapping[str, set[_Case]]) -> tuple[list[str], list[_Case]]:
    """The frameworks and cases of the largest full grid; `asked` has the cases that count for each framework.

    So a framework that was run on a few cases only does not take the others' cases away. Of grids as
    large as one another it is the one with the most cases. What came out of the runs plays no part.
    """
    grids = []
    for fewest in sorted({len(cases) for cases in asked.values()}):
        frameworks = [framework for framework, cases in asked.items() if len(cases) >= fewest]
        grids.append((frameworks, sorted(set.intersection(*(asked[framework] for framework in frameworks)))))
    return max(grids, key=lambda grid: (len(grid[0]) * len(grid[1]), len(grid[1])))


def _trials(cells: Sequence[_Cell], cases: Sequence[_CaseName]) -> dict[_CaseName, set[int]]:
    """The trials of each case that all cells have: no framework and no model counts more often than the others."""
    return {case: set.intersection(*({run.key.trial for run in cell[case]} for cell in cells)) for case in cases}


def _only(cell: _Cell, trials: Mapping[_CaseName, set[int]]) -> _Cell:
    return {
        case: sorted((run for run in cell[case] if run.key.trial in kept), key=lambda run: run.key.trial)
        for case, kept in trials.items()
        if case in cell
    }


def _measured(cells: Iterable[_Cell], cases: Sequence[_CaseName]) -> dict[str, Value]:
    runs = tuple(run for cell in cells for case in cases for run in cell[case])
    metrics = measure(CellRuns(runs, code=None))
    return {name: metrics[name] for name in METRICS}


def _shares(
    grid: Sequence[Sequence[_Cell]], cases: Sequence[_CaseName], read: Callable[[GradedRun], float | None]
) -> tuple[Shares | None, int]:
    """What explains the variance between runs, and on how many cases: those in which no run lacks the value.

    Each case counts with as many trials as every one has, the first of them.
    """
    trials = min(len(grid[0][0][case]) for case in cases)
    of_cases = []
    for case in cases:
        values = [[[read(run) for run in cell[case][:trials]] for cell in of_model] for of_model in grid]
        if not any(value is None for of_model in values for of_cell in of_model for value in of_cell):
            of_cases.append(values)
    if len(of_cases) < FEWEST_CASES:
        return None, len(of_cases)
    return variance_shares(np.moveaxis(np.array(of_cases, float), 0, 2).tolist()), len(of_cases)


def in_words(comparison: ModelComparison, titles: Mapping[str, str] | None = None) -> str:
    """Whether it is the framework or the model, as far as these runs can tell; `titles` are those of the frameworks."""
    models, frameworks, n = len(comparison.models), len(comparison.frameworks), comparison.scored
    shares = comparison.score_shares
    if n < FEWEST_CASES:
        have = "1 case in common is" if n == 1 else f"{n} cases in common are"
        return (
            f"{have} too few to say what explains the differences: it takes {FEWEST_CASES} (`--cases standard` has as "
            f"many for each task). {covers(comparison, titles)}"
        )
    if shares is None:
        return (
            f"On these {n} cases all runs have the same score, so there is nothing to explain. "
            f"{covers(comparison, titles)}"
        )
    of = {source: shown(share) for source, share in shares.sources.items()}
    trials = "one trial" if shares.trials == 1 else f"{shares.trials} trials"
    said = (
        f"Between the runs of {_counted(models, 'model')} × {_counted(frameworks, 'framework')} × {n} cases, {trials} "
        f"of each, the model explains {of['model']} of the variance in score (95 % interval in brackets)"
    )
    if frameworks == 1:
        said += f" and how hard a case is for all of them {of['case']}."
    else:
        said += (
            f", the framework {of['framework']}, and a framework's suiting one model more than another "
            f"{of['model × framework']}. How hard a case is for all of them explains {of['case']}; that it is harder "
            f"for one of the models {of['model × case']}, with one of the frameworks {of['framework × case']}."
        )
    if "remainder" in of:
        said += (
            f" The remainder, {of['remainder']}, is what is hard for just one of them, and chance: it takes two trials "
            "of each to tell these apart."
        )
    else:
        last = "model × case" if frameworks == 1 else "model × framework × case"
        said += (
            f" That it is hard for just one of them explains {of[last]}, and chance, by which trials differ, "
            f"{of['chance']}."
        )
    if frameworks == 1:
        return f"{said} {covers(comparison, titles)} With one framework nothing can be said of frameworks."
    return (
        f"{said} {verdict(comparison)} {covers(comparison, titles)} It holds for these only: models further apart "
        "would explain more, closer ones less."
    )


def covers(comparison: ModelComparison, titles: Mapping[str, str] | None = None) -> str:
    """Which models and frameworks are compared, and which are not, in a sentence or two."""

    def listed(names: Sequence[str]) -> str:
        return ", ".join((titles or {}).get(name, name) for name in names)

    with_these = f"{'framework' if len(comparison.frameworks) == 1 else 'frameworks'} {listed(comparison.frameworks)}"
    said = f"This covers the models {', '.join(comparison.models)} with the {with_these}."
    if comparison.left_out:
        said += f" Not all of the models ran these cases with {listed(comparison.left_out)}."
    return said


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def verdict(comparison: ModelComparison) -> str:
    """Which of the two matters more, only where the interval of the difference leaves out zero."""
    by_score, by_pass = (
        _more(shares.model_less_framework) if shares else None
        for shares in (comparison.score_shares, comparison.pass_shares)
    )
    if by_score == by_pass:
        if by_score is None:
            return "Whether the model or the framework matters more cannot be told from this."
        return f"Here {by_score}, for the score as for passing."
    said = [f"by {measure} {more}" for measure, more in (("score", by_score), ("passing", by_pass)) if more]
    untold = [
        f"by {measure} it cannot be told" for measure, more in (("score", by_score), ("passing", by_pass)) if not more
    ]
    return f"Which of the two matters more: {'; '.join([*said, *untold])}."


def _more(difference: Share) -> str | None:
    if difference.low > 0:
        return "the model matters more than the framework"
    if difference.high < 0:
        return "the framework matters more than the model"
    return None


def shown(share: Share) -> str:
    """`12% [3–25]`: a share and its 95 % interval, in per cent."""
    return f"{100 * share.estimate:.0f}% [{100 * share.low:.0f}–{100 * share.high:.0f}]"


def as_data(comparison: ModelComparison) -> dict[str, Any]:
    """The comparison for `scorecard.json`."""
    return {
        "models": comparison.models,
        "frameworks": comparison.frameworks,
        "frameworks_left_out": comparison.left_out,
        "trials": comparison.pass_shares.trials if comparison.pass_shares else None,
        "cases": [{"task": task, "case": case} for task, case in comparison.cases],
        "rows": [{"framework": row.framework, "model": row.model, **row.metrics} for row in comparison.rows],
        "variance_shares": {
            "score": _shares_as_data(comparison.score_shares),
            "passed": _shares_as_data(comparison.pass_shares),
        },
        "in_words": in_words(comparison),
    }


def _shares_as_data(shares: Shares | None) -> dict[str, dict[str, Value]] | None:
    if shares is None:
        return None
    named = {**shares.sources, "model less framework": shares.model_less_framework}
    return {name: {end: rounded(value) for end, value in asdict(share).items()} for name, share in named.items()}
