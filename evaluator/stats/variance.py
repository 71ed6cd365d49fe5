"""How much of the differences between runs the model explains, and how much the framework: pure functions.

The same to the last bit on every machine: nothing here goes through a matrix product, whose order of
adding depends on the processor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.stats.intervals import times_drawn

# In simulated matrices of runs that pass or fail (2 models, 4 or 9 frameworks, 1 or 2 trials), in which every source
# does something, the 95 % intervals held the true share in 91 to 99 of 100 matrices with 24 cases; those of the sources
# that the cases bring in in as few as 83 with 12, and in as few as 79 with 8.
FEWEST_CASES = 12
"""With fewer cases no shares are given: their intervals would claim more than so few can tell."""

SOURCES = {
    "model": "the models differ in their mean over frameworks and cases",
    "framework": "the frameworks differ in their mean over models and cases",
    "model × framework": "a framework suits one model more than another",
    "case": "a case is hard or easy for all of them alike",
    "model × case": "a case is hard for one model and easy for another, whatever the framework",
    "framework × case": "a case is hard with one framework and easy with another, whatever the model",
    "model × framework × case": "a case is hard for just one model with just one framework",
    "chance": "the same model, framework and case come out otherwise in another trial",
    "remainder": "a case is hard for just one of them, or chance: one trial of each cannot tell these apart",
}
"""Where variance can come from, and what that means. Either chance and the interaction above it are known, or the
remainder."""

EFFECTS = {
    "model": "model × case",
    "framework": "framework × case",
    "model × framework": "model × framework × case",
}
"""Each effect, and its interaction with the cases, which is its error."""

_NOTHING = 1e-12
"""A sum of squares of values in [0, 1] that is below this comes from rounding."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """A share of the variance, or the difference of two, with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Shares:
    """The share of each of `SOURCES` that there is, and by how much the model's is above the framework's.

    `trials` is how many of each model, framework and case they are computed from. With one, the interaction of the
    highest order and chance are one source, the remainder. With one model or one framework there is nothing that it
    could do, and so no such source.
    """

    sources: dict[str, Share]
    model_less_framework: Share
    trials: int


def variance_shares(values: Sequence[Sequence[Sequence[Sequence[float]]]]) -> Shares | None:
    """What explains the variance of `values[model][framework][case][trial]`; None where all values are alike.

    The estimates are those of `shares_of_all`. The intervals are cluster bootstraps: whole cases are
    drawn with replacement, with all their trials. For the draws, the cases at hand are all there are, so that their
    true share is that of `shares_of_these`; by what a draw's share differs from it, the estimate may differ from the
    truth (Davison and Hinkley, "Bootstrap Methods and their Application", Cambridge 1997, sections 2.1
    and 3.8). The interval is the estimate plus the 2.5th and the 97.5th percentile of these
    differences. The percentiles of the draws themselves lie too high: a draw adds its own chance to
    that of the cases, and would find an effect where there is none.

    A share below zero means none, and is given as 0. Raises `ValueError` for values that are no full
    grid, or for fewer than `FEWEST_CASES` cases or two cells.
    """
    grid = np.array(values, float)
    if grid.ndim != 4 or grid.shape[2] < FEWEST_CASES or grid.shape[0] * grid.shape[1] < 2 or not grid.shape[3]:
        raise ValueError(f"needs a value for each model, framework, case and trial, and {FEWEST_CASES} cases at least")
    n = grid.shape[2]
    at_hand = sums_of_squares(grid, np.ones((n, 1)))
    if _total(at_hand)[0] < _NOTHING:
        return None
    all_drawn = sums_of_squares(grid, np.concatenate([*times_drawn(n)]).T)
    varied = _total(all_drawn) >= _NOTHING
    drawn = {source: squares[varied] for source, squares in all_drawn.items()}

    estimates, of_these = shares_of_all(at_hand, grid.shape), shares_of_these(at_hand, grid.shape)
    errors = {source: share - of_these[source] for source, share in shares_of_all(drawn, grid.shape).items()}
    none = np.zeros(1)
    return Shares(
        sources={source: _share(estimates[source], errors[source], least=0.0) for source in estimates},
        model_less_framework=_share(
            estimates.get("model", none) - estimates.get("framework", none),
            errors.get("model", none) - errors.get("framework", none),
            least=-1.0,
        ),
        trials=grid.shape[3],
    )


def _share(estimate: Array, errors: Array, least: float) -> Share:
    low, high = np.percentile(errors, [2.5, 97.5], method="linear")
    value = float(estimate[0])
    return Share(*(min(max(end, least), 1.0) for end in (value, value + float(low), value + float(high))))


def sums_of_squares(grid: Array, times: Array) -> dict[str, Array]:
    """The sums of squares of the analysis of variance, for each of several draws of cases.

    `grid` has shape (models, frameworks, cases, trials); `times`, of shape (cases, draws), says how often a draw
    has a case. The mean of each cell in a case is split into that of the case and its contrasts between models, between
    frameworks, and of both. What the cases have in common in a contrast is the effect; by what they differ in it is
    its interaction with the cases. By what trials differ from the mean of their cell is chance. (Two factors within
    blocks: Kirk, "Experimental Design".)
    """
    models, frameworks, n, trials = grid.shape
    cells = grid.mean(axis=3)
    mean = cells.mean(axis=(0, 1))
    model, framework = cells.mean(axis=1) - mean, cells.mean(axis=0) - mean
    both = cells - model[:, np.newaxis] - framework - mean

    def over_cases(of_case: Array) -> Array:
        return sum((value * row for value, row in zip(of_case, times, strict=True)), np.zeros(times.shape[1]))

    squares: dict[str, Array] = {}
    for effect, with_cases, contrasts, repeats in (
        (None, "case", mean[np.newaxis], models * frameworks),
        ("model", "model × case", model, frameworks),
        ("framework", "framework × case", framework, models),
        ("model × framework", "model × framework × case", both.reshape(-1, n), 1),
    ):
        common = trials * repeats * sum(over_cases(contrast) ** 2 for contrast in contrasts) / n
        squares[with_cases] = trials * repeats * over_cases((contrasts**2).sum(axis=0)) - common
        if effect:
            squares[effect] = common
    squares["chance"] = over_cases(((grid - cells[..., np.newaxis]) ** 2).sum(axis=(0, 1, 3)))
    return squares


def shares_of_these(squares: Mapping[str, Array], shape: Sequence[int]) -> dict[str, Array]:
    """The share of each source among just these cases, as if there were no others; trials are a sample all the same.

    For effects `SS / SS_total`, eta squared.
    """
    n = shape[2]
    components = {effect: squares[effect] for effect in EFFECTS}
    return _shares(components | _of_cases(squares, shape, sampled_of=n), _total(squares), shape)


def shares_of_all(squares: Mapping[str, Array], shape: Sequence[int]) -> dict[str, Array]:
    """The share of each source among all cases that those at hand stand for.

    Models and frameworks are fixed, the ones compared; cases and trials are a sample. The share of an effect is
    `(SS_effect - df_effect * MS_error) / (SS_total + MS_case)` where the error is the effect's
    interaction with the cases (Olejnik and Algina, "Generalized Eta and Omega Squared Statistics",
    Psychological Methods 8, 2003). Unlike eta squared it is zero on average where there is no effect,
    however many frameworks there are.

    The share of a random source has the same denominator. Its numerator is its variance times the number of runs, with
    the variance that makes the mean squares what they are expected to be (Searle, Casella and McCulloch, "Variance
    Components", Wiley 1992, section 4.3), for `m` models, `f` frameworks and `t` trials:

    - chance: `MS_chance`;
    - model × framework × case: `(MS_mfc - MS_chance) / t`;
    - model × case: `(MS_mc - MS_mfc) / (f t)`, and framework × case alike;
    - case: `(MS_case - MS_mc - MS_fc + MS_mfc) / (m f t)`, what two cells have in common that share neither model nor
      framework. With one model or framework this is the numerator of the intraclass correlation ICC(3,1) (Shrout and
      Fleiss, "Intraclass Correlations", Psychological Bulletin 86, 1979).

    With one trial there is no `MS_chance`, and the highest interaction and chance are the remainder, `MS_mfc`.
    """
    n = shape[2]
    components = {effect: squares[effect] - squares[error] / (n - 1) for effect, error in EFFECTS.items()}
    of_cases = _of_cases(squares, shape, sampled_of=n - 1)
    return _shares(components | of_cases, _total(squares) + squares["case"] / (n - 1), shape)


def _of_cases(squares: Mapping[str, Array], shape: Sequence[int], sampled_of: int) -> dict[str, Array]:
    """The variance of each random source times the number of runs; a contrast has `sampled_of` degrees of freedom."""
    models, frameworks, n, trials = shape
    contrasts = {
        "model × framework × case": (models - 1) * (frameworks - 1),
        "model × case": models - 1,
        "framework × case": frameworks - 1,
    }
    mean = {source: squares[source] / (sampled_of * number) for source, number in contrasts.items() if number}
    top = next(iter(mean))  # the interaction of the highest order
    if trials > 1:
        chance = squares["chance"] / (models * frameworks * n * (trials - 1))
        highest = mean.get("model × framework × case", chance)
        last = {"chance": models * frameworks * n * trials * chance}
        if top == "model × framework × case":
            last[top] = models * frameworks * n * (highest - chance)
    else:
        highest = mean[top]
        last = {"remainder": models * frameworks * n * highest}
    # An interaction that there is not has the mean square of what remains without it, and so no variance.
    of_model, of_framework = (mean.get(f"{factor} × case", highest) for factor in ("model", "framework"))
    of_two = {
        "model × case": models * n * (of_model - highest),
        "framework × case": frameworks * n * (of_framework - highest),
    }
    known = {
        source: squared for source, squared in of_two.items() if source in mean and not (source == top and trials == 1)
    }
    return {"case": n * (squares["case"] / sampled_of - of_model - of_framework + highest), **known, **last}


def _shares(components: Mapping[str, Array], total: Array, shape: Sequence[int]) -> dict[str, Array]:
    """The shares of the sources that there are, in their order; a factor with one level is none."""
    single = [factor for factor, number in zip(("model", "framework"), shape, strict=False) if number == 1]
    there = [source for source in SOURCES if source in components and not any(factor in source for factor in single)]
    return {source: components[source] / total for source in there}


def _total(squares: Mapping[str, Array]) -> Array:
    total: Array = np.stack(list(squares.values())).sum(axis=0)
    return total
