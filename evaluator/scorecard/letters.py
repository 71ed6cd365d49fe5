"""Frameworks beside one another: which pairs there are, and what ties with what."""

import statistics
from collections.abc import Sequence

from evaluator.analysis.pairs import COMPARED, Compared, Pair, letters
from evaluator.catalog.frameworks import BASELINE
from evaluator.scorecard.content import Faults, Scorecard


def with_baseline(scorecard: Scorecard, model: str, task: str | None) -> list[Pair]:
    """Each framework beside the baseline, over all tasks or in one."""
    return [one for one in pairs_of(scorecard, model, task) if one.against == BASELINE]


def pairs_of(scorecard: Scorecard, model: str, task: str | None) -> list[Pair]:
    """Every two frameworks, over all tasks or in one."""
    return [one for one in scorecard.pairs if (one.model, one.task) == (model, task)]


def tie_letters(pairs: Sequence[Pair], compared: Compared) -> dict[str, str]:
    """Letters of frameworks: two that have one in common are a tie. `a` has the best; none where all are ties.

    A framework that was not compared with the baseline has none either.
    """
    of_metric = [one for one in pairs if one.metric == compared.name]
    differing = [(one.framework, one.against) for one in of_metric if one.verdict != "tie"]
    if not differing:
        return {}
    more = {BASELINE: 0.0} | {one.framework: one.difference for one in of_metric if one.against == BASELINE}
    ordered = sorted(more, key=lambda name: (more[name] if compared.better == "lower" else -more[name], name))
    return letters(ordered, differing)


def letters_of(pairs: Sequence[Pair]) -> dict[tuple[str | None, str], str]:
    """The letters of every metric and framework."""
    return {
        (compared.name, framework): tied
        for compared in COMPARED
        for framework, tied in tie_letters(pairs, compared).items()
    }


def fault_letters(faults: Faults) -> dict[str, str]:
    """Letters of frameworks as they come, by the share of faults that they recover from; none where all are ties."""
    differing = [(one.framework, one.against) for one in faults.pairs if one.verdict != "tie" and not one.hardened]
    shares = {total.framework: total.figures.share or 0 for total in faults.totals if not total.hardened}
    return letters(sorted(shares, key=lambda name: (-shares[name], name)), differing) if differing else {}


def detectable(compared: Compared, pairs: Sequence[Pair]) -> float | None:
    """The smallest difference found in 80 % of experiments, for the pair in the middle; None where none is."""
    known = [one.detectable for one in pairs if one.metric == compared.name and one.detectable is not None]
    seen = statistics.median(known) if known else None
    return None if seen is None or (seen >= 1 and not compared.relative) else seen
