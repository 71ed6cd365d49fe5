"""What comes of runs of outside suites: each suite's own metrics by category, and what the runs cost."""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from evaluator.analysis.graded_run import GradedRun, measure_run
from evaluator.analysis.injections import NOT_GIVEN, Reached, reached
from evaluator.analysis.parallel import Workers
from evaluator.catalog.frameworks import BASELINE, baseline_first
from evaluator.packs import SUITES_FOLDER, frameworks_in, models_in, read_packed
from evaluator.stats.intervals import pass_rate_interval, percentile
from evaluator.stats.paired import (
    UNIT,
    holm,
    in_units,
    sign_flip_p_values,
    smallest_detectable,
    standard_deviation,
)
from evaluator.trace import DamagedTrace, Trace
from tasks.grading import Grade

_WORTH_PROCESSES = 3
"""With fewer models and frameworks, starting processes takes longer than it saves."""


@dataclass(frozen=True)
class SuiteRun:
    """A run, with what the suite's own grader says of it: its metrics by name, and why not.

    `reached` is there where somebody put an instruction into what a tool gives: what reached the model of it.
    """

    category: str
    metrics: Mapping[str, bool]
    reasons: tuple[str, ...]
    run: GradedRun
    reached: Reached | None = None

    @property
    def case_and_trial(self) -> tuple[str, int]:
        """What it has in common with the runs of other frameworks."""
        return self.run.key.case, self.run.key.trial


@dataclass(frozen=True)
class Rate:
    """In how many runs a metric held, and the 95 % interval of the rate, over cases."""

    held: int
    runs: int
    low: float
    high: float


@dataclass(frozen=True)
class Versus:
    """A framework beside the baseline, in one metric: the mean difference over the same cases, in [-1, 1], and its
    p-value, adjusted for all frameworks (Holm)."""

    difference: float
    p_value: float


@dataclass(frozen=True)
class Row:
    """What one framework makes of a suite. By category, and "" for all of them together.

    Times in seconds: the median over runs. `unanswered` counts the runs that ended without an answer. `reasons` say how
    often the grader gave which reason, the most frequent first. `reached` counts, over the runs in which a tool gave
    an instruction that somebody had put there, what reached the model: it `whole`, `changed`, or `not`; `around` says
    in how many runs what stood around the tool's result in the message, where that was anything.
    """

    framework: str
    versions: tuple[str, ...]
    rates: Mapping[str, Mapping[str, Rate]]
    versus: Mapping[str, Versus]
    unanswered: int
    calls: float
    prompt_tokens: float
    completion_tokens: float
    wall_s: float
    overhead_s: float
    reasons: tuple[tuple[str, int], ...]
    reached: Mapping[str, int]
    around: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class SuiteFound:
    """What one model's runs of a suite say: of the cases that every framework with runs has.

    `left_out` counts the runs of other cases. `version` and `data` are those of the suite's package. `smallest` is, by
    metric, the smallest mean difference from the baseline that is found in 80 % of all experiments of so many cases;
    None where so few can show none.
    """

    suite: str
    model: str
    version: str
    data: str
    cases: Mapping[str, int]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    smallest: Mapping[str, float | None]
    left_out: int
    unjudged: int
    damaged: tuple[DamagedTrace, ...]


def gather(
    root: Path,
    model: str,
    suites: Iterable[str],
    keep: Callable[[str], bool] = lambda case: True,
    frameworks: Container[str] | None = None,
) -> list[SuiteFound]:
    """What the traces of a model below `root` say of these suites, of the cases that `keep` accepts and of these
    frameworks, or all; of a suite without runs nothing."""
    read = [
        _read(root, tuple(suites), one) for one in _there_are(root, model) if frameworks is None or one[1] in frameworks
    ]
    return _of_model(model, suites, read, keep)


def gather_all(traces: Path, suites: Sequence[str], workers: Workers | None = None) -> Iterator[SuiteFound]:
    """What all runs of these suites below a folder of traces say: of a suite a model after the other.

    The `workers` begin at once; without them it is done here.
    """
    root = traces / SUITES_FOLDER
    there_are = [one for model in models_in(root) for one in _there_are(root, model)]
    read = (workers or Workers(1)).each(
        partial(_read, root, tuple(suites)), there_are, worth=len(there_are) >= _WORTH_PROCESSES
    )
    return _in_order(suites, there_are, read)


def _in_order(
    suites: Sequence[str], there_are: Sequence[tuple[str, str]], read: Iterator["_Read"]
) -> Iterator[SuiteFound]:
    of_models: dict[str, list[_Read]] = defaultdict(list)
    for (model, _), one in zip(there_are, read, strict=True):
        of_models[model].append(one)
    found = [one for model, its in of_models.items() for one in _of_model(model, suites, its)]
    return iter(sorted(found, key=lambda one: suites.index(one.suite)))


@dataclass(frozen=True)
class _Recorded:
    """A run, as much of it as is needed. `version` is that of the suite's package and of its data; `run` is None where
    its grader has said nothing."""

    suite: str
    case: str
    version: tuple[str, str]
    framework: str
    framework_version: str
    run: SuiteRun | None


@dataclass(frozen=True)
class _Read:
    """The runs of one model and framework, and the files that cannot be used."""

    runs: tuple[_Recorded, ...]
    damaged: tuple[DamagedTrace, ...]


def _there_are(root: Path, model: str) -> list[tuple[str, str]]:
    """The model with each framework that has runs of it."""
    return [(model, name) for name in sorted(frameworks_in(root, model), key=baseline_first)]


def _read(root: Path, suites: Sequence[str], of: tuple[str, str]) -> _Read:
    runs: list[_Recorded] = []
    damaged: list[DamagedTrace] = []
    for one in read_packed(root, *of):
        if isinstance(one, DamagedTrace):
            damaged.append(one)
        elif one.outcome.fault is None and one.key.task in suites:
            runs.append(
                _Recorded(
                    suite=one.key.task,
                    case=one.key.case,
                    version=(str(one.case["version"]), str(one.case["data"])),
                    framework=one.key.framework,
                    framework_version=one.setup.framework_version,
                    run=_run(one) if one.verdict is not None else None,
                )
            )
    return _Read(tuple(runs), tuple(damaged))


def _of_model(
    model: str, suites: Iterable[str], read: Sequence[_Read], keep: Callable[[str], bool] = lambda case: True
) -> list[SuiteFound]:
    damaged = tuple(damaged for one in read for damaged in one.damaged)
    kept: dict[str, list[_Recorded]] = defaultdict(list)
    for recorded in (recorded for one in read for recorded in one.runs):
        if keep(recorded.case):
            kept[recorded.suite].append(recorded)
    return [_found(suite, model, kept[suite], damaged) for suite in suites if kept[suite]]


def _found(suite: str, model: str, recorded: Sequence[_Recorded], damaged: tuple[DamagedTrace, ...]) -> SuiteFound:
    newest = max(one.version for one in recorded)
    of_version = [one for one in recorded if one.version == newest]
    judged = [(one, one.run) for one in of_version if one.run is not None]
    runs: dict[str, list[SuiteRun]] = defaultdict(list)
    versions: dict[str, set[str]] = defaultdict(set)
    for one, run in judged:
        runs[one.framework].append(run)
        versions[one.framework].add(one.framework_version)
    of_each = [{one.case_and_trial for one in its} for its in runs.values()]
    shared = set.intersection(*of_each) if of_each else set()
    whole = {name: [one for one in its if one.case_and_trial in shared] for name, its in runs.items()}
    first = next(iter(whole.values()), [])
    kinds = {one.run.key.case: one.category for one in first}
    categories = sorted({*kinds.values()})
    metrics = tuple(dict.fromkeys(name for one in first for name in one.metrics))
    versus, smallest = _compared(whole, metrics)
    return SuiteFound(
        suite=suite,
        model=model,
        version=newest[0],
        data=newest[1],
        cases={category: sum(kind == category for kind in kinds.values()) for category in categories},
        metrics=metrics,
        rows=tuple(
            _row(name, tuple(sorted(versions[name])), its, categories, metrics, versus.get(name, {}))
            for name, its in whole.items()
            if its
        ),
        smallest=smallest,
        left_out=sum(map(len, runs.values())) - sum(map(len, whole.values())) + len(recorded) - len(of_version),
        unjudged=len(of_version) - len(judged),
        damaged=damaged,
    )


def _run(trace: Trace) -> SuiteRun:
    assert trace.verdict is not None
    passed = all(trace.verdict.metrics.values())
    return SuiteRun(
        category=str(trace.case["kind"]),
        metrics=trace.verdict.metrics,
        reasons=tuple(trace.verdict.reasons),
        run=measure_run(trace, Grade(passed=passed, score=None)),
        reached=reached(trace) if trace.case.get("injected") else None,
    )


def _row(
    framework: str,
    versions: tuple[str, ...],
    runs: Sequence[SuiteRun],
    categories: Sequence[str],
    metrics: Sequence[str],
    versus: Mapping[str, Versus],
) -> Row:
    reasons = Counter(reason for one in runs for reason in one.reasons)
    given = [one.reached for one in runs if one.reached is not None and one.reached.looks != (NOT_GIVEN,)]
    around = Counter(f"{one.before}…{one.after}" for one in given if one.before or one.after)
    return Row(
        framework=framework,
        versions=versions,
        rates={
            metric: {category: rate for category in ("", *categories) if (rate := _rate(runs, metric, category))}
            for metric in metrics
        },
        versus=versus,
        unanswered=sum(one.run.ended != "answered" for one in runs),
        calls=fmean(one.run.model_calls for one in runs),
        prompt_tokens=fmean(one.run.prompt_tokens or 0 for one in runs),
        completion_tokens=fmean(one.run.completion_tokens or 0 for one in runs),
        wall_s=percentile([one.run.wall_s for one in runs], 50),
        overhead_s=percentile([one.run.split.overhead_s for one in runs], 50),
        reasons=_most_frequent(reasons),
        reached={
            how: number for how in ("whole", "changed", "not") if (number := sum(one.how == how for one in given))
        },
        around=_most_frequent(around),
    )


def _most_frequent(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _rate(runs: Sequence[SuiteRun], metric: str, category: str) -> Rate | None:
    of_case: dict[str, list[bool]] = defaultdict(list)
    for one in runs:
        if metric in one.metrics and category in ("", one.category):
            of_case[one.run.key.case].append(one.metrics[metric])
    if not of_case:
        return None
    low, high = pass_rate_interval((sum(held), len(held)) for held in of_case.values())
    return Rate(sum(map(sum, of_case.values())), sum(map(len, of_case.values())), low, high)


def _compared(
    runs: Mapping[str, Sequence[SuiteRun]], metrics: Sequence[str]
) -> tuple[dict[str, dict[str, Versus]], dict[str, float | None]]:
    """Each framework beside the baseline, by metric; and the smallest difference that so many cases can show.

    For the latter, the differences of all frameworks vary as those vary that vary most.
    """
    versus: dict[str, dict[str, Versus]] = defaultdict(dict)
    smallest: dict[str, float | None] = {}
    others = [name for name in runs if name != BASELINE]
    if BASELINE not in runs or not others:
        return versus, smallest
    for metric in metrics:
        means = {name: dict(_means(its, metric)) for name, its in runs.items()}
        columns = [in_units([means[name][case] - of for case, of in means[BASELINE].items()]) for name in others]
        if not means[BASELINE]:
            continue
        for name, column, p_value in zip(others, columns, holm(sign_flip_p_values(columns)), strict=True):
            versus[name][metric] = Versus(fmean(column) * UNIT, p_value)
        spread = max(standard_deviation(column) for column in columns) if len(means[BASELINE]) > 1 else 0.0
        found = smallest_detectable(spread, len(means[BASELINE]), len(others)) if spread else None
        smallest[metric] = None if found is None else found * UNIT
    return versus, smallest


def _means(runs: Sequence[SuiteRun], metric: str) -> Iterator[tuple[str, float]]:
    of_case: dict[str, list[bool]] = defaultdict(list)
    for one in runs:
        if metric in one.metrics:
            of_case[one.run.key.case].append(one.metrics[metric])
    for case, held in sorted(of_case.items()):
        yield case, fmean(held)
