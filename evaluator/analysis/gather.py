"""From trace files to the little that a scorecard keeps of each run, over several processes.

The traces of one case are read together, since what a run's searches found is compared with what the baseline's did.
Nothing else is kept of a trace once that is done, so memory grows with the number of runs and not with the size of
their traces. The order of results is that of the cases, whatever the number of processes.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluator.analysis import judge, parity
from evaluator.analysis.breakdown import Judged
from evaluator.analysis.graded_run import GradedRun, grade_run
from evaluator.analysis.kept import Kept, kept_or_made
from evaluator.analysis.parallel import Workers
from evaluator.analysis.parity import Comparison, Observation
from evaluator.analysis.references import judged_references
from evaluator.analysis.repricing import Priced, price_run
from evaluator.catalog.frameworks import BASELINE, plain_name
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.packs import SUITES_FOLDER
from evaluator.providers.names import CAPABILITIES_NAME, FAULTS_NAME, PROBES_NAME, is_real
from evaluator.providers.prices import PricedModel
from evaluator.trace import (
    DamagedTrace,
    Fault,
    Key,
    Setup,
    Trace,
    model_folder,
    model_of_folder,
    read_trace,
    trace_files,
    trace_path,
)

_WORTH_PROCESSES = 500
"""With fewer traces, starting processes takes longer than it saves."""

_CASES_AT_ONCE = 2


@dataclass(frozen=True)
class Scored:
    """A run that counts. `comparison` is None where it cannot be compared; `note` says why.

    `references` are what the floors and the ceiling get for the run's case. `asked` is the digest of what a judge is
    asked about it, None where there is nothing to ask.
    """

    run: GradedRun
    setup: Setup
    priced: Priced | None
    references: tuple[Judged, ...]
    comparison: Comparison | None = None
    note: str | None = None
    asked: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A file that cannot be used, by its path below the folder of traces, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Unsound:
    """A run that the server, the harness or the machine ended: it counts for no framework."""

    key: Key
    fault: Fault
    error: str


@dataclass(frozen=True)
class Whole:
    """A trace that can be used, and what is known of it; of a probing run nothing."""

    trace: Trace
    scored: Scored | None = None
    observation: Observation | None = None


@dataclass(frozen=True)
class Folder:
    """A folder of traces. It may itself be that of one model's, as `traces/local` is: then no path names the model."""

    root: Path
    is_of_one_model: bool

    @staticmethod
    def of(root: Path, files: Sequence[Path]) -> "Folder":
        """The folder with these files of traces in it."""
        return Folder(root, {len(path.relative_to(root).parts) for path in files} == {3})

    def name(self, path: Path) -> str:
        """The path of a file in it."""
        return path.relative_to(self.root).as_posix()

    def misplaced(self, key: Key, path: Path) -> str | None:
        """Why a file that holds another run than its path says is left out."""
        own = trace_path(self.root, key)
        if self.is_of_one_model:
            own = self.root / own.relative_to(model_folder(self.root, key.model))
        return None if path == own else f"key: this is a run of {self.name(own)}"


Look = Callable[[Sequence[Whole]], Any]
"""Makes something of all traces of a case. It is sent to another process, and what it gives is sent back."""


@dataclass(frozen=True)
class Seen:
    """What a caller's `Look` made of a case."""

    made: Any


Gathered = Scored | LeftOut | Unsound | Trace | Seen
"""What a file gives, of a probing run the trace itself; and after those of a case, what was made of it."""


def gather(
    root: Path,
    models: Sequence[str] | None,
    keep: Callable[[Key], bool],
    frameworks: Iterable[str],
    tasks: Mapping[str, Task] | None = None,
    workers: Workers | None = None,
    priced_on: Sequence[PricedModel] = (),
    look: Look | None = None,
    kept: Kept | None = None,
) -> Iterator[Gathered]:
    """What the traces below `root` give whose key, as their paths have it, `keep` accepts.

    The `workers` begin at once; without them, and with `tasks` of the caller's own, it is done here. Runs are priced on
    the models `priced_on`, and `look` is shown all traces of a case. What a case gave is taken from `kept` where that
    has it; then there are no tasks of the caller's own, and `repr(look)` says all that it depends on.
    """
    files = asked_for(root, models, keep)
    groups: dict[tuple[str, ...], list[Path]] = {}
    for path in files:
        groups.setdefault((*path.parts[:-3], path.parts[-2], _case(path)), []).append(path)
    names = frozenset(frameworks)
    work = partial(_gather_case, Folder.of(root, files), names, priced_on, look, tasks)
    cases = [group for _, group in sorted(groups.items())]
    by = Workers(1) if tasks is not None or workers is None else workers

    def made(cases: Sequence[Sequence[Path]]) -> Iterator[list[Gathered]]:
        worth = sum(map(len, cases)) >= _WORTH_PROCESSES
        return by.each(work, cases, worth=worth, at_once=_CASES_AT_ONCE)

    asked = repr((sorted(names), priced_on, look)).encode()
    return chain.from_iterable(kept_or_made(kept, cases, lambda case: [asked, *contents(root, case)], made))


def asked_for(root: Path, models: Sequence[str] | None, keep: Callable[[Key], bool]) -> list[Path]:
    """The files below `root` whose key, as their paths have it, `keep` accepts, or whose path stands for none.

    Runs into which faults were put, and those of capability tasks and outside suites, are not graded.
    """
    apart = (FAULTS_NAME, CAPABILITIES_NAME, SUITES_FOLDER)
    files = (path for path in trace_files(root, models) if path.relative_to(root).parts[0] not in apart)
    return [path for path in files if (key := _key(root, path)) is None or keep(key)]


def contents(root: Path, paths: Iterable[Path]) -> Iterator[bytes]:
    """The names and contents of files; of one that cannot be read nothing."""
    for path in paths:
        yield path.relative_to(root).as_posix().encode()
        try:
            yield path.read_bytes() if path.is_file() else b""
        except OSError:
            yield b""


def _case(path: Path) -> str:
    """What the names of a case's traces begin with, its last dot included, so that cases sort as their files do."""
    return path.name[: path.name.removesuffix(".json").rfind(".") + 1]


def _key(root: Path, path: Path) -> Key | None:
    """The key that a path stands for, or None where it stands for none."""
    parts = path.relative_to(root).parts
    case, _, trial = parts[-1].removesuffix(".json").rpartition(".")
    if len(parts) < 3 or not trial.isdecimal() or int(trial) < 1:
        return None
    *folders, framework, task, _ = parts
    if not folders:  # below the folder of one model, whichever that is
        return Key.model_construct(model="", framework=framework, task=task, case=case, trial=int(trial))
    try:
        return Key(model=model_of_folder(folders), framework=framework, task=task, case=case, trial=int(trial))
    except ValidationError:
        return None


@cache
def every_task() -> dict[str, Task]:
    """The project's own tasks, looked for once in each process: every trace asks for them."""
    return all_tasks()


def _gather_case(
    folder: Folder,
    frameworks: frozenset[str],
    priced_on: Sequence[PricedModel],
    look: Look | None,
    tasks: Mapping[str, Task] | None,
    group: Sequence[Path],
) -> list[Gathered]:
    """The runs of one case, by trial."""
    tasks = every_task() if tasks is None else tasks
    trials: dict[str, list[Path]] = {}
    for path in group:
        trials.setdefault(path.name, []).append(path)
    whole: list[Whole] | None = None if look is None else []
    results: list[Gathered] = []
    for _, paths in sorted(trials.items()):
        results += _gather_trial(folder, frameworks, priced_on, paths, tasks, whole)
    if look is not None and whole:
        results.append(Seen(look(whole)))
    return results


def _gather_trial(
    folder: Folder,
    frameworks: frozenset[str],
    priced_on: Sequence[PricedModel],
    paths: Sequence[Path],
    tasks: Mapping[str, Task],
    whole: list[Whole] | None,
) -> list[Gathered]:
    """The runs of one case and trial. Traces that can be used are added to `whole`, if there is one."""
    results: list[Gathered] = []
    observed: dict[str, Observation] = {}
    traces: dict[str, Trace] = {}
    for path in paths:
        name, found = folder.name(path), graded_file(folder, path, tasks, frameworks)
        if isinstance(found, Trace):
            results.append(found)
            if whole is not None and plain_name(found.key.framework) in frameworks and found.key.task in tasks:
                whole.append(Whole(found))
            continue
        if isinstance(found, LeftOut | Unsound):
            results.append(found)
            continue
        trace, run = found
        if isinstance(references := _references(trace, tasks), str):
            results.append(LeftOut(name, references))
        else:
            observation = _observed(trace, tasks)
            note = None
            if isinstance(observation, str):
                note = f"{name}: cannot be compared with the spec: {observation}"
            else:
                observed[trace.key.framework] = observation
            asked = judge.question(trace, tasks[trace.key.task]).digest if to_judge(trace) else None
            results.append(Scored(run, trace.setup, price_run(run, priced_on), references, note=note, asked=asked))
            if whole is not None:
                traces[trace.key.framework] = trace
    results = [_compared(one, observed) if isinstance(one, Scored) else one for one in results]
    if whole is not None:
        scored = [one for one in results if isinstance(one, Scored)]
        whole += [Whole(traces[name := one.run.key.framework], one, observed.get(name)) for one in scored]
    return results


def _compared(scored: Scored, observed: Mapping[str, Observation]) -> Scored:
    """The run beside the canonical requests; it learns how many tokens were injected into it."""
    observation = observed.get(scored.run.key.framework)
    if observation is None:
        return scored
    comparison = parity.condensed(parity.compare(observation, observed.get(BASELINE)))
    run = replace(scored.run, injected_tokens=comparison.injected, compared_calls=comparison.calls)
    return replace(scored, run=run, comparison=comparison)


def to_judge(trace: Trace) -> bool:
    """Whether a judge is asked about a run: one that ended with an answer, of a model that answers by itself."""
    return is_real(trace.key.model) and trace.outcome.ended == "answered"


def run_name(key: Key) -> str:
    """The path of a run's trace below the folder of traces. The key may be anything that a file claims."""
    return f"{key.model}/{key.framework}/{key.task}/{key.case}.{key.trial}.json"


def graded_file(
    folder: Folder, path: Path, tasks: Mapping[str, Task], frameworks: Container[str]
) -> tuple[Trace, GradedRun] | LeftOut | Unsound | Trace:
    """The run that a file holds, graded; a probing run as it is; or why it counts for no framework."""
    trace = read_trace(path)
    if isinstance(trace, DamagedTrace):
        return LeftOut(folder.name(path), trace.reason)
    if trace.key.model == PROBES_NAME:
        return trace
    if why := folder.misplaced(trace.key, path):
        return LeftOut(folder.name(path), why)
    if trace.outcome.fault is not None:
        return Unsound(trace.key, trace.outcome.fault, trace.outcome.error or "")
    run = _graded(trace, tasks, frameworks)
    return LeftOut(folder.name(path), run) if isinstance(run, str) else (trace, run)


def _graded(trace: Trace, tasks: Mapping[str, Task], frameworks: Container[str]) -> GradedRun | str:
    """The graded run, or in words why the trace is left out."""
    if trace.key.task not in tasks:
        return f"key.task: there is no task {trace.key.task!r}"
    if plain_name(trace.key.framework) not in frameworks:
        return f"key.framework: there is no framework {trace.key.framework!r}"
    try:
        return grade_run(trace, tasks[trace.key.task])
    except ValidationError as error:
        first = error.errors()[0]
        return f"case.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    except Exception as error:  # a case of the user's own may make any grader stumble; the rest is still scored
        return f"cannot be graded: {type(error).__name__}: {error}"


def _references(trace: Trace, tasks: Mapping[str, Task]) -> tuple[Judged, ...] | str:
    """What the floors and the ceiling get for the case of a trace that can be graded, or why that cannot be said."""
    try:
        return judged_references(tasks[trace.key.task], trace.case)
    except Exception as error:  # as for a grader: a case of the user's own may ask for what no tool does
        return f"the floors and the ceiling cannot be graded: {type(error).__name__}: {error}"


def _observed(trace: Trace, tasks: Mapping[str, Task]) -> Observation | str:
    """What the trace has on the wire beside its task's spec, or in words why that cannot be said."""
    try:
        return parity.observe(trace, tasks[trace.key.task])
    except Exception as error:  # a request may be anything that a server took; the run still counts
        return f"{type(error).__name__}: {error}"
