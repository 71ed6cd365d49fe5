"""What a framework was at each of many releases: whether today's code ran, and what it cost, from traces alone."""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Literal

import orjson

from evaluator.analysis import parity
from evaluator.analysis.drift import Drift, drift, packages_in_words
from evaluator.analysis.gather import contents, every_task
from evaluator.analysis.graded_run import GradedRun, grade_run, measure_run
from evaluator.analysis.kept import Kept, kept_or_made
from evaluator.analysis.metrics import METRICS, CellRuns, Value, rounded
from evaluator.analysis.parallel import Workers
from evaluator.analysis.parity import PARTS
from evaluator.catalog.frameworks import BASELINE, Framework, baseline_first
from evaluator.catalog.releases import CODE
from evaluator.history import LOCKED, Cell, NotInstalled, cells_path, frameworks_with_cells, read_cells
from evaluator.providers.names import SCRIPTED
from evaluator.trace import DamagedTrace, Trace, model_folder, read_traces
from evaluator.wire.canonical import canonical_bytes
from tasks.grading import Grade

Standing = Literal["runs", "partly", "fails", "not installed"]

FIGURES = (
    "injected_tokens_per_call",
    "prompt_tokens_mean",
    "model_calls_mean",
    "overhead_s_p50",
)
"""The metrics that are followed over releases."""

ALL_TASKS = "all tasks"

_WORTH_PROCESSES = 3
_IMPORT = "the implementation cannot be imported: "


@dataclass(frozen=True)
class TaskStanding:
    """How the runs of a task ended. With `as_today`, at least those pass that pass with what is locked today, and none
    ended with an error. `why` is what most of those say that ended with an error, or else of those that fail."""

    runs: int
    passed: int
    as_today: bool
    why: str | None = None


@dataclass(frozen=True)
class Figures:
    """What runs cost: metrics of the scorecard (see `analysis.metrics`), those of the baseline's runs of the same cases
    in the same sitting, and the injected tokens of a call by part."""

    metrics: dict[str, Value]
    baseline: dict[str, Value]
    injected: dict[str, float]

    def ratio(self, metric: str) -> float | None:
        """A time as a multiple of the baseline's; None where one of them is not known."""
        ours, theirs = self.metrics.get(metric), self.baseline.get(metric)
        return ours / theirs if ours is not None and theirs else None


@dataclass(frozen=True)
class Measured:
    """A framework at a release, measured.

    `figures` are by task, and of `ALL_TASKS` together; they are there only where the runs came out as they do with what
    is locked today, since otherwise they would be of other runs than those of other releases. `packages`,
    `installed_mb` (10^6 bytes) and `import_s` are there wherever the modules could be imported; `import_times` is
    that time as a multiple of the baseline's.
    """

    framework: str
    at: str
    day: str
    version: str | None
    standing: Standing
    tasks: dict[str, TaskStanding]
    not_installed: NotInstalled | None = None
    figures: dict[str, Figures] = field(default_factory=dict)
    packages: Value = None
    installed_mb: Value = None
    import_s: Value = None
    import_times: Value = None

    @property
    def passed(self) -> int:
        """The runs that passed, of all tasks."""
        return sum(one.passed for one in self.tasks.values())

    @property
    def runs(self) -> int:
        """All runs."""
        return sum(one.runs for one in self.tasks.values())

    @property
    def is_of_code(self) -> bool:
        """Whether it is of modules as they were in a month, and today's packages."""
        return self.at.startswith(CODE)

    def reasons(self) -> list[tuple[str, str]]:
        """Why it does not run: the tasks and the error, or the step and what uv said. Alike reasons come once."""
        if self.not_installed is not None:
            return [(self.not_installed.step, self.not_installed.reason)]
        of: dict[str, list[str]] = {}
        for task, one in self.tasks.items():
            if one.why is not None:
                failing = one.runs - one.passed
                some = f"{failing} of {one.runs} runs: " if failing < one.runs else ""
                of.setdefault(f"{some}{one.why}", []).append(task)
        return [(", ".join(tasks), error) for error, tasks in of.items()]


@dataclass(frozen=True)
class Changed:
    """What is sent differently at a release than at the one before it, in the tasks whose runs come out as today at
    both. `packages` says which packages have other versions."""

    before: Measured
    after: Measured
    drift: Drift
    packages: str


@dataclass(frozen=True)
class HistoryOf:
    """The cells of a framework by age, what changed between them, and the lines of its file that cannot be used."""

    framework: str
    cells: tuple[Measured, ...]
    changes: tuple[Changed, ...] = ()
    damaged: tuple[DamagedTrace, ...] = ()

    @property
    def releases(self) -> list[Measured]:
        """The cells with today's code, by age."""
        return [cell for cell in self.cells if not cell.is_of_code]

    @property
    def runs_back_to(self) -> Measured | None:
        """The oldest release from which on today's code runs as it does on the locked one; None where there is none."""
        return _oldest(self.releases, lambda cell: cell.standing == "runs")

    def task_runs_back_to(self, task: str) -> Measured | None:
        """The oldest release from which on the module of this task does."""
        return _oldest(self.releases, lambda cell: task in cell.tasks and cell.tasks[task].as_today)

    @property
    def tasks(self) -> list[str]:
        """The tasks that it has runs of."""
        return list(dict.fromkeys(task for cell in self.cells for task in cell.tasks))

    @property
    def breaks_at(self) -> Measured | None:
        """The youngest release on which it does not."""
        return next((cell for cell in reversed(self.releases) if cell.standing != "runs"), None)

    @property
    def code_back_to(self) -> str | None:
        """The oldest month whose code still runs today, of those that are kept; None where none is kept."""
        of_code = sorted((cell for cell in self.cells if cell.is_of_code), key=lambda cell: cell.at)
        oldest = _oldest(of_code, lambda cell: cell.standing == "runs")
        return None if oldest is None else oldest.at.removeprefix(CODE)


def _oldest(by_age: Sequence[Measured], runs: Callable[[Measured], bool]) -> Measured | None:
    """The first of those that run up to the end."""
    running = list(takewhile(runs, reversed(by_age)))
    return running[-1] if running else None


def recorded_at(root: Path, framework: Framework) -> list[Trace]:
    """The scripted runs of a framework below a folder of traces: those of its cell, else single ones."""
    for cell in read_cells(root, framework.plain_name):
        if isinstance(cell, Cell) and cell.at == (framework.at or LOCKED) and cell.traces:
            return [trace for trace in cell.traces if _is_own(cell, trace)]
    single = read_traces(model_folder(root, SCRIPTED) / framework.name)
    return [trace for trace in single if isinstance(trace, Trace)]


def gather(
    root: Path, frameworks: Container[str], *, kept: Kept | None = None, workers: Workers | None = None
) -> Iterator[HistoryOf]:
    """What the cells below a folder of traces come to, of these frameworks. What one gave is taken from `kept`.

    The `workers` begin at once; without them it is done here.
    """
    names = sorted((name for name in frameworks_with_cells(root) if name in frameworks), key=baseline_first)

    def made(names: Sequence[str]) -> Iterator[HistoryOf]:
        return (workers or Workers(1)).each(partial(of_framework, root), names, worth=len(names) >= _WORTH_PROCESSES)

    return kept_or_made(kept, names, lambda name: contents(root, [cells_path(root, name)]), made)


def of_framework(root: Path, name: str) -> HistoryOf:
    """What the cells of a framework come to."""
    read = list(read_cells(root, name))
    cells = [one for one in read if isinstance(one, Cell)]
    found = measured(cells)
    damaged = tuple(one for one in read if isinstance(one, DamagedTrace))
    return HistoryOf(name, tuple(found), tuple(_changes(cells, found)), damaged)


def _changes(cells: Sequence[Cell], found: Sequence[Measured]) -> Iterator[Changed]:
    """What changed from one release to the next on which anything runs."""
    releases = [one for one in zip(cells, found, strict=True) if one[1].figures and not one[1].is_of_code]
    for (old, before), (new, after) in pairwise(releases):
        if not (shared := {*before.figures} & {*after.figures} - {ALL_TASKS}):
            continue
        ours, theirs = _own(old, shared), _own(new, shared)
        if not _say_the_same(ours, theirs) and (drifted := drift(ours, theirs)).changes:
            packages = packages_in_words(old.packages, new.packages, new.framework.replace("_", "-"))
            yield Changed(before, after, drifted, packages)


def _say_the_same(ours: Iterable[Trace], theirs: Iterable[Trace]) -> bool:
    """Whether the same is sent in each run, and each ends alike."""
    one, other = ({(trace.key.task, trace.key.case): trace for trace in traces} for traces in (ours, theirs))
    return one.keys() == other.keys() and all(_says_the_same(one[run], other[run]) for run in one)


def _says_the_same(one: Trace, other: Trace) -> bool:
    if (one.outcome.ended, one.outcome.answer) != (other.outcome.ended, other.outcome.answer):
        return False
    requests = [[call.request for call in trace.model_calls] for trace in (one, other)]
    return len(requests[0]) == len(requests[1]) and all(
        orjson.dumps(ours) == orjson.dumps(theirs) or canonical_bytes(ours) == canonical_bytes(theirs)
        for ours, theirs in zip(*requests, strict=True)
    )


def _own(cell: Cell, tasks: Container[str]) -> list[Trace]:
    """The framework's own traces of some tasks."""
    return [trace for trace in cell.traces if trace.key.task in tasks and _is_own(cell, trace)]


def _is_own(cell: Cell, trace: Trace) -> bool:
    """Whether it is of the framework, and not of the baseline beside it: what is locked of that is beside itself."""
    return trace.key.framework != BASELINE or (cell.framework == BASELINE and cell.at == LOCKED)


def measured(cells: Sequence[Cell]) -> list[Measured]:
    """The cells of a framework, measured; each stands as it does beside the one of what is locked today."""
    graded = [_graded(cell) for cell in cells]
    today = next((runs for cell, runs in zip(cells, graded, strict=True) if cell.at == LOCKED), None)
    wanted = None if today is None else today.passed()
    return [_measured(cell, runs, wanted) for cell, runs in zip(cells, graded, strict=True)]


@dataclass(frozen=True)
class _Runs:
    """The runs of a cell: of the framework with what they have on the wire beside the spec, and of the baseline."""

    own: tuple[tuple[GradedRun, parity.Comparison | None], ...]
    baseline: tuple[GradedRun, ...]
    errors: dict[str, Counter[str]]
    not_imported: frozenset[str]

    def passed(self) -> set[tuple[str, str]]:
        """Task and case of those that passed."""
        return {_run(run) for run, _ in self.own if run.passed}

    def beside(self, tasks: Sequence[str]) -> list[GradedRun]:
        """The baseline's runs of these tasks; none where it lacks one, since times of fewer tasks do not compare."""
        found = [run for run in self.baseline if run.key.task in tasks]
        return found if {run.key.task for run in found} == set(tasks) else []


def _run(run: GradedRun) -> tuple[str, str]:
    return run.key.task, run.key.case


def _graded(cell: Cell) -> _Runs:
    """The runs of a cell, graded. What is locked of the baseline is measured beside itself."""
    own: list[tuple[GradedRun, parity.Comparison | None]] = []
    baseline: list[GradedRun] = []
    errors: dict[str, Counter[str]] = {}
    not_imported: set[str] = set()
    for trace in cell.traces:
        if trace.key.framework == BASELINE:
            baseline.append(measure_run(trace, _NOT_GRADED))
        if not _is_own(cell, trace):
            continue
        run = grade_run(trace, every_task()[trace.key.task])
        if (comparison := _comparison(trace)) is not None:
            run = replace(run, injected_tokens=comparison.injected, compared_calls=comparison.calls)
        own.append((run, comparison))
        if run.ended != "answered":
            said = trace.outcome.error or run.ended
            errors.setdefault(run.key.task, Counter())[_in_a_line(said.removeprefix(_IMPORT))] += 1
            not_imported |= {run.key.task} if said.startswith(_IMPORT) else set()
    return _Runs(tuple(own), tuple(baseline), errors, frozenset(not_imported))


_NOT_GRADED = Grade(passed=True, score=None, reasons=[])
"""Of the baseline's runs only times are looked at."""


def _comparison(trace: Trace) -> parity.Comparison | None:
    try:
        return parity.compare(parity.observe(trace, every_task()[trace.key.task]))
    except Exception:  # a request of another release may be anything
        return None


_PASSING = re.compile(r"0x[0-9a-f]{6,}|(?:/[\w.@-]+)+/site-packages/")
"""What is another text on each machine or in each run."""


def _in_a_line(said: str) -> str:
    """An error's first line, without addresses and folders."""
    first = next((line for line in said.splitlines() if line.strip()), "")
    return _PASSING.sub("", " ".join(first.split()))


def _measured(cell: Cell, runs: _Runs, wanted: set[tuple[str, str]] | None) -> Measured:
    tasks: dict[str, TaskStanding] = {}
    passed = runs.passed()
    for task in dict.fromkeys(run.key.task for run, _ in runs.own):
        cases = {_run(run) for run, _ in runs.own if run.key.task == task}
        should = cases if wanted is None else {one for one in wanted if one[0] == task}
        said = runs.errors.get(task) or Counter(
            _in_a_line(run.reasons[0]) for run, _ in runs.own if run.key.task == task and not run.passed
        )
        why = said.most_common(1)[0][0] if said else None
        as_today = task not in runs.errors and passed >= should
        tasks[task] = TaskStanding(len(cases), len(cases & passed), as_today, why)
    whole = [task for task, one in tasks.items() if one.as_today]
    standing: Standing = "partly" if passed else "fails"
    if cell.not_installed is not None:
        standing = "not installed"
    elif tasks and len(whole) == len(tasks):
        standing = "runs"
    figures = {task: _figures(runs, [task]) for task in whole}
    imported = [task for task in tasks if task not in runs.not_imported]
    ours = _metrics((run for run, _ in runs.own if run.key.task in imported), _OF_ENVIRONMENT)
    theirs = _metrics(runs.beside(imported), _OF_ENVIRONMENT)
    of_environment = Figures(ours, theirs, {})
    return Measured(
        framework=cell.framework,
        at=cell.at,
        day=cell.day,
        version=cell.version,
        standing=standing,
        tasks=tasks,
        not_installed=cell.not_installed,
        figures=figures | ({ALL_TASKS: _figures(runs, whole)} if standing == "runs" else {}),
        packages=ours.get("packages_max"),
        installed_mb=ours.get("installed_mb_max"),
        import_s=ours.get("import_s_p50"),
        import_times=of_environment.ratio("import_s_p50"),
    )


_OF_ENVIRONMENT = ("packages_max", "installed_mb_max", "import_s_p50")


def _figures(runs: _Runs, tasks: Sequence[str]) -> Figures:
    own = [(run, comparison) for run, comparison in runs.own if run.key.task in tasks]
    parts: Counter[str] = Counter()
    calls = 0
    for _, comparison in own:
        if comparison is not None:
            parts.update(comparison.parts)
            calls += comparison.calls
    return Figures(
        _metrics((run for run, _ in own), FIGURES),
        _metrics(runs.beside(tasks), FIGURES),
        {part: rounded(parts[part] / calls) for part in PARTS} if calls else {},
    )


def _metrics(runs: Iterable[GradedRun], names: Sequence[str]) -> dict[str, Value]:
    of_cell = CellRuns(tuple(runs), code=None)
    return {one.name: one.function(of_cell) for one in METRICS if one.name in names} if of_cell.runs else {}
