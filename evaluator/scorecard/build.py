"""Computes a scorecard from traces."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from evaluator import files
from evaluator.analysis import capabilities, history, judge, parity, suites
from evaluator.analysis.breakdown import Judged, by_level, components, judged
from evaluator.analysis.capabilities import Found
from evaluator.analysis.faults import gather as faulted
from evaluator.analysis.faults.judged import FaultRun
from evaluator.analysis.faults.pairs import compare as compare_faults
from evaluator.analysis.faults.rows import rows, totals
from evaluator.analysis.gather import LeftOut, Look, Scored, Seen, Unsound, gather
from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.history import HistoryOf
from evaluator.analysis.kept import Kept
from evaluator.analysis.metrics import CellRuns, failure_kinds, measure, pass_hat
from evaluator.analysis.models import compare_models
from evaluator.analysis.pairs import compare
from evaluator.analysis.parallel import Workers, uncollected
from evaluator.analysis.parity import Parity
from evaluator.analysis.references import REFERENCES
from evaluator.analysis.repricing import Priced, reprice
from evaluator.analysis.sittings import in_sittings
from evaluator.analysis.suites import SuiteFound
from evaluator.catalog.capabilities import all_capabilities
from evaluator.catalog.code_size import CodeSize, code_size, total_size
from evaluator.catalog.digests import implementation_digest, lock_digest, since, task_digest
from evaluator.catalog.folders import capability_names, suite_names
from evaluator.catalog.frameworks import (
    IMPLEMENTATIONS,
    Deviation,
    Framework,
    baseline_first,
    framework_folders,
    hardened,
    implementation_path,
    lacking,
    numbered_deviations,
    plain_name,
    usable_frameworks,
)
from evaluator.catalog.releases import at, is_locked
from evaluator.catalog.suites import Suite, all_suites
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.models.embedded import EMBEDDED, embedded_digest
from evaluator.probes.behaviours import behaviours
from evaluator.providers.prices import find, price_list
from evaluator.scorecard.content import (
    NEWER_SETUP_FIELDS,
    SETUP_FIELDS,
    Capabilities,
    Cell,
    Damaged,
    Failure,
    FaultNote,
    Faults,
    FrameworkNotes,
    Scorecard,
)
from evaluator.scorecard.references import reference_rows
from evaluator.scorecard.words import seconds
from evaluator.stats.intervals import percentile
from evaluator.trace import Fault, Key, Trace


@dataclass
class _Seen:
    """What is kept of the traces of one cell."""

    runs: list[GradedRun] = field(default_factory=list)
    priced: list[Priced | None] = field(default_factory=list)
    references: dict[str, tuple[Judged, ...]] = field(default_factory=dict)
    comparisons: list[parity.Comparison] = field(default_factory=list)
    judgements: list[judge.Judgement] = field(default_factory=list)
    framework_versions: set[str] = field(default_factory=set)
    implementation_digests: set[str] = field(default_factory=set)
    lock_digests: set[str] = field(default_factory=set)
    task_digests: set[str] = field(default_factory=set)
    model_digests: set[str] = field(default_factory=set)

    def add(self, one: Scored) -> None:
        self.runs.append(one.run)
        self.priced.append(one.priced)
        self.references.setdefault(one.run.key.case, one.references)
        if one.comparison is not None:
            self.comparisons.append(one.comparison)
        self.framework_versions.add(one.setup.framework_version)
        self.implementation_digests.add(one.setup.implementation_digest)
        self.lock_digests.add(since(one.setup.lock_digest))
        self.task_digests.add(since(one.setup.task_digest))
        self.model_digests.add(one.setup.model_digest)


def build(
    traces: Path,
    *,
    tasks: Mapping[str, Task] | None = None,
    implementations: Path = IMPLEMENTATIONS,
    models: Sequence[str] | None = None,
    keep: Callable[[Key], bool] = lambda key: True,
    processes: int | None = None,
    look: Look | None = None,
    seen: Callable[[Any], None] = lambda made: None,
    kept: Kept | None = None,
    prices: Sequence[str] = (),
    look_at_faults: faulted.Look | None = None,
) -> Scorecard:
    """The scorecard of all traces below `traces` whose key `keep` accepts, the same for any number of `processes`.

    With `models`, only the folders of these models are read. `look` is shown all traces of each case, in the process
    that reads them, and `look_at_faults` the runs with faults of each framework; `seen` is told what they made of them,
    and what `kept` has is not read again. Faults are looked at only where all models and tasks are. `prices` names the
    models of the price list on which the runs are priced, too. Raises `Mistake` for one that is not there.

    A trace that cannot be used (damaged, of an unknown task or framework, of a run recorded
    already) is named in `damaged` and left out.
    """
    priced_on = [find(name) for name in dict.fromkeys(prices)]
    folders = {folder.name: folder for folder in framework_folders(implementations)}
    cells: dict[tuple[str, str, str], _Seen] = defaultdict(_Seen)
    setups: dict[str, dict[str, set[Any]]] = {}
    verdicts, damaged_lines = judge.read_verdicts(traces, models)
    damaged = [Damaged(one.path, one.reason) for one in damaged_lines]
    unsound: list[Unsound] = []
    parity_notes: list[str] = []
    probed: list[Trace] = []
    of_faults: list[FaultRun] = []
    of_history: list[HistoryOf] = []
    of_suites: list[tuple[Suite, SuiteFound]] = []
    found: Found | None = None
    usable, broken = usable_frameworks(implementations)
    whole = models is None and tasks is None
    with uncollected(), Workers(processes) as workers:
        if whole:  # what takes long begins first
            histories = history.gather(traces, folders, kept=kept, workers=workers)
            found_in_suites = suites.gather_all(traces, list(all_suites()), workers)
            faults = faulted.gather(traces, folders, all_tasks(), look=look_at_faults, kept=kept, workers=workers)
        gathered = gather(traces, models, keep, folders, tasks, workers, priced_on, look, kept)
        if whole:  # while the workers read the rest
            found = capabilities.gather(traces, usable.values(), all_capabilities())
        for one in gathered:
            if isinstance(one, LeftOut):
                damaged.append(Damaged(one.path, one.reason))
                continue
            if isinstance(one, Unsound):
                unsound.append(one)
                continue
            if isinstance(one, Trace):
                probed.append(one)
                continue
            if isinstance(one, Seen):
                seen(one.made)
                continue
            key = one.run.key
            if one.note is not None:
                parity_notes.append(one.note)
            cells[key.model, key.framework, key.task].add(one)
            cells[key.model, key.framework, key.task].judgements += _judgements(one, verdicts)
            setup = setups.setdefault(key.model, {name: set() for name in (*SETUP_FIELDS, "dates")})
            for name in SETUP_FIELDS:
                setup[name].add(getattr(one.setup, name))
            setup["dates"].add(one.setup.started_at[:10])
        if found is not None:
            for of in faults:
                of_faults += of.runs
                damaged += [Damaged(one.path.relative_to(traces).as_posix(), one.reason) for one in of.damaged]
                if of.seen is not None:
                    seen(of.seen)
            of_history += histories
            of_suites += ((all_suites()[one.suite], one) for one in found_in_suites)
            damaged += [
                Damaged(one.path.relative_to(traces).as_posix(), one.reason)
                for its in (found.damaged, *(of_one.damaged for of_one in of_history))
                for one in its
            ]

    untimed_notes = _put_in_sittings(cells)
    recorded: dict[str, set[str]] = defaultdict(set)
    for (model, _, _), cell in cells.items():
        recorded[model] |= cell.model_digests
    outdated_models = tuple(
        sorted(model for model in recorded if model in EMBEDDED and recorded[model] != {embedded_digest(model)})
    )
    tasks = all_tasks() if tasks is None else tasks
    order = list(tasks)
    sorted_keys = sorted(cells, key=lambda key: (key[0], order.index(key[2]), baseline_first(key[1])))
    of_probes = behaviours(trace for trace in probed if plain_name(trace.key.framework) in folders)
    named = {framework for _, framework, _ in cells} | {behaviour.framework for behaviour in of_probes}
    named |= {run.framework for run in of_faults}
    named |= {cell.framework for cell in found.cells if cell.runs} if found else set()
    named |= {one.framework for one in of_history}
    named |= {row.framework for _, found in of_suites for row in found.rows}
    of_releases = sorted(name for name in named if plain_name(name) != name and plain_name(name) in usable)
    with_runs = sorted({*of_releases, *(name for name in folders if name in named)}, key=baseline_first)
    numbered = dict(numbered_deviations(usable.values()))
    numbered |= {name: numbered[plain_name(name)] for name in of_releases}
    frameworks = usable | {name: at(usable[plain_name(name)], name) for name in of_releases}
    parities = _parities(cells, sorted_keys, numbered)
    code = {key: _code(cells[key], frameworks.get(key[1]), key[2]) for key in sorted_keys}
    pairs = sorted({(model, framework) for model, framework, _ in cells}, key=_model_baseline_first)
    all_runs = [run for key in sorted_keys for run in cells[key].runs]
    comparison = compare_models(all_runs)
    failures = [run for run in all_runs if not run.passed]
    return Scorecard(
        cells=tuple(_cell(*key, [cells[key]], [code[key]], [parities.get(key)]) for key in sorted_keys),
        totals=tuple(
            _cell(
                *pair,
                None,
                [cells[key] for key in keys_of_pair],
                [code[key] for key in keys_of_pair],
                [parities.get(key) for key in keys_of_pair],
            )
            for pair in pairs
            if (keys_of_pair := [key for key in sorted_keys if key[:2] == pair])
        ),
        references=tuple(reference_rows(_references(cells, sorted_keys), order, comparison)),
        comparison=comparison,
        repricing=reprice(
            zip(all_runs, (one for key in sorted_keys for one in cells[key].priced), strict=True), priced_on
        ),
        pairs=tuple(
            pair for model in sorted(setups) for pair in compare(run for run in all_runs if run.key.model == model)
        ),
        parities=tuple(parities[key] for key in sorted_keys if key in parities),
        behaviours=tuple(of_probes),
        failures=tuple(Failure(run.key, run.reasons) for run in failures),
        damaged=tuple(sorted(damaged, key=lambda one: one.path)),
        unsound=tuple(unsound),
        setups={
            model: {
                name: sorted(values, key=str)
                for name, values in setups[model].items()
                if name not in NEWER_SETUP_FIELDS or values != {None}
            }
            for model in sorted(setups)
        },
        frameworks={
            name: _framework_notes(name, frameworks.get(name), numbered.get(name, ()), order) for name in with_runs
        },
        price_list=price_list() if any(run.cost_usd is not None for run in all_runs) else None,
        notes=(
            *(note for name, note in broken.items() if name in with_runs),
            *untimed_notes,
            *_unsound_notes(unsound),
            *_waited_notes(all_runs),
            *_token_notes(cells),
            *_level_notes(cells),
            *_gold_notes(cells),
            *sorted(parity_notes),
            *_changed_since(cells, sorted_keys, frameworks, tasks),
            *(
                f"{model}: recorded with other weights, engine, settings or another chat template than today's"
                for model in outdated_models
            ),
        ),
        outdated_models=outdated_models,
        faults=_faults(of_faults, frameworks, numbered) if of_faults else None,
        capabilities=_capabilities(found, frameworks, numbered) if found else None,
        history=tuple(of_history),
        suites=tuple(of_suites),
        suite_notes=tuple(
            (number, name, one.task, one.note)
            for name in with_runs
            for number, one in numbered.get(name, ())
            if one.task in {suite.name for suite, _ in of_suites}
        ),
        runs=tuple(all_runs),
        judgements=tuple(one for key in sorted_keys for one in cells[key].judgements),
    )


def _faults(
    runs: Sequence[FaultRun],
    frameworks: Mapping[str, Framework],
    numbered: Mapping[str, Sequence[tuple[int, Deviation]]],
) -> Faults:
    lines: dict[str, tuple[int, int]] = {}
    for name, task in sorted({(run.framework, run.task) for run in runs if run.hardened}):
        modules = (hardened(task), task) if name in frameworks else ()
        sizes = [size.lines for module in modules if (size := _size(frameworks[name], module))]
        if len(sizes) == 2:
            before = lines.get(name, (0, 0))
            lines[name] = before[0] + sizes[0], before[1] + sizes[1]
    made_by = {run.framework for run in runs}
    notes = tuple(
        FaultNote(number, name, one.task, one.faults, one.note)
        for name, deviations in numbered.items()
        for number, one in deviations
        if one.faults and name in made_by
    )
    return Faults(tuple(rows(runs)), tuple(totals(runs)), tuple(compare_faults(runs)), lines, notes)


def _capabilities(
    found: Found,
    frameworks: Mapping[str, Framework],
    numbered: Mapping[str, Sequence[tuple[int, Deviation]]],
) -> Capabilities | None:
    """What of it concerns frameworks that have runs; None where none has."""
    with_runs = {cell.framework for cell in found.cells if cell.runs}
    cells = tuple(cell for cell in found.cells if cell.framework in with_runs)
    titles = {one.name: one.title for one in all_capabilities().values()}
    notes = tuple(
        (number, name, one.task, one.note)
        for name, deviations in numbered.items()
        for number, one in deviations
        if name in with_runs and one.task in titles
    )
    claims = tuple(
        (name, claim.feature, claim.task)
        for name, framework in frameworks.items()
        for claim in framework.claims
        if name in with_runs
    )
    return Capabilities(titles, cells, notes, claims) if cells else None


def _judgements(one: Scored, verdicts: judge.Verdicts) -> list[judge.Judgement]:
    """What judges say of a run as it is today."""
    of_run = sorted(verdicts.get(one.run.key, {}).items())
    return [
        judge.Judgement(one.run.key, name, verdict.verdict, verdict.why, one.run.passed)
        for name, verdict in of_run
        if verdict.judged == one.asked
    ]


def _unsound_notes(unsound: Iterable[Unsound]) -> list[str]:
    """How many runs of a model count for no framework, and of which they are."""
    ended: dict[tuple[str, Fault], Counter[str]] = defaultdict(Counter)
    for one in unsound:
        ended[one.key.model, one.fault][one.key.framework] += 1
    return [
        f"{model}: {of.total()} runs ended by the fault of the {fault}, and count for no framework "
        f"({', '.join(f'{name}: {number}' for name, number in sorted(of.items()))}); `bakeoff run` makes them again"
        for (model, fault), of in sorted(ended.items())
    ]


_NOTICED_S = 0.01
"""Seconds. Runs that waited for less had no need to: that is what asking takes."""


def _waited_notes(runs: Iterable[GradedRun]) -> list[str]:
    """How long runs of a model waited for limits of its server, if any did."""
    waits: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        waits[run.key.model].append(run.split.waited_s)
    return [
        f"{model}: {len(long)} of {len(of)} runs waited for limits of the model's server, "
        f"{seconds(percentile(long, 50))} in the median and {seconds(max(long))} at most; no time has that in it"
        for model, of in sorted(waits.items())
        if (long := [wait for wait in of if wait >= _NOTICED_S])
    ]


def _put_in_sittings(cells: Mapping[tuple[str, str, str], _Seen]) -> list[str]:
    """Tell the runs whose times compare from those whose do not, and say where that is so."""
    notes = []
    for model in sorted({model for model, _, _ in cells}):
        of_model = [seen for key, seen in sorted(cells.items()) if key[0] == model]
        placed, apart = in_sittings([run for seen in of_model for run in seen.runs])
        runs = iter(placed)
        for seen in of_model:
            seen.runs = list(islice(runs, len(seen.runs)))
        names = [f"{framework}/{one.task}" for one in apart for framework in one.frameworks]
        rounds = [f"{one.rounds} of {one.task}" for one in apart if one.rounds]
        said = [
            f"no time is given of {', '.join(names)}, recorded apart from the others" if names else "",
            f"no time counts of the cases and trials that were recorded partly in one sitting and partly in another: "
            f"{', '.join(rounds)}"
            if rounds
            else "",
        ]
        if names or rounds:
            notes.append(
                f"{model}: times compare only within one sitting, in which the frameworks take turns on one machine; "
                f"{'; '.join(filter(None, said))}"
            )
    return notes


def _references(
    cells: Mapping[tuple[str, str, str], _Seen], keys: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str], dict[str, tuple[Judged, ...]]]:
    """What the floors and the ceiling get in every case that any framework ran, by model and task."""
    found: dict[tuple[str, str], dict[str, tuple[Judged, ...]]] = defaultdict(dict)
    for model, framework, task in keys:
        of_task = found[model, task]
        for case, references in cells[model, framework, task].references.items():
            of_task.setdefault(case, references)
    return found


def _parities(
    cells: Mapping[tuple[str, str, str], _Seen],
    keys: Iterable[tuple[str, str, str]],
    numbered: Mapping[str, Sequence[tuple[int, Deviation]]],
) -> dict[tuple[str, str, str], Parity]:
    """What differs on the wire, for each cell that has something to compare."""
    compared = (key for key in keys if cells[key].comparisons)
    return {key: parity.summarise(cells[key].comparisons, numbered.get(key[1], ())) for key in compared}


def _cell(
    model: str,
    framework: str,
    task: str | None,
    seen: Sequence[_Seen],
    code: Sequence[CodeSize | None],
    parities: Sequence[Parity | None],
) -> Cell:
    known = [size for size in code if size is not None]
    compared = [one for one in parities if one is not None]
    all_compared = len(compared) == len(parities)
    measured = CellRuns(
        runs=tuple(run for one in seen for run in one.runs),
        code=total_size(known) if len(known) == len(code) else None,
        differences_explained=sum(len(one.explained) for one in compared) if all_compared else None,
        differences_unexplained=sum(len(one.unexplained) for one in compared) if all_compared else None,
    )
    return Cell(
        model=model,
        framework=framework,
        task=task,
        framework_versions=tuple(sorted(set().union(*(one.framework_versions for one in seen)))),
        metrics=measure(measured),
        pass_hat=pass_hat(measured),
        failure_kinds=failure_kinds(measured),
        code=measured.code,
        levels=by_level(map(judged, measured.runs)),
        components=components(map(judged, measured.runs)) if task is not None else (),
        judges=judge.figures(measured.runs, [one for each in seen for one in each.judgements]),
    )


def _model_baseline_first(pair: tuple[str, str]) -> tuple[str, tuple[bool, str]]:
    return pair[0], baseline_first(pair[1])


def _framework_notes(
    name: str, framework: Framework | None, deviations: Iterable[tuple[int, Deviation]], tasks: Sequence[str]
) -> FrameworkNotes:
    if framework is None:
        return FrameworkNotes(name, None, (), ())
    apart = {*capability_names(), *suite_names()}
    noted = tuple(
        (number, one.task, one.note) for number, one in deviations if not one.faults and one.task not in apart
    )
    lacks = tuple(lacking(framework, tasks).items())
    return FrameworkNotes(framework.title, framework.homepage, framework.by_hand, noted, lacks)


def _code(seen: _Seen, framework: Framework | None, task: str) -> CodeSize | None:
    """The size of the code that ran; None where that code is not the code that is here now."""
    if framework is None or seen.implementation_digests != {_implementation_digest(framework, task)}:
        return None
    return _size(framework, task, by_hand=task in framework.by_hand)


def _size(framework: Framework, module: str, by_hand: bool = False) -> CodeSize | None:
    """The size of a module of the framework's folder; None where that cannot be said."""
    try:
        return code_size(files.read_text(implementation_path(framework.folder, module)), by_hand=by_hand)
    except (OSError, SyntaxError, ValueError):  # ValueError: not UTF-8, or has null bytes
        return None


def _implementation_digest(framework: Framework, task: str) -> str | None:
    try:
        return implementation_digest(framework, task)
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


def _level_notes(cells: Mapping[tuple[str, str, str], _Seen]) -> list[str]:
    """Of how many runs it is not known how hard their case is."""
    unknown: Counter[str] = Counter()
    for (model, _, _), seen in sorted(cells.items()):
        unknown[model] += sum(run.level is None for run in seen.runs)
    return [
        f"{model}: {number} runs are of cases that have no level, and so are in no pass rate by level"
        for model, number in unknown.items()
        if number
    ]


def _gold_notes(cells: Mapping[tuple[str, str, str], _Seen]) -> list[str]:
    """The cases that nothing can pass as they are."""
    failed = {
        f"{one.task}/{one.case}"
        for seen in cells.values()
        for references in seen.references.values()
        for reference, one in zip(REFERENCES, references, strict=True)
        if reference.kind == "ceiling" and not one.passed
    }
    return [f"the gold outcome does not pass these cases: {', '.join(sorted(failed))}"] if failed else []


def _changed_since(
    cells: Mapping[tuple[str, str, str], _Seen],
    keys: Iterable[tuple[str, str, str]],
    frameworks: Mapping[str, Framework],
    tasks: Mapping[str, Task],
) -> list[str]:
    """What has changed since the runs were recorded, and in which cells."""
    task_digests = {name: task_digest(task) for name, task in tasks.items()}
    lock_digests = {
        name: lock_digest(framework.environment) for name, framework in frameworks.items() if is_locked(framework)
    }
    changed: dict[str, list[str]] = {"implementation": [], "task": [], "lock": []}
    for model, framework, task in keys:
        seen, name = cells[model, framework, task], f"{model}/{framework}/{task}"
        if seen.task_digests != {task_digests[task]}:
            changed["task"].append(name)
        if framework not in frameworks:
            continue
        if seen.implementation_digests != {_implementation_digest(frameworks[framework], task)}:
            changed["implementation"].append(name)
        if framework in lock_digests and seen.lock_digests != {lock_digests[framework]}:
            changed["lock"].append(name)
    return [f"the {what} has changed since these runs: {', '.join(names)}" for what, names in changed.items() if names]
