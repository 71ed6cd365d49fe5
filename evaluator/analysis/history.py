"""What a framework was at each of many releases: whether today's code ran, and what it cost, from traces alone."""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from evaluator.analysis import parity
from evaluator.analysis.gather import contents, every_task
from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.analysis.kept import Kept, kept_or_made
from evaluator.analysis.metrics import CellRuns, Value, measure
from evaluator.analysis.parallel import cores, each
from evaluator.analysis.parity import PARTS
from evaluator.catalog.frameworks import BASELINE, plain_name
from evaluator.catalog.releases import CODE
from evaluator.history import LOCKED, Cell, NotInstalled, cells_path, frameworks_with_cells, read_cells
from evaluator.trace import DamagedTrace, Trace

Standing = Literal["runs", "partly", "fails", "not installed"]

FIGURES = (
    "injected_tokens_per_call",
    "prompt_tokens_mean",
    "model_calls_mean",
    "overhead_s_p50",
    "import_s_p50",
    "packages_max",
    "installed_mb_max",
)
"""The metrics that are followed over releases."""

_WORTH_PROCESSES = 3
_IMPORT = "the implementation cannot be imported: "


@dataclass(frozen=True)
class TaskStanding:
    """How the runs of a task ended. `error` is the one that most of them ended with, if any did."""

    runs: int
    passed: int
    error: str | None = None


@dataclass(frozen=True)
class Measured:
    """A framework at a release, measured.

    `metrics` are those of a cell of the scorecard (see `analysis.metrics`) over all tasks, `baseline` those of the
    baseline's runs in the same sitting; `injected` are the injected tokens of a call by part. Where a run did not end
    with an answer there are none of the three, since they would be of other runs than those of other releases.
    """

    framework: str
    at: str
    day: str
    version: str | None
    standing: Standing
    tasks: dict[str, TaskStanding]
    not_installed: NotInstalled | None = None
    metrics: dict[str, Value] = field(default_factory=dict)
    baseline: dict[str, Value] = field(default_factory=dict)
    injected: dict[str, float] = field(default_factory=dict)

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

    def ratio(self, metric: str) -> float | None:
        """A time as a multiple of the baseline's in the same sitting; None where one of them is not known."""
        ours, theirs = self.metrics.get(metric), self.baseline.get(metric)
        return ours / theirs if ours is not None and theirs else None

    def reasons(self) -> list[tuple[str, str]]:
        """Why it does not run: the tasks and the error, or the step and what uv said. Alike reasons come once."""
        if self.not_installed is not None:
            return [(self.not_installed.step, self.not_installed.reason)]
        of: dict[str, list[str]] = {}
        for task, one in self.tasks.items():
            if one.error is not None:
                of.setdefault(one.error, []).append(task)
            elif one.passed < one.runs:
                of.setdefault(f"{one.runs - one.passed} of {one.runs} runs fail", []).append(task)
        return [(", ".join(tasks), error) for error, tasks in of.items()]


@dataclass(frozen=True)
class HistoryOf:
    """The cells of a framework by age, and the lines of its file that cannot be used."""

    framework: str
    cells: tuple[Measured, ...]
    damaged: tuple[DamagedTrace, ...] = ()

    @property
    def releases(self) -> list[Measured]:
        """The cells with today's code, by age."""
        return [cell for cell in self.cells if not cell.is_of_code]

    @property
    def runs_back_to(self) -> Measured | None:
        """The oldest release from which on today's code runs as it does on the locked one; None where there is none."""
        oldest = None
        for cell in reversed(self.releases):
            if cell.standing != "runs":
                break
            oldest = cell
        return oldest

    @property
    def breaks_at(self) -> Measured | None:
        """The youngest release on which it does not."""
        return next((cell for cell in reversed(self.releases) if cell.standing != "runs"), None)

    @property
    def code_back_to(self) -> str | None:
        """The oldest month whose code still runs today, of those that are kept; None where none is kept."""
        oldest = None
        for cell in sorted((cell for cell in self.cells if cell.is_of_code), key=lambda cell: cell.at, reverse=True):
            if cell.standing != "runs":
                break
            oldest = cell.at.removeprefix(CODE)
        return oldest


def gather(
    root: Path, frameworks: Container[str], *, kept: Kept | None = None, processes: int | None = None
) -> list[HistoryOf]:
    """What the cells below a folder of traces come to, of these frameworks. What one gave is taken from `kept`."""
    names = [name for name in frameworks_with_cells(root) if name in frameworks]
    names.sort(key=lambda name: (name != BASELINE, name))
    most = cores() if processes is None else processes

    def made(names: Sequence[str]) -> Iterator[HistoryOf]:
        return each(partial(of_framework, root), names, most if len(names) >= _WORTH_PROCESSES else 1)

    return list(kept_or_made(kept, names, lambda name: contents(root, [cells_path(root, name)]), made))


def of_framework(root: Path, name: str) -> HistoryOf:
    """What the cells of a framework come to."""
    read = list(read_cells(root, name))
    cells = [one for one in read if isinstance(one, Cell)]
    return HistoryOf(name, tuple(measured(cells)), tuple(one for one in read if isinstance(one, DamagedTrace)))


def measured(cells: Sequence[Cell]) -> list[Measured]:
    """The cells of a framework, measured; each stands as it does beside the one of what is locked today."""
    graded = [_graded(cell) for cell in cells]
    today = next((runs for cell, runs in zip(cells, graded, strict=True) if cell.at == LOCKED), None)
    wanted = None if today is None else {_run(run) for run in today.own if run.passed}
    return [_measured(cell, runs, wanted) for cell, runs in zip(cells, graded, strict=True)]


@dataclass(frozen=True)
class _Runs:
    own: tuple[GradedRun, ...]
    baseline: tuple[GradedRun, ...]
    errors: dict[str, Counter[str]]
    injected: dict[str, float]


def _run(run: GradedRun) -> tuple[str, str]:
    return run.key.task, run.key.case


def _graded(cell: Cell) -> _Runs:
    """The runs of a cell, graded. With the baseline itself, all runs are its own and its measure."""
    own: list[GradedRun] = []
    baseline: list[GradedRun] = []
    errors: dict[str, Counter[str]] = {}
    parts: Counter[str] = Counter()
    calls = 0
    for trace in cell.traces:
        run = grade_run(trace, every_task()[trace.key.task])
        if trace.key.framework == BASELINE:
            baseline.append(run)
        if plain_name(trace.key.framework) != cell.framework or (cell.at != LOCKED and trace.key.framework == BASELINE):
            continue
        if (comparison := _comparison(trace)) is not None:
            run = replace(run, injected_tokens=comparison.injected, compared_calls=comparison.calls)
            parts.update(comparison.parts)
            calls += comparison.calls
        own.append(run)
        if run.ended != "answered":
            said = (trace.outcome.error or run.ended).removeprefix(_IMPORT)
            errors.setdefault(run.key.task, Counter())[_in_a_line(said)] += 1
    injected = {part: parts[part] / calls for part in PARTS} if calls else {}
    return _Runs(tuple(own), tuple(baseline), errors, injected)


def _comparison(trace: Trace) -> parity.Comparison | None:
    try:
        return parity.compare(parity.observe(trace, every_task()[trace.key.task]))
    except Exception:  # a request of another release may be anything
        return None


_ADDRESS = re.compile(r"0x[0-9a-f]{6,}|(?:/[\w.@-]+)+/site-packages/")


def _in_a_line(said: str) -> str:
    """An error's first line, without what is another one in each run."""
    first = next((line for line in said.splitlines() if line.strip()), "")
    return _ADDRESS.sub("", " ".join(first.split()))


def _measured(cell: Cell, runs: _Runs, wanted: set[tuple[str, str]] | None) -> Measured:
    tasks = {}
    for task in dict.fromkeys(run.key.task for run in runs.own):
        of_task = [run for run in runs.own if run.key.task == task]
        error = runs.errors[task].most_common(1)[0][0] if task in runs.errors else None
        tasks[task] = TaskStanding(len(of_task), sum(run.passed for run in of_task), error)
    passed = {_run(run) for run in runs.own if run.passed}
    standing: Standing = "partly" if passed else "fails"
    if cell.not_installed is not None:
        standing = "not installed"
    elif passed >= ({_run(run) for run in runs.own} if wanted is None else wanted) and not runs.errors:
        standing = "runs"
    whole = bool(runs.own) and not runs.errors
    return Measured(
        framework=cell.framework,
        at=cell.at,
        day=cell.day,
        version=cell.version,
        standing=standing,
        tasks=tasks,
        not_installed=cell.not_installed,
        metrics=_metrics(runs.own) if whole else {},
        baseline=_metrics(runs.baseline) if whole else {},
        injected=runs.injected if whole else {},
    )


def _metrics(runs: Iterable[GradedRun]) -> dict[str, Value]:
    return {name: value for name, value in measure(CellRuns(tuple(runs), code=None)).items() if name in FIGURES}
