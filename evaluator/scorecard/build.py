"""Computes a scorecard from traces."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluator import discovery, parity, probes
from evaluator.code_size import source_lines
from evaluator.discovery import IMPLEMENTATIONS, Deviation, Framework, MetadataError, Task
from evaluator.metrics import CellRuns, GradedRun, grade_run, measure
from evaluator.model_comparison import compare_models
from evaluator.models import PROBES_NAME
from evaluator.parity import Observation, Parity
from evaluator.prices import find, price_list
from evaluator.repricing import reprice
from evaluator.scorecard.content import SETUP_FIELDS, Cell, Damaged, Failure, FrameworkNotes, Scorecard
from evaluator.trace import DamagedTrace, Key, Trace, read_traces


@dataclass
class _Seen:
    """What is kept of the traces of one cell."""

    runs: list[GradedRun] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    framework_versions: set[str] = field(default_factory=set)
    implementation_digests: set[str] = field(default_factory=set)
    lock_digests: set[str] = field(default_factory=set)
    task_digests: set[str] = field(default_factory=set)

    def add(self, trace: Trace, run: GradedRun, observation: Observation | None) -> None:
        self.runs.append(run)
        if observation is not None:
            self.observations.append(observation)
        self.framework_versions.add(trace.setup.framework_version)
        self.implementation_digests.add(trace.setup.implementation_digest)
        self.lock_digests.add(trace.setup.lock_digest)
        self.task_digests.add(trace.setup.task_digest)


def build(
    traces: Path,
    *,
    tasks: Mapping[str, Task] | None = None,
    implementations: Path = IMPLEMENTATIONS,
    models: Sequence[str] | None = None,
    keep: Callable[[Key], bool] = lambda key: True,
    seen_run: Callable[[Trace, GradedRun, Observation | None], None] = lambda trace, run, observation: None,
    prices: Sequence[str] = (),
) -> Scorecard:
    """The scorecard of all traces below `traces` whose key `keep` accepts, read one at a time.

    With `models`, only the folders of these models are read. `seen_run` is told each run that is scored, and what it
    has on the wire beside its task's spec, where that can be said. `prices` names the models of the price list on
    which the runs are priced, too. Raises `PriceError` for one that is not there.

    A trace that cannot be used (damaged, of an unknown task or framework, of a run recorded
    already) is named in `damaged` and left out.
    """
    priced_on = [find(name) for name in dict.fromkeys(prices)]
    tasks = discovery.tasks() if tasks is None else tasks
    folders = {folder.name: folder for folder in discovery.framework_folders(implementations)}
    cells: dict[tuple[str, str, str], _Seen] = defaultdict(_Seen)
    setups: dict[str, dict[str, set[Any]]] = {}
    damaged: list[Damaged] = []
    keys: set[Key] = set()
    parity_notes: list[str] = []
    probed: list[Trace] = []
    for item in read_traces(traces, models):
        if isinstance(item, DamagedTrace):
            damaged.append(Damaged(item.path.relative_to(traces).as_posix(), item.reason))
            continue
        if not keep(item.key):
            continue
        if item.key.model == PROBES_NAME:
            probed.append(item)
            continue
        run = graded(item, tasks, folders, keys)
        if isinstance(run, str):
            damaged.append(Damaged(run_name(item.key), run))
            continue
        observed = _observed(item, tasks)
        if isinstance(observed, str):
            parity_notes.append(f"{run_name(item.key)}: cannot be compared with the spec: {observed}")
        observation = None if isinstance(observed, str) else observed
        cells[run.key.model, run.key.framework, run.key.task].add(item, run, observation)
        seen_run(item, run, observation)
        seen = setups.setdefault(run.key.model, {name: set() for name in (*SETUP_FIELDS, "dates")})
        for name in SETUP_FIELDS:
            seen[name].add(getattr(item.setup, name))
        seen["dates"].add(item.setup.started_at[:10])

    order = list(tasks)
    sorted_keys = sorted(cells, key=lambda key: (key[0], order.index(key[2]), discovery.baseline_first(key[1])))
    behaviours = probes.behaviours(trace for trace in probed if trace.key.framework in folders)
    named = {framework for _, framework, _ in cells} | {behaviour.framework for behaviour in behaviours}
    with_runs = {name: folder for name, folder in folders.items() if name in named}
    frameworks, broken = _read_frameworks(folders)
    numbered = discovery.numbered_deviations(frameworks.values())
    parities = _parities(cells, sorted_keys, numbered)
    lines = {key: _source_lines(cells[key], frameworks.get(key[1]), key[2]) for key in sorted_keys}
    pairs = sorted({(model, framework) for model, framework, _ in cells}, key=_model_baseline_first)
    all_runs = [run for key in sorted_keys for run in cells[key].runs]
    failures = [run for run in all_runs if not run.passed]
    return Scorecard(
        cells=tuple(_cell(*key, [cells[key]], [lines[key]], [parities.get(key)]) for key in sorted_keys),
        totals=tuple(
            _cell(
                *pair,
                None,
                [cells[key] for key in keys_of_pair],
                [lines[key] for key in keys_of_pair],
                [parities.get(key) for key in keys_of_pair],
            )
            for pair in pairs
            if (keys_of_pair := [key for key in sorted_keys if key[:2] == pair])
        ),
        comparison=compare_models(all_runs),
        repricing=reprice(all_runs, priced_on),
        parities=tuple(parities[key] for key in sorted_keys if key in parities),
        behaviours=tuple(behaviours),
        failures=tuple(Failure(run.key, run.reasons) for run in failures),
        damaged=tuple(damaged),
        setups={
            model: {name: sorted(values, key=str) for name, values in setups[model].items()} for model in sorted(setups)
        },
        frameworks={name: _framework_notes(name, frameworks.get(name), numbered.get(name, ())) for name in with_runs},
        price_list=price_list() if any(run.cost_usd is not None for run in all_runs) else None,
        notes=(
            *(note for name, note in broken.items() if name in with_runs),
            *_token_notes(cells),
            *parity_notes,
            *_changed_since(cells, sorted_keys, frameworks, tasks),
        ),
        runs=tuple(all_runs),
    )


def graded(trace: Trace, tasks: Mapping[str, Task], folders: Mapping[str, Path], keys: set[Key]) -> GradedRun | str:
    """The graded run, or in words why the trace is left out. `keys` are those of the runs so far; it joins them."""
    if trace.key.task not in tasks:
        return f"key.task: there is no task {trace.key.task!r}"
    if trace.key.framework not in folders:
        return f"key.framework: there is no framework {trace.key.framework!r}"
    if trace.key in keys:
        return "key: this run was recorded already; the file whose path comes first counts"
    try:
        run = grade_run(trace, tasks[trace.key.task])
    except ValidationError as error:
        first = error.errors()[0]
        return f"case.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    except Exception as error:  # a case of the user's own may make any grader stumble; the rest is still scored
        return f"cannot be graded: {type(error).__name__}: {error}"
    keys.add(trace.key)
    return run


def _observed(trace: Trace, tasks: Mapping[str, Task]) -> Observation | str:
    """What the trace has on the wire beside its task's spec, or in words why that cannot be said."""
    try:
        return parity.observe(trace, tasks[trace.key.task])
    except Exception as error:  # a request may be anything that a server took; the run still counts
        return f"{type(error).__name__}: {error}"


def _parities(
    cells: Mapping[tuple[str, str, str], _Seen],
    keys: Iterable[tuple[str, str, str]],
    numbered: Mapping[str, Sequence[tuple[int, Deviation]]],
) -> dict[tuple[str, str, str], Parity]:
    """What differs on the wire, for each cell that has something to compare.

    The runs of the cells learn how many tokens were injected into them.
    """
    found = {}
    for model, framework, task in keys:
        seen, beside = cells[model, framework, task], cells.get((model, discovery.BASELINE, task))
        compared = parity.compare_all(seen.observations, beside.observations if beside else ())
        by_key = {comparison.key: comparison for comparison in compared}
        seen.runs = [
            replace(run, injected_tokens=by_key[run.key].injected, compared_calls=by_key[run.key].calls)
            if run.key in by_key
            else run
            for run in seen.runs
        ]
        if compared:
            found[model, framework, task] = parity.summarise(compared, numbered.get(framework, ()))
    return found


def run_name(key: Key) -> str:
    """The path of a run's trace below the folder of traces. The key may be anything that a file claims."""
    return f"{key.model}/{key.framework}/{key.task}/{key.case}.{key.trial}.json"


def _cell(
    model: str,
    framework: str,
    task: str | None,
    seen: Sequence[_Seen],
    lines: Sequence[int | None],
    parities: Sequence[Parity | None],
) -> Cell:
    known = [count for count in lines if count is not None]
    compared = [one for one in parities if one is not None]
    all_compared = len(compared) == len(parities)
    runs = tuple(run for one in seen for run in one.runs)
    return Cell(
        model=model,
        framework=framework,
        task=task,
        framework_versions=tuple(sorted(set().union(*(one.framework_versions for one in seen)))),
        metrics=measure(
            CellRuns(
                runs=runs,
                source_lines=sum(known) if len(known) == len(lines) else None,
                differences_explained=sum(len(one.explained) for one in compared) if all_compared else None,
                differences_unexplained=sum(len(one.unexplained) for one in compared) if all_compared else None,
            )
        ),
    )


def _model_baseline_first(pair: tuple[str, str]) -> tuple[str, tuple[bool, str]]:
    return pair[0], discovery.baseline_first(pair[1])


def _read_frameworks(folders: Mapping[str, Path]) -> tuple[dict[str, Framework], dict[str, str]]:
    """The frameworks whose metadata can be used, and a note for each whose cannot."""
    frameworks, broken = {}, {}
    for name, folder in folders.items():
        try:
            frameworks[name] = discovery.read_framework(folder)
        except MetadataError as error:
            broken[name] = str(error)
    return frameworks, broken


def _framework_notes(
    name: str, framework: Framework | None, deviations: Iterable[tuple[int, Deviation]]
) -> FrameworkNotes:
    if framework is None:
        return FrameworkNotes(name, None, (), ())
    noted = tuple((number, deviation.task, deviation.note) for number, deviation in deviations)
    return FrameworkNotes(framework.title, framework.homepage, framework.by_hand, noted)


def _source_lines(seen: _Seen, framework: Framework | None, task: str) -> int | None:
    """The size of the code that ran; None where that code is not the code that is here now."""
    if framework is None or seen.implementation_digests != {_implementation_digest(framework, task)}:
        return None
    try:
        return source_lines(discovery.implementation_path(framework.folder, task).read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):  # ValueError: not UTF-8, or has null bytes
        return None


def _implementation_digest(framework: Framework, task: str) -> str | None:
    try:
        return discovery.implementation_digest(framework, task)
    except OSError:
        return None


def _token_notes(cells: Mapping[tuple[str, str, str], _Seen]) -> list[str]:
    runs_of: dict[str, list[GradedRun]] = defaultdict(list)
    for (model, _, _), seen in sorted(cells.items()):
        runs_of[model] += seen.runs
    notes = []
    for model, runs in runs_of.items():
        if counted := sum(run.usage_counted for run in runs):
            notes.append(
                f"{model}: in {counted} of {len(runs)} runs the gateway counted tokens that no usage was sent for"
            )
        if unknown := sum(run.prompt_tokens is None or run.completion_tokens is None for run in runs):
            notes.append(f"{model}: {unknown} of {len(runs)} runs have no token count; the means leave them out")
    return notes


def _changed_since(
    cells: Mapping[tuple[str, str, str], _Seen],
    keys: Iterable[tuple[str, str, str]],
    frameworks: Mapping[str, Framework],
    tasks: Mapping[str, Task],
) -> list[str]:
    """What has changed since the runs were recorded, and in which cells."""
    task_digests = {name: discovery.task_digest(task) for name, task in tasks.items()}
    lock_digests = {name: discovery.lock_digest(framework) for name, framework in frameworks.items()}
    changed: dict[str, list[str]] = {"implementation": [], "task": [], "lock": []}
    for model, framework, task in keys:
        seen, name = cells[model, framework, task], f"{model}/{framework}/{task}"
        if seen.task_digests != {task_digests[task]}:
            changed["task"].append(name)
        if framework not in frameworks:
            continue
        if seen.implementation_digests != {_implementation_digest(frameworks[framework], task)}:
            changed["implementation"].append(name)
        if seen.lock_digests != {lock_digests[framework]}:
            changed["lock"].append(name)
    return [f"the {what} has changed since these runs: {', '.join(names)}" for what, names in changed.items() if names]
