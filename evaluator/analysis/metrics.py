"""What is measured over the graded runs of a cell.

Every metric is a row of `METRICS`; adding one is adding a row.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean
from typing import Literal

from evaluator.analysis.graded_run import GradedRun
from evaluator.catalog.code_size import CodeSize
from evaluator.stats.intervals import pass_hat_k, pass_rate_interval, percentile
from evaluator.trace import Ended

Value = float | int | None
"""A metric's value; None where nothing was observed that it could be computed from."""


@dataclass(frozen=True)
class CellRuns:
    """All that a cell's metrics are computed from: at least one run, and the size of the code that ran.

    The differences are those between the wire and the task's spec that a deviation explains, or none does.
    """

    runs: tuple[GradedRun, ...]
    code: CodeSize | None
    differences_explained: int | None = None
    differences_unexplained: int | None = None


@dataclass(frozen=True)
class Metric:
    """One column of the scorecard. `better` is the direction to prefer, if there is one."""

    name: str
    meaning: str
    unit: str
    better: Literal["lower", "higher"] | None
    function: Callable[[CellRuns], Value]


# --- from graded runs to metrics -------------------------------------------------------------

_Read = Callable[[GradedRun], float | None]


def _known(cell: CellRuns, read: _Read) -> list[float]:
    return [value for run in cell.runs if (value := read(run)) is not None]


def _mean(read: _Read) -> Callable[[CellRuns], Value]:
    return lambda cell: fmean(values) if (values := _known(cell, read)) else None


def _time(percent: float, read: _Read) -> Callable[[CellRuns], Value]:
    return lambda cell: over_tasks(cell, percent, lambda run: () if (value := read(run)) is None else (value,))


def over_tasks(cell: CellRuns, percent: float, read: Callable[[GradedRun], Sequence[float]]) -> Value:
    """The percentile of a time; over several tasks the geometric mean of the percentiles of each.

    The median of several tasks' runs taken together is one of whichever task lies in the middle: two frameworks that
    differ by a tenth in each task may differ by half in it, or the other way round. The geometric mean weighs the tasks
    alike whatever they take, and its ratio of two frameworks is the mean ratio of their tasks (Fleming and Wallace,
    "How Not to Lie with Statistics: The Correct Way to Summarize Benchmark Results", Communications of the ACM 29
    (1986)).
    Where runs of several frameworks are taken together, each of them is apart in the same way.

    None where the times of a framework's runs of a task do not compare (see the sittings), for then it would be one of
    other tasks than the others'; and none where one of several percentiles is zero, which has no ratio: it can be given
    for each task alone.
    """
    groups: dict[tuple[str, str], list[float]] = {}
    for run in cell.runs:
        if values := read(run):
            groups.setdefault((run.key.framework, run.key.task), []).extend(values if run.timed else ())
    if not groups or not all(groups.values()):
        return None
    percentiles = [percentile(values, percent) for values in groups.values()]
    if len(percentiles) == 1:
        return percentiles[0]
    return geometric_mean(percentiles) if min(percentiles) > 0 else None


def _percentile(percent: float, read: _Read) -> Callable[[CellRuns], Value]:
    return lambda cell: percentile(values, percent) if (values := _known(cell, read)) else None


def _max(read: _Read) -> Callable[[CellRuns], Value]:
    return lambda cell: max(_known(cell, read), default=None)


def _ended(how: Ended) -> Callable[[CellRuns], Value]:
    return lambda cell: sum(run.ended == how for run in cell.runs)


def _cases(cell: CellRuns) -> int:
    return len({(run.key.task, run.key.case) for run in cell.runs})


def _passed_of_cases(cell: CellRuns) -> list[tuple[int, int]]:
    """(passed runs, runs) of each case."""
    runs = Counter((run.key.task, run.key.case) for run in cell.runs)
    passed = Counter((run.key.task, run.key.case) for run in cell.runs if run.passed)
    return [(passed[case], runs[case]) for case in runs]


def _pass_rate_interval(cell: CellRuns) -> tuple[float, float]:
    return pass_rate_interval(_passed_of_cases(cell))


def _time_to_first_token_s(cell: CellRuns) -> Value:
    return over_tasks(cell, 50, lambda run: run.first_token_s)


def _of_code(read: Callable[[CodeSize], int]) -> Callable[[CellRuns], Value]:
    return lambda cell: None if cell.code is None else read(cell.code)


def _workers(cell: CellRuns) -> int:
    return len({(run.import_s, run.memory_after_import_mb) for run in cell.runs if run.import_s is not None})


def _overhead_per_model_call_s(run: GradedRun) -> float | None:
    return run.split.overhead_s / run.model_calls if run.model_calls else None


def _injected_tokens_per_call(cell: CellRuns) -> float | None:
    known = [run for run in cell.runs if run.injected_tokens is not None and run.compared_calls]
    calls = sum(run.compared_calls for run in known)
    return sum(run.injected_tokens or 0 for run in known) / calls if calls else None


def _discrepancy(reported: _Read, on_the_wire: _Read) -> Callable[[CellRuns], Value]:
    """(reported - wire) / wire, of the sums over the runs for which both are known."""

    def discrepancy(cell: CellRuns) -> Value:
        pairs = [(reported(run), on_the_wire(run)) for run in cell.runs]
        known = [(own, wire) for own, wire in pairs if own is not None and wire is not None]
        wire = sum(wire for _, wire in known)
        return (sum(own for own, _ in known) - wire) / wire if wire else None

    return discrepancy


METRICS = (
    Metric("cases", "distinct cases", "cases", None, _cases),
    Metric("runs", "runs, however they ended", "runs", None, lambda cell: len(cell.runs)),
    Metric("passed", "runs that passed", "runs", "higher", lambda cell: sum(run.passed for run in cell.runs)),
    Metric("pass_rate", "passed runs / runs", "share", "higher", lambda cell: fmean(run.passed for run in cell.runs)),
    Metric(
        "pass_rate_low",
        "lower end of the pass rate's 95 % interval",
        "share",
        "higher",
        lambda cell: _pass_rate_interval(cell)[0],
    ),
    Metric(
        "pass_rate_high",
        "upper end of the pass rate's 95 % interval",
        "share",
        "higher",
        lambda cell: _pass_rate_interval(cell)[1],
    ),
    Metric(
        "mean_score",
        "mean score of a run, over the runs that have one: the share of what it could earn; doing nothing scores 0",
        "share",
        "higher",
        _mean(lambda run: run.score),
    ),
    Metric("wall_s_p50", "median wall time of a run", "s", "lower", _time(50, lambda run: run.wall_s)),
    Metric("wall_s_p95", "95th percentile of wall time", "s", "lower", _time(95, lambda run: run.wall_s)),
    Metric(
        "model_s_p50",
        "median time with the model at work",
        "s",
        "lower",
        _time(50, lambda run: run.split.model_s),
    ),
    Metric("tool_s_p50", "median time in tools", "s", "lower", _time(50, lambda run: run.split.tool_s)),
    Metric("gateway_s_p50", "median time in the gateway", "s", None, _time(50, lambda run: run.split.gateway_s)),
    Metric(
        "overhead_s_p50",
        "median wall time not spent in model, gateway or tools",
        "s",
        "lower",
        _time(50, lambda run: run.split.overhead_s),
    ),
    Metric(
        "overhead_per_model_call_s_p50",
        "median of a run's overhead / its model calls",
        "s",
        "lower",
        _time(50, _overhead_per_model_call_s),
    ),
    Metric(
        "time_to_first_token_s_p50",
        "median time from sending a streamed model call to its first byte",
        "s",
        "lower",
        _time_to_first_token_s,
    ),
    Metric(
        "model_calls_mean",
        "mean chat calls of a run, failed ones too",
        "calls",
        "lower",
        _mean(lambda r: r.model_calls),
    ),
    Metric("prompt_tokens_mean", "mean prompt tokens of a run", "tokens", "lower", _mean(lambda r: r.prompt_tokens)),
    Metric(
        "completion_tokens_mean",
        "mean completion tokens of a run",
        "tokens",
        "lower",
        _mean(lambda run: run.completion_tokens),
    ),
    Metric(
        "cached_tokens_mean",
        "mean prompt tokens of a run that came from the upstream's cache",
        "tokens",
        None,
        _mean(lambda run: run.cached_tokens),
    ),
    Metric(
        "reasoning_tokens_mean",
        "mean completion tokens of a run that the model thought with; none where the server does not tell them apart",
        "tokens",
        None,
        _mean(lambda run: run.reasoning_tokens),
    ),
    Metric(
        "embedding_tokens_mean", "mean tokens embedded in a run", "tokens", "lower", _mean(lambda r: r.embedding_tokens)
    ),
    Metric(
        "cost_usd_mean",
        "mean price of a run's chat calls; none where the price is not known, as for models run by oneself",
        "USD",
        "lower",
        _mean(lambda run: run.cost_usd),
    ),
    Metric(
        "injected_tokens_per_call",
        "mean prompt tokens of a chat call beyond those of the canonical request of its step",
        "tokens",
        "lower",
        _injected_tokens_per_call,
    ),
    Metric(
        "compared_calls",
        "chat calls that could be compared with the canonical request",
        "calls",
        None,
        lambda cell: sum(run.compared_calls for run in cell.runs),
    ),
    Metric(
        "model_calls",
        "chat calls of all runs, failed ones too",
        "calls",
        None,
        lambda cell: sum(run.model_calls for run in cell.runs),
    ),
    Metric(
        "differences_explained",
        "differences from the task's spec on the wire that a deviation explains",
        "differences",
        "lower",
        lambda cell: cell.differences_explained,
    ),
    Metric(
        "differences_unexplained",
        "differences from the task's spec on the wire that nothing explains",
        "differences",
        "lower",
        lambda cell: cell.differences_unexplained,
    ),
    Metric(
        "reported_runs",
        "runs for which the framework gave a token count of its own",
        "runs",
        None,
        lambda cell: len(_known(cell, lambda run: run.reported_prompt_tokens)),
    ),
    Metric(
        "reported_prompt_tokens_mean",
        "mean prompt tokens of a run by the framework's own count",
        "tokens",
        None,
        _mean(lambda run: run.reported_prompt_tokens),
    ),
    Metric(
        "reported_completion_tokens_mean",
        "mean completion tokens of a run by the framework's own count",
        "tokens",
        None,
        _mean(lambda run: run.reported_completion_tokens),
    ),
    Metric(
        "prompt_tokens_discrepancy",
        "(the framework's own count of prompt tokens - the wire's) / the wire's, where it gave one",
        "share",
        None,
        _discrepancy(lambda run: run.reported_prompt_tokens, lambda run: run.prompt_tokens),
    ),
    Metric(
        "completion_tokens_discrepancy",
        "(the framework's own count of completion tokens - the wire's) / the wire's, where it gave one",
        "share",
        None,
        _discrepancy(lambda run: run.reported_completion_tokens, lambda run: run.completion_tokens),
    ),
    Metric(
        "source_lines",
        "lines of the implementation that hold code (not blank, comment or docstring)",
        "lines",
        "lower",
        _of_code(lambda code: code.lines),
    ),
    Metric(
        "source_tokens", "tokens of these lines, a string being one", "tokens", "lower", _of_code(lambda c: c.tokens)
    ),
    Metric(
        "branches",
        "places in the implementation where it can go one way or another",
        "branches",
        "lower",
        _of_code(lambda code: code.branches),
    ),
    Metric(
        "framework_names",
        "distinct names that the implementation takes from the framework and other packages",
        "names",
        "lower",
        _of_code(lambda code: len(code.framework_names)),
    ),
    Metric(
        "lines_by_hand",
        "source lines of the tasks for which the framework has no facility of its own",
        "lines",
        "lower",
        _of_code(lambda code: code.lines_by_hand),
    ),
    Metric("packages_max", "packages in the framework's environment", "packages", "lower", _max(lambda r: r.packages)),
    Metric(
        "installed_mb_max",
        "size of the files in the framework's environment (10^6 bytes), without bytecode and Python itself",
        "MB",
        "lower",
        _max(lambda run: run.installed_mb),
    ),
    Metric(
        "workers",
        "processes that made the runs, told apart by import time and memory; each imports once",
        "workers",
        None,
        _workers,
    ),
    Metric(
        "import_s_p50",
        "median time to import the implementation and its framework",
        "s",
        "lower",
        _time(50, lambda run: run.import_s),
    ),
    Metric(
        "memory_after_import_mb_p50",
        "median memory of a worker once framework and implementations are imported",
        "MB",
        "lower",
        _percentile(50, lambda run: run.memory_after_import_mb),
    ),
    Metric(
        "peak_memory_mb_max", "highest peak memory of a worker", "MB", "lower", _max(lambda run: run.peak_memory_mb)
    ),
    Metric("errors", "runs that ended with an error", "runs", "lower", _ended("error")),
    Metric("timeouts", "runs that ended by the time-out", "runs", "lower", _ended("timeout")),
    Metric("call_limits", "runs that ended by the limit on model calls", "runs", "lower", _ended("call_limit")),
)


def measure(cell: CellRuns) -> dict[str, Value]:
    """Every metric of a cell by name."""
    values = {metric.name: metric.function(cell) for metric in METRICS}
    return {name: rounded(value) if isinstance(value, float) else value for name, value in values.items()}


def pass_hat(cell: CellRuns) -> tuple[float, ...]:
    """pass^k for k = 1 … the trials that every case has: the chance that k runs of a case all pass, over cases."""
    cases = _passed_of_cases(cell)
    trials = min(runs for _, runs in cases)
    return tuple(rounded(fmean(pass_hat_k(runs, passed, k) for passed, runs in cases)) for k in range(1, trials + 1))


def failure_kinds(cell: CellRuns) -> dict[str, int]:
    """In how many failed runs each kind of reason occurs, the most frequent first; a run may have several."""
    kinds = Counter(kind for run in cell.runs if not run.passed for kind in set(run.kinds))
    return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def rounded(value: float) -> float:
    """A number as it stands in the scorecard: 6 significant digits."""
    return float(f"{value:.6g}")
