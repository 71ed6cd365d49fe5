"""Is it the framework or the model? Several models beside one another, on the cases that all of them were asked."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.metrics import CellRuns, Value, measure, rounded
from evaluator.catalog.frameworks import baseline_first
from evaluator.providers.names import is_real
from evaluator.stats.variance import FEWEST_CASES, Share, Shares, variance_shares

METRICS = (
    *("runs", "passed", "pass_rate", "pass_rate_low", "pass_rate_high", "mean_score"),
    *("wall_s_p50", "model_s_p50", "overhead_s_p50", "prompt_tokens_mean", "completion_tokens_mean", "cost_usd_mean"),
)
"""The metrics that are given for each model × framework."""

_CaseName = tuple[str, str]
"""Task and case."""

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

    `cases` are pairs of task and case. `left_out` are the frameworks that not all of the models ran on them.
    The shares of the variance are None where they cannot be given: `in_words` says why.
    """

    models: tuple[str, ...]
    frameworks: tuple[str, ...]
    left_out: tuple[str, ...]
    cases: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
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
        score_shares=_shares(grid, cases, lambda run: run.score),
        pass_shares=_shares(grid, cases, lambda run: run.passed),
    )


def largest_grid(asked: Mapping[str, set[_CaseName]]) -> tuple[list[str], list[_CaseName]]:
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
    return {case: [run for run in cell[case] if run.key.trial in kept] for case, kept in trials.items() if case in cell}


def _measured(cells: Iterable[_Cell], cases: Sequence[_CaseName]) -> dict[str, Value]:
    runs = tuple(run for cell in cells for case in cases for run in cell[case])
    metrics = measure(CellRuns(runs, code=None))
    return {name: metrics[name] for name in METRICS}


def _shares(
    grid: Sequence[Sequence[_Cell]], cases: Sequence[_CaseName], read: Callable[[GradedRun], float]
) -> Shares | None:
    """What explains the variance of the means over trials."""
    if len(cases) < FEWEST_CASES:
        return None
    return variance_shares(
        [[[fmean(read(run) for run in cell[case]) for case in cases] for cell in of_model] for of_model in grid]
    )


def in_words(comparison: ModelComparison) -> str:
    """Whether it is the framework or the model, as far as these runs can tell."""
    models, frameworks, n = len(comparison.models), len(comparison.frameworks), len(comparison.cases)
    shares = comparison.score_shares
    if n < FEWEST_CASES:
        have = "1 case in common is" if n == 1 else f"{n} cases in common are"
        return (
            f"{have} too few to say what explains the differences: it takes {FEWEST_CASES} (`--cases standard` has as "
            "many for each task)."
        )
    if shares is None:
        return f"On these {n} cases all runs have the same score, so there is nothing to explain."
    model, framework, both, case, left = (shown(share) for share in shares.sources.values())
    if frameworks == 1:
        return (
            f"Between the runs of {models} models on {n} cases with one framework, the model explains {model} of the "
            f"variance in score (95 % interval in brackets) and the case {case}; {left} is left. With one framework "
            "nothing can be said of frameworks."
        )
    return (
        f"Between the runs of {models} models × {frameworks} frameworks × {n} cases, the model explains {model} of the "
        f"variance in score (95 % interval in brackets), the framework {framework}, and a framework's suiting one "
        f"model more than another {both}. How hard a case is for all explains {case}; {left} is left: cases that are "
        f"hard for one and easy for another, and chance. {verdict(comparison)} {_left_out(comparison)}This holds for "
        f"these {models} models and {frameworks} frameworks: models further apart would explain more, closer ones less."
    )


def _left_out(comparison: ModelComparison) -> str:
    number = len(comparison.left_out)
    if not number:
        return ""
    others = "One framework more" if number == 1 else f"{number} frameworks more"
    return (
        f"{others} did not run all of these cases with every model, and so {'is' if number == 1 else 'are'} not in it. "
    )


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
