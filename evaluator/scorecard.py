"""The scorecard: computed from traces alone, written as JSON and Markdown, printed in the terminal.

The same traces give the same bytes: nothing here asks the clock or the machine.
"""

import html
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator import discovery, parity, probes
from evaluator.code_size import source_lines
from evaluator.discovery import IMPLEMENTATIONS, Deviation, Framework, MetadataError, Task
from evaluator.metrics import METRICS, CellRuns, GradedRun, Value, grade_run, measure
from evaluator.models import PROBES_NAME, SCRIPTED
from evaluator.parity import PARTS, Finding, Observation, Parity
from evaluator.parity_report import as_data, per_call
from evaluator.probes import Behaviour, Shared
from evaluator.trace import DamagedTrace, Key, Trace, read_traces

COMMAND = "uv run bakeoff score"
JSON_NAME = "scorecard.json"
MARKDOWN_NAME = "SCORECARD.md"
README_BEGIN = "<!-- scorecard:begin -->"
README_END = "<!-- scorecard:end -->"

_SETUP_FIELDS = {
    "cpu": "CPU",
    "cpu_cores": "CPU cores",
    "platform": "platform",
    "python": "Python",
    "harness_version": "bakeoff",
    "git_commit": "commit",
    "git_dirty": "uncommitted changes",
    "model_digest": "model digest",
    "temperature": "temperature",
    "max_model_calls": "model calls at most",
    "timeout_s": "time-out in s",
    "jobs": "runs at a time",
}

_ABOUT_MODEL = {
    "scripted": (
        "A deterministic model without latency of its own. Every case can be passed, so a failure lies in what the "
        "framework or the implementation carries through, and nearly all of the wall time is overhead. Its tokens are "
        "those of the o200k_base tokenizer."
    ),
    "local": (
        "A language model of 1.5 billion parameters on a CPU. Its pass rates say how well *this model* copes with "
        "what each framework sends it; they say nothing about which framework is best with a larger one. "
        "Its server keeps the prompts used last, so model time depends on the order of the runs: the frameworks take "
        "turns in coming first."
    ),
    "local-0.5b": (
        "A language model of half a billion parameters on a CPU, of the same family as `local`, with the same chat "
        "template and settings. It is there to be compared with `local`: what changes from one to the other is the "
        "model, not the framework."
    ),
}


@dataclass(frozen=True)
class Cell:
    """One framework × task, or with `task` None one framework over all tasks, on one model."""

    model: str
    framework: str
    task: str | None
    framework_versions: tuple[str, ...]
    metrics: dict[str, Value]


@dataclass(frozen=True)
class Failure:
    """A run that did not pass, and why."""

    key: Key
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Damaged:
    """A file among the traces that was left out, by its path below the folder of traces, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class FrameworkNotes:
    """What a reader must know about a framework's implementations.

    Deviations are (number, task, note), without a task where they hold for all.
    """

    title: str
    homepage: str | None
    by_hand: tuple[str, ...]
    deviations: tuple[tuple[int, str | None, str], ...]


@dataclass(frozen=True)
class Scorecard:
    """Cells sorted by model, task and framework (the baseline first), and what explains them.

    `parities` has what differs on the wire, for each cell that could be compared, in the order of
    the cells. `behaviours` has what the frameworks did when probed. `setups` has for each model the
    values of every set-up field that occurs in its traces.
    """

    cells: tuple[Cell, ...]
    totals: tuple[Cell, ...]
    parities: tuple[Parity, ...]
    behaviours: tuple[Behaviour, ...]
    failures: tuple[Failure, ...]
    damaged: tuple[Damaged, ...]
    setups: dict[str, dict[str, list[Any]]]
    frameworks: dict[str, FrameworkNotes]
    notes: tuple[str, ...]

    @property
    def models(self) -> list[str]:
        """The models that have cells."""
        return list(self.setups)


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


# --- from traces to a scorecard --------------------------------------------------------------


def score(
    traces: Path, out: Path, *, tasks: Mapping[str, Task] | None = None, implementations: Path = IMPLEMENTATIONS
) -> Scorecard:
    """Build the scorecard of all traces below `traces` and write its files into `out`.

    The summary goes into `out/README.md` where that has the markers. Raises `ValueError` where it
    has only one of them, `OSError` where a file cannot be written.
    """
    scorecard = build(traces, tasks=tasks, implementations=implementations)
    readme = out / "README.md"
    files = {out / JSON_NAME: to_json(scorecard), out / MARKDOWN_NAME: to_markdown(scorecard)}
    if readme.exists() and README_BEGIN in (text := readme.read_text(encoding="utf-8")):
        files[readme] = splice(text, readme_section(scorecard))
    out.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        _write_whole(path, content)
    return scorecard


def build(
    traces: Path,
    *,
    tasks: Mapping[str, Task] | None = None,
    implementations: Path = IMPLEMENTATIONS,
    models: Sequence[str] | None = None,
    keep: Callable[[Key], bool] = lambda key: True,
) -> Scorecard:
    """The scorecard of all traces below `traces` whose key `keep` accepts, read one at a time.

    With `models`, only the folders of these models are read.

    A trace that cannot be used (damaged, of an unknown task or framework, of a run recorded
    already) is named in `damaged` and left out.
    """
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
        run = _graded(item, tasks, folders, keys)
        if isinstance(run, str):
            damaged.append(Damaged(_name(item.key), run))
            continue
        keys.add(run.key)
        observation = _observed(item, tasks)
        if isinstance(observation, str):
            parity_notes.append(f"{_name(item.key)}: cannot be compared with the spec: {observation}")
        cells[run.key.model, run.key.framework, run.key.task].add(
            item, run, None if isinstance(observation, str) else observation
        )
        seen = setups.setdefault(run.key.model, {name: set() for name in (*_SETUP_FIELDS, "dates")})
        for name in _SETUP_FIELDS:
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
    failures = [run for key in sorted_keys for run in cells[key].runs if not run.passed]
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
        parities=tuple(parities[key] for key in sorted_keys if key in parities),
        behaviours=tuple(behaviours),
        failures=tuple(Failure(run.key, run.reasons) for run in failures),
        damaged=tuple(damaged),
        setups={
            model: {name: sorted(values, key=str) for name, values in setups[model].items()} for model in sorted(setups)
        },
        frameworks={name: _framework_notes(name, frameworks.get(name), numbered.get(name, ())) for name in with_runs},
        notes=(
            *(note for name, note in broken.items() if name in with_runs),
            *_token_notes(cells),
            *parity_notes,
            *_changed_since(cells, sorted_keys, frameworks, tasks),
        ),
    )


def _graded(trace: Trace, tasks: Mapping[str, Task], folders: Mapping[str, Path], keys: set[Key]) -> GradedRun | str:
    """The graded run, or in words why the trace is left out."""
    if trace.key.task not in tasks:
        return f"key.task: there is no task {trace.key.task!r}"
    if trace.key.framework not in folders:
        return f"key.framework: there is no framework {trace.key.framework!r}"
    if trace.key in keys:
        return "key: this run was recorded already; the file whose path comes first counts"
    try:
        return grade_run(trace, tasks[trace.key.task])
    except ValidationError as error:
        first = error.errors()[0]
        return f"case.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    except Exception as error:  # a case of the user's own may make any grader stumble; the rest is still scored
        return f"cannot be graded: {type(error).__name__}: {error}"


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


def _name(key: Key) -> str:
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


# --- JSON ------------------------------------------------------------------------------------


def to_json(scorecard: Scorecard) -> str:
    """`scorecard.json`: every cell with every metric by name, and what explains them."""
    content = {
        "generated_by": COMMAND,
        "schema": 1,
        "cells": [_flat(cell) for cell in scorecard.cells],
        "totals": [_flat(cell) for cell in scorecard.totals],
        "metrics": [{"name": m.name, "meaning": m.meaning, "unit": m.unit, "better": m.better} for m in METRICS],
        "parity": [as_data(one) for one in scorecard.parities],
        "behaviours": [asdict(behaviour) for behaviour in scorecard.behaviours],
        "failures": [{**failure.key.model_dump(), "reasons": failure.reasons} for failure in scorecard.failures],
        "damaged": [asdict(damaged) for damaged in scorecard.damaged],
        "setups": scorecard.setups,
        "frameworks": [
            {
                "name": name,
                "title": notes.title,
                "homepage": notes.homepage,
                "by_hand": notes.by_hand,
                "deviations": [{"number": i, "task": task, "note": note} for i, task, note in notes.deviations],
            }
            for name, notes in scorecard.frameworks.items()
        ],
        "notes": scorecard.notes,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _flat(cell: Cell) -> dict[str, Any]:
    names: dict[str, Any] = {"framework": cell.framework, "task": cell.task, "model": cell.model}
    if cell.task is None:
        del names["task"]
    return names | {"framework_versions": cell.framework_versions} | cell.metrics


# --- values for people -----------------------------------------------------------------------


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


def pass_rate(metrics: Mapping[str, Value]) -> str:
    """`88% [53–98]`: the rate and its 95 % interval, in per cent."""
    rate, low, high = (100 * (metrics[name] or 0) for name in ("pass_rate", "pass_rate_low", "pass_rate_high"))
    return f"{rate:.0f}% [{low:.0f}–{high:.0f}]"


@dataclass(frozen=True)
class _Column:
    """One column of the tables for people. `in_terminal` tells whether 100 columns have room for it."""

    title: str
    show: Callable[[Mapping[str, Value]], str]
    in_terminal: bool = True


_COLUMNS = (
    _Column("cases", lambda metrics: count(metrics["cases"])),
    _Column("passed", lambda metrics: f"{metrics['passed']}/{metrics['runs']}"),
    _Column("pass rate [95%]", pass_rate),
    _Column("mean score", lambda metrics: f"{metrics['mean_score'] or 0:.0%}", in_terminal=False),
    _Column("wall p50", lambda metrics: seconds(metrics["wall_s_p50"])),
    _Column("model p50", lambda metrics: seconds(metrics["model_s_p50"])),
    _Column("tools p50", lambda metrics: seconds(metrics["tool_s_p50"]), in_terminal=False),
    _Column("gateway p50", lambda metrics: seconds(metrics["gateway_s_p50"]), in_terminal=False),
    _Column("overhead p50", lambda metrics: seconds(metrics["overhead_s_p50"])),
    _Column("model calls", lambda metrics: count(metrics["model_calls_mean"])),
    _Column("prompt tokens", lambda metrics: count(metrics["prompt_tokens_mean"])),
    _Column("injected / call", lambda metrics: per_call(metrics["injected_tokens_per_call"]), in_terminal=False),
    _Column("completion tokens", lambda metrics: count(metrics["completion_tokens_mean"]), in_terminal=False),
    _Column("source lines", lambda metrics: count(metrics["source_lines"])),
)


def _by_task(cells: Iterable[Cell], model: str) -> list[tuple[str, list[Cell]]]:
    of_model = (cell for cell in cells if cell.model == model)
    return [(task or "all tasks", list(group)) for task, group in groupby(of_model, key=lambda cell: cell.task)]


# --- Markdown --------------------------------------------------------------------------------


def escape(text: str, limit: int = 300) -> str:
    """Untrusted text for one line of Markdown: no markup, no HTML, cut after `limit` characters."""
    line = " ".join(text.split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", html.escape(line, quote=False))


def to_markdown(scorecard: Scorecard) -> str:
    """`SCORECARD.md`."""
    parts = [
        f"<!-- generated by `{COMMAND}`; changes made by hand are lost -->",
        "# Scorecard",
        _HOW_TO_READ,
        *(part for model in scorecard.models for part in _model_parts(scorecard, model)),
        *_parity_parts(scorecard),
        *_behaviour_parts(scorecard),
        *_deviation_parts(scorecard),
    ]
    if not scorecard.cells and not scorecard.behaviours:
        parts.append("There are no traces to score.")
    if scorecard.notes:
        parts += ["## Notes", _bullets(escape(note, limit=2000) for note in scorecard.notes)]
    if scorecard.damaged:
        lines = (f"{escape(damaged.path)}: {escape(damaged.reason)}" for damaged in scorecard.damaged)
        parts += ["## Traces left out", f"{len(scorecard.damaged)} files are not scored:", _bullets(lines)]
    return "\n\n".join(parts) + "\n"


_HOW_TO_READ = """\
- **passed**: runs that passed / all runs. Errors, time-outs and runs at the limit on model calls count as failed.
- **pass rate**: with its 95 % interval over the cases. With few cases it is wide; where two intervals overlap much, \
do not call one framework better.
- **mean score**: the mean share of a run's checks that held. A run passes only if all of them did.
- **wall p50** is the median time of a run, and **model**, **tools**, **gateway** and **overhead** are the medians of \
its parts. Overhead is what remains: the framework's own work, and the connection to the model.
- **model calls** and **tokens** are means for a run, read on the wire. **injected / call** is how many prompt tokens \
a call has beyond those of the first framework, the baseline, at the same step; below zero, the framework sends less.
- **source lines** are those that hold code. `h` marks a task for which the framework has no facility of its own, so \
that it was written by hand; numbers are [deviations](#deviations)."""


def _model_parts(scorecard: Scorecard, model: str) -> list[str]:
    parts = [f"## Model {escape(model)}"]
    if model in _ABOUT_MODEL:
        parts.append(_ABOUT_MODEL[model])
    for title, cells in [*_by_task(scorecard.totals, model), *_by_task(scorecard.cells, model)]:
        rows = [[_row_name(scorecard, cell), *(column.show(cell.metrics) for column in _COLUMNS)] for cell in cells]
        parts += [f"### {escape(title)}", _table(["framework", *(column.title for column in _COLUMNS)], rows)]
    parts += [*_own_count_parts(scorecard, model), "### Failures", *_failure_parts(scorecard, model), "### Recorded on"]
    setup = scorecard.setups[model]
    rows = [[label, _values(setup[name])] for name, label in _SETUP_FIELDS.items()]
    dates = setup["dates"]
    rows.append(["dates", dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"])
    return [*parts, _table(["", ""], rows)]


def _row_name(scorecard: Scorecard, cell: Cell) -> str:
    notes = scorecard.frameworks[cell.framework]
    marks = [str(number) for number, task, _ in notes.deviations if cell.task is None or task in (None, cell.task)]
    if cell.task in notes.by_hand:
        marks.append("h")
    name = escape(f"{notes.title} {' / '.join(cell.framework_versions)}")
    return f"{name} <sup>{', '.join(marks)}</sup>" if marks else name


def _failure_parts(scorecard: Scorecard, model: str) -> list[str]:
    failures = [failure for failure in scorecard.failures if failure.key.model == model]
    totals = [cell.metrics for cell in scorecard.totals if cell.model == model]
    runs, errors, timeouts, limits = (
        sum(int(metrics[name] or 0) for metrics in totals) for name in ("runs", "errors", "timeouts", "call_limits")
    )
    if not failures:
        return [f"{runs} of {runs} runs passed."]
    answered = len(failures) - errors - timeouts - limits
    lines = (
        f"{escape(failure.key.framework)} {escape(failure.key.task)} "
        f"{escape(failure.key.case)}.{failure.key.trial}: {escape('; '.join(failure.reasons))}"
        for failure in failures
    )
    return [
        f"{len(failures)} of {runs} runs failed: {answered} with a wrong answer or wrong actions, {errors} with an "
        f"error, {timeouts} by the time-out, {limits} by the limit on model calls.",
        f"<details><summary>Every failed run and why</summary>\n\n{_bullets(lines)}\n\n</details>",
    ]


def _own_count_parts(scorecard: Scorecard, model: str) -> list[str]:
    """The frameworks' own counts of tokens beside the wire's, where any gave one."""
    totals = [cell for cell in scorecard.totals if cell.model == model]
    if not any(cell.metrics["reported_runs"] for cell in totals):
        return []
    tasks = list(dict.fromkeys(cell.task for cell in scorecard.cells if cell.model == model and cell.task))
    metrics = {(cell.framework, cell.task): cell.metrics for cell in scorecard.cells if cell.model == model}
    rows = [
        [
            escape(scorecard.frameworks[cell.framework].title),
            f"{cell.metrics['reported_runs']}/{cell.metrics['runs']}",
            *(
                discrepancy(metrics.get((cell.framework, task), {}).get(f"{kind}_tokens_discrepancy"))
                for task in tasks
                for kind in ("prompt", "completion")
            ),
        ]
        for cell in totals
    ]
    kinds = [f"{escape(task)} {kind}" for task in tasks for kind in ("prompt", "completion")]
    return [
        "### What the frameworks say of themselves",
        "How far the token counts that each framework shows its user are from those on the wire, over the runs for "
        "which it gave any.",
        _table(["framework", "runs with a count", *kinds], rows),
    ]


def discrepancy(value: Value) -> str:
    """By how much a count is off, in per cent."""
    if value is None:
        return "–"
    return f"{100 * value:+.1f} %".replace("-", "−") if value else "exact"


def _parity_parts(scorecard: Scorecard) -> list[str]:
    """What differs on the wire: an overview, and every difference of each framework."""
    shown = [one for one in scorecard.parities if one.model == SCRIPTED]
    if not shown:
        return []
    by_framework = {name: [one for one in shown if one.framework == name] for name in scorecard.frameworks}
    used = [part for part in PARTS if any(one.parts_per_call.get(part) for one in shown)]
    rows = [
        [
            escape(scorecard.frameworks[name].title),
            *(per_call(_mean_of_calls(parities, part)) for part in used),
            str(sum(len(one.explained) for one in parities)),
            str(sum(len(one.unexplained) for one in parities)),
        ]
        for name, parities in by_framework.items()
        if parities
    ]
    return [
        "## Parity",
        f"What each framework puts on the wire beside the task's spec and the baseline, in its runs with the model "
        f"{SCRIPTED} (`uv run bakeoff parity`). Where the injected tokens of a call lie, and how many kinds of "
        f"differences, counted for each task, a [deviation](#deviations) explains:",
        _table(["framework", *used, "explained", "unexplained"], rows),
        *(
            part
            for name, parities in by_framework.items()
            if any(one.explained or one.unexplained for one in parities)
            for part in _framework_parity(scorecard.frameworks[name].title, parities)
        ),
    ]


def _mean_of_calls(parities: Sequence[Parity], part: str) -> float | None:
    calls = sum(one.calls for one in parities)
    return sum(one.parts_per_call.get(part, 0) * one.calls for one in parities) / calls if calls else None


def _framework_parity(title: str, parities: Sequence[Parity]) -> list[str]:
    findings = {(one.task, finding.name): finding for one in parities for finding in one.findings}
    runs = {one.task: one.runs for one in parities}
    rows = []
    for name in sorted({name for _, name in findings}):
        of_tasks = [findings.get((task, name)) for task in runs]
        there = [finding for finding in of_tasks if finding]
        numbers = sorted({number for finding in there for number in finding.deviations})
        explained = "" if all(finding.explained for finding in there) else "**unexplained**"
        rows.append(
            [
                escape(name),
                *(_in_runs(finding, runs[task]) for finding, task in zip(of_tasks, runs, strict=True)),
                ", ".join([*map(str, numbers), *([explained] if explained else [])]) or "needs none",
                escape(there[0].example, limit=100),
            ]
        )
    header = ["difference", *(escape(task) for task in runs), "deviations", "for example"]
    summary = f"<details><summary>{escape(title)}: every difference, and in how many runs</summary>"
    return [f"{summary}\n\n{_table(header, rows, text_columns=2)}\n\n</details>"]


def _in_runs(finding: Finding | None, runs: int) -> str:
    """`23/23 (+12.5)`: in how many runs, and the tokens for each call."""
    if finding is None:
        return ""
    tokens = f" ({per_call(finding.tokens_per_call)})" if finding.tokens_per_call is not None else ""
    return f"{finding.runs}/{runs}{tokens}"


def _behaviour_parts(scorecard: Scorecard) -> list[str]:
    """What the frameworks do when something unusual happens, by what they do alike."""
    if not scorecard.behaviours:
        return []
    rows = [
        [first_of_probe, escape(row.words), "yes" if row.acceptable else "**no**", escape(_who(scorecard, row), 1000)]
        for first_of_probe, row in _by_probe(scorecard, escape)
    ]
    return [
        "## Behaviour",
        f"What the frameworks did when the model, a tool or the user did something unusual, read off the traces of "
        f"`bakeoff run -m {PROBES_NAME}`. Where more than one behaviour is reasonable, each will do. Tasks are named "
        "where a framework did not do the same in all of the probe's tasks.",
        _table(["probe", "what the framework does", "will do", "frameworks"], rows, text_columns=3),
    ]


def _by_probe(scorecard: Scorecard, show: Callable[[str], str]) -> list[tuple[str, Shared]]:
    """The rows of the table of behaviours; the first of each probe has its name and meaning."""
    rows = probes.shared(scorecard.behaviours)
    firsts = {id(next(group)) for _, group in groupby(rows, key=lambda row: row.probe)}
    return [(f"{show(row.probe)}: {show(row.meaning)}" if id(row) in firsts else "", row) for row in rows]


def _who(scorecard: Scorecard, row: Shared) -> str:
    if {name for name, tasks in row.frameworks if tasks is None} == {one.framework for one in scorecard.behaviours}:
        return "all"
    return ", ".join(
        scorecard.frameworks[name].title + (f" ({', '.join(tasks)})" if tasks else "") for name, tasks in row.frameworks
    )


def _deviation_parts(scorecard: Scorecard) -> list[str]:
    lines = [
        f"{number}. {escape(notes.title)}, {escape(task or 'all tasks')}: {escape(note, limit=2000)}"
        for notes in scorecard.frameworks.values()
        for number, task, note in notes.deviations
    ]
    return ["## Deviations", "\n".join(lines) if lines else "None."]


def _values(values: Sequence[Any]) -> str:
    words = {None: "unknown", True: "yes", False: "no"}
    return ", ".join(
        words[value] if value is None or isinstance(value, bool) else escape(str(value)) for value in values
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 0) -> str:
    """A Markdown table; if it has several columns, all but the first and the last `text_columns` hold numbers."""
    numbers = len(header) - 1 - text_columns if len(header) > 2 else 0
    rule = ["---", *["---:"] * numbers, *["---"] * (len(header) - 1 - numbers)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def readme_section(scorecard: Scorecard) -> str:
    """A summary for the README: for each model, passed runs by task, and the costs over all tasks."""
    parts = []
    tasks = list(dict.fromkeys(cell.task or "" for cell in scorecard.cells))
    cells = {(cell.model, cell.framework, cell.task): cell.metrics for cell in scorecard.cells}
    for model in scorecard.models:
        header = ["framework", *tasks, "overhead p50", "prompt tokens", "injected tokens / call", "source lines"]
        rows = [
            [
                escape(scorecard.frameworks[total.framework].title),
                *(_passed(cells.get((model, total.framework, task))) for task in tasks),
                seconds(total.metrics["overhead_s_p50"]),
                count(total.metrics["prompt_tokens_mean"]),
                per_call(total.metrics["injected_tokens_per_call"]),
                count(total.metrics["source_lines"]),
            ]
            for total in scorecard.totals
            if total.model == model
        ]
        parts += [
            f"**Model {escape(model)}**: passed / runs of each task; overhead and tokens of a run",
            _table(header, rows),
        ]
    parts.append(f"Intervals, times, failures and deviations: [{MARKDOWN_NAME}]({MARKDOWN_NAME}).")
    return "\n\n".join(parts)


def _passed(metrics: Mapping[str, Value] | None) -> str:
    return f"{metrics['passed']}/{metrics['runs']}" if metrics else "–"


def splice(readme: str, section: str) -> str:
    """`readme` with `section` between its markers. Raises `ValueError` where they are missing."""
    before, begin, rest = readme.partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if not begin or not end:
        raise ValueError(f"README.md: needs the markers {README_BEGIN} and {README_END}, in this order")
    generated = f"<!-- generated by `{COMMAND}` -->"
    return f"{before}{begin}\n{generated}\n\n{section}\n\n{end}{after}"


def _write_whole(path: Path, content: str) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(content, encoding="utf-8", newline="\n")
    temporary.replace(path)


# --- terminal --------------------------------------------------------------------------------

_FAILURE_LINES = 12


def print_scorecard(console: Console, scorecard: Scorecard, file: str = MARKDOWN_NAME) -> None:
    """Print the tables and the failures, for 100 columns; `file` is where the reader finds the rest."""
    for model in scorecard.models:
        for title, cells in [*_by_task(scorecard.cells, model), *_by_task(scorecard.totals, model)]:
            console.print(_rich_table(scorecard, f"{model} · {title}", cells))
            console.print()
    if scorecard.behaviours:
        console.print(_behaviour_table(scorecard))
        console.print()
    if scorecard.cells:
        _print_failures(console, scorecard, file)
    for note in scorecard.notes:
        console.print(Text(f"note: {note}"))
    if scorecard.damaged:
        console.print(Text(f"{len(scorecard.damaged)} traces left out:"))
        _print_lines(console, [f"{damaged.path}: {damaged.reason}" for damaged in scorecard.damaged], file)


def _rich_table(scorecard: Scorecard, title: str, cells: Iterable[Cell]) -> Table:
    columns = [column for column in _COLUMNS if column.in_terminal]
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("framework")  # the only column that gives way where the console is narrow
    for column in columns:
        table.add_column(Text(column.title.replace(" ", "\n", 1)), justify="right", no_wrap=True)
    for cell in cells:
        name = scorecard.frameworks[cell.framework].title
        table.add_row(Text(name), *(Text(column.show(cell.metrics)) for column in columns))
    return table


def _behaviour_table(scorecard: Scorecard) -> Table:
    table = Table(title=Text("Behaviour", style="bold"), title_justify="left", box=None, padding=(0, 1, 1, 0))
    for title, ratio in (("probe", 3), ("what the framework does", 4), ("will do", 1), ("frameworks", 4)):
        table.add_column(title, ratio=ratio)
    for first_of_probe, row in _by_probe(scorecard, str):
        cells = (first_of_probe, row.words, "yes" if row.acceptable else "NO", _who(scorecard, row))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _print_failures(console: Console, scorecard: Scorecard, file: str) -> None:
    runs = sum(int(cell.metrics["runs"] or 0) for cell in scorecard.totals)
    console.print(Text(f"{len(scorecard.failures)} of {runs} runs failed"), end=":\n" if scorecard.failures else "\n")
    groups = Counter(
        (failure.key.model, failure.key.framework, failure.key.task, "; ".join(failure.reasons[:1]))
        for failure in scorecard.failures
    )
    lines = [
        f"{number} × {model} {framework} {task}: {reason}"
        for (model, framework, task, reason), number in groups.most_common()
    ]
    _print_lines(console, lines, file)


def _print_lines(console: Console, lines: Sequence[str], file: str) -> None:
    for line in lines[:_FAILURE_LINES]:
        console.print(Text(f" {' '.join(line.split())}", no_wrap=True, overflow="ellipsis"))
    if len(lines) > _FAILURE_LINES:
        console.print(Text(f" … and {len(lines) - _FAILURE_LINES} more: see {file}"))
