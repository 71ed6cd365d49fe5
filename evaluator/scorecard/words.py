"""Frameworks compared in pairs, in words and in cells of tables, for Markdown, README and terminal alike."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from evaluator.analysis.pairs import COMPARED, PASS_RATE, Compared, Pair, letters
from evaluator.catalog.frameworks import BASELINE
from evaluator.scorecard.content import Scorecard


def with_baseline(scorecard: Scorecard, model: str, task: str | None) -> list[Pair]:
    """Each framework beside the baseline, over all tasks or in one."""
    return [one for one in pairs_of(scorecard, model, task) if one.against == BASELINE]


def pairs_of(scorecard: Scorecard, model: str, task: str | None) -> list[Pair]:
    """Every two frameworks, over all tasks or in one."""
    return [one for one in scorecard.pairs if (one.model, one.task) == (model, task)]


def amount(compared: Compared, value: float, *, sign: bool = True, unit: bool = True) -> str:
    """A difference, its interval's end or a floor: `+36 %`, `−3.3 points`."""
    percent = 100 * value
    digits = 0 if abs(percent) >= 9.95 else 1
    text = f"{percent:+.{digits}f}" if sign else f"{percent:.{digits}f}"
    text = "0" if not text.strip("+-0.") else text.removesuffix(".0").replace("-", "−")
    words = " %" if compared.relative else " points"
    return text + (words if unit else "")


def beside_baseline(pair: Pair) -> str:
    """`tie`, or the difference with its interval: `+36 % [+31, +41]`."""
    if pair.verdict == "tie":
        return "tie"
    [compared] = [one for one in COMPARED if one.name == pair.metric]
    ends = [amount(compared, end, unit=False) for end in (pair.low, pair.high) if end is not None]
    return amount(compared, pair.difference) + (f" [{', '.join(ends)}]" if ends else "")


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


@dataclass(frozen=True)
class Row:
    """A framework beside the baseline on `cases`, or the baseline itself.

    For each of `COMPARED`: the difference in words, and the letters of the ties.
    """

    framework: str
    cases: int | None
    cells: tuple[tuple[str, str], ...]


def rows(pairs: Sequence[Pair]) -> list[Row]:
    """The baseline, and each framework beside it."""
    against = [one for one in pairs if one.against == BASELINE]
    cases: dict[str, int] = {}
    for one in against:
        cases[one.framework] = max(one.cases, cases.get(one.framework, 0))
    found = {(one.framework, one.metric): beside_baseline(one) for one in against}
    tied = {compared: tie_letters(pairs, compared) for compared in COMPARED}
    return [
        Row(
            name,
            cases.get(name),
            tuple((found.get((name, compared.name), "–"), tied[compared].get(name, "")) for compared in COMPARED),
        )
        for name in (BASELINE, *cases)
    ]


def limits(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """For each of `COMPARED` from which difference on one is found, and the noise floor if there is one."""
    floors = {one.metric: one.noise_floor for one in pairs if one.against == BASELINE}
    known = {"found from": [_limit(compared, detectable(compared, pairs)) for compared in COMPARED]}
    if any(floor is not None for floor in floors.values()):
        known["noise floor"] = [_limit(compared, floors.get(compared.name)) for compared in COMPARED]
    return known


def _limit(compared: Compared, value: float | None) -> str:
    return "–" if value is None else amount(compared, value, sign=False)


def correctness(scorecard: Scorecard, model: str) -> str | None:
    """What the pass rates say, in a sentence; None where there is nothing to compare."""
    pairs = [one for one in pairs_of(scorecard, model, None) if one.metric == PASS_RATE.name]
    if not pairs:
        return None
    titles = scorecard.titles
    found = [
        f"{titles[one.framework]} {one.verdict} than {titles[one.against]}" for one in pairs if one.verdict != "tie"
    ]
    said = f"in pass rate {'; '.join(found)}; all others tie" if found else "no two frameworks differ in pass rate"
    seen = detectable(PASS_RATE, pairs)
    limit = (
        "so few cases can show no difference"
        if seen is None
        else f"a difference is likely to be found from {amount(PASS_RATE, seen, sign=False)} on"
    )
    return f"Over {max(one.cases for one in pairs)} cases {said}, as far as these can tell: {limit}."


def detectable(compared: Compared, pairs: Sequence[Pair]) -> float | None:
    """The smallest difference found in 80 % of experiments, for the pair in the middle; None where none is."""
    known = [one.detectable for one in pairs if one.metric == compared.name and one.detectable is not None]
    seen = statistics.median(known) if known else None
    return None if seen is None or (seen >= 1 and not compared.relative) else seen
