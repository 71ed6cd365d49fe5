"""Numbers and findings in words: the same in Markdown, README, terminal and site."""

from collections import Counter
from collections.abc import Mapping

from evaluator.analysis.judge import Figures
from evaluator.analysis.metrics import Value
from evaluator.analysis.pairs import COMPARED, PASS_RATE, Compared, Pair
from evaluator.analysis.repricing import Cost
from evaluator.scorecard.content import FrameworkNotes, Scorecard
from evaluator.scorecard.letters import detectable, pairs_of

_NAMED = 3
"""Pairs of frameworks that a sentence names."""


def seconds(value: Value) -> str:
    """A duration given in seconds: in ms below one second."""
    if value is None:
        return "–"
    if value < 0.9995:
        return f"{value * 1000:.1f} ms" if value < 0.00995 else f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"


def count(value: Value) -> str:
    """A count or a mean of counts: one decimal below 100, if it has any."""
    if value is None:
        return "–"
    return f"{value:,.1f}".removesuffix(".0") if value < 99.95 else f"{value:,.0f}"


def percent(value: Value) -> str:
    """A share in whole per cent."""
    return "–" if value is None else f"{value:.0%}"


def per_1000_runs(cost_usd: Value) -> str:
    """The cost of a thousand runs in US dollars, to three digits."""
    return "–" if cost_usd is None else f"{float(f'{1000 * cost_usd:.3g}'):,}".removesuffix(".0")


def per_1000_runs_on(cost: Cost) -> str:
    """`1.23 (0.45)`: the cost of a thousand runs in US dollars without a cache, and if another, with one."""
    with_cache = "" if cost.cached in (None, cost.uncached) else f" ({per_1000_runs(cost.cached)})"
    return f"{per_1000_runs(cost.uncached)}{with_cache}"


def pass_rate(metrics: Mapping[str, Value]) -> str:
    """`88% [53–98]`: the rate and its 95 % interval, in per cent; of a reference, which has none, the rate alone."""
    rate, low, high = (metrics.get(name) for name in ("pass_rate", "pass_rate_low", "pass_rate_high"))
    interval = "" if low is None or high is None else f" [{100 * low:.0f}–{100 * high:.0f}]"
    return f"{100 * (rate or 0):.0f}%{interval}"


def judged_right(figures: Figures) -> str:
    """`88% [53–98]`: the share of runs judged right and its 95 % interval, in per cent."""
    if figures.right_share is None:
        return "–"
    share, low, high = (100 * (end or 0) for end in (figures.right_share, figures.right_low, figures.right_high))
    return f"{share:.0f}% [{low:.0f}–{high:.0f}]"


def judged_of(figures: Figures) -> str:
    """`15/16`: the runs that the share is of, and all."""
    return f"{figures.verdicts + figures.unanswered}/{figures.runs}"


def agreement(figures: Figures) -> str:
    """`94% (n = 16)`: the share of verdicts that say what the rules say, and how many there are."""
    return "–" if figures.agreement is None else f"{figures.agreement:.0%} (n = {figures.verdicts})"


def kappa(figures: Figures) -> str:
    """Cohen's kappa with two decimals; a dash where it is 0 / 0."""
    return "–" if figures.kappa is None else f"{figures.kappa:.2f}".replace("-", "−")


def discrepancy(value: Value) -> str:
    """By how much a count is off, in per cent."""
    if value is None:
        return "–"
    return f"{100 * value:+.1f} %".replace("-", "−") if value else "exact"


def own_count(metrics: Mapping[str, Value]) -> str:
    """How far a framework's own count of prompt and completion tokens is off: `exact`, `+3.4 %, exact`."""
    said = [discrepancy(metrics[f"{kind}_tokens_discrepancy"]) for kind in ("prompt", "completion")]
    return ", ".join(dict.fromkeys(said))


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


def deviation_numbers(notes: FrameworkNotes) -> str:
    """The numbers of a framework's deviations, which follow one another: `6–11`."""
    numbers = [number for number, _, _ in notes.deviations]
    return "–".join(dict.fromkeys((str(numbers[0]), str(numbers[-1])))) if numbers else ""


def limit(compared: Compared, value: float | None) -> str:
    """From where on something holds: `36 %`."""
    return "–" if value is None else amount(compared, value, sign=False)


def correctness(scorecard: Scorecard, model: str) -> str | None:
    """What the pass rates say, in a sentence; None where there is nothing to compare."""
    pairs = [one for one in pairs_of(scorecard, model, None) if one.metric == PASS_RATE.name]
    if not pairs:
        return None
    number = max(one.cases for one in pairs)
    cases = "1 case" if number == 1 else f"{number} cases"
    rates = {cell.metrics["pass_rate"] for cell in scorecard.totals if cell.model == model}
    if rates in ({0.0}, {1.0}):
        every = "passed" if rates == {1.0} else "failed"
        return f"Over {cases} every run {every}, so no two frameworks can differ in pass rate."
    titles = scorecard.titles
    found = [
        f"{titles[one.framework]} {one.verdict} than {titles[one.against]}" for one in pairs if one.verdict != "tie"
    ]
    named = [*found[:_NAMED], *([f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else [])]
    said = f"in pass rate {'; '.join(named)}; all others tie" if found else "no two frameworks differ in pass rate"
    seen = detectable(PASS_RATE, pairs)
    found_from = (
        "so few cases can show no difference"
        if seen is None
        else f"a difference is likely to be found from {amount(PASS_RATE, seen, sign=False)} on"
    )
    return f"Over {cases} {said}, as far as these can tell: {found_from}."


def levels(scorecard: Scorecard, model: str) -> str:
    """How many cases are of which level: `12 cases of level 1 and 4 of level 2`; empty where that is unknown."""
    cases = {(run.key.task, run.key.case): run.level for run in scorecard.runs if run.key.model == model}
    if None in cases.values() or not cases:
        return ""
    (level, number), *others = sorted(Counter(cases.values()).items(), key=str)
    first = f"{number} case{'s' if number > 1 else ''} of level {level}"
    *middle, last = [first, *(f"{count} of level {level}" for level, count in others)]
    return f"{', '.join(middle)} and {last}" if middle else last


def failures(scorecard: Scorecard, model: str) -> str:
    """How many runs failed, and for which kinds of reason: `22 of 24 runs failed, for these reasons …`."""
    totals = [cell for cell in scorecard.totals if cell.model == model]
    runs, passed = (sum(int(cell.metrics[name] or 0) for cell in totals) for name in ("runs", "passed"))
    if passed == runs:
        return f"{runs} of {runs} runs passed."
    kinds: Counter[str] = Counter()
    for cell in totals:
        kinds.update(cell.failure_kinds)
    said = ", ".join(f"{kind} ({number})" for kind, number in kinds.most_common())
    return f"{runs - passed} of {runs} runs failed, for these reasons (a run can have several): {said}."


def not_implemented(scorecard: Scorecard, model: str, task: str | None) -> str | None:
    """Who does not implement the task, or with None any of the model's tasks, and why; None where all do."""
    who: dict[str, list[str]] = {}
    for notes in scorecard.frameworks.values():
        for lacked, why in notes.not_implemented:
            who.setdefault(lacked, []).append(f"{notes.title} ({why})" if why else notes.title)
    tasks = dict.fromkeys(cell.task for cell in scorecard.cells if cell.model == model and cell.task in who)
    if task is not None:
        return f"Not implemented by {', '.join(who[task])}." if task in tasks else None
    lacks = [f"{one} by {', '.join(who[one])}" for one in tasks if one is not None]
    return f"Not implemented, and so not in their figures over all tasks: {'; '.join(lacks)}." if lacks else None
