"""Replays: recorded runs, made again without their model, and whether they came out the same.

The recorded responses are what answers (`evaluator/upstreams/replay.py`), so a run can only differ where
the framework, the implementation or the task does.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from evaluator import ROOT
from evaluator.analysis.metrics import METRICS
from evaluator.catalog.frameworks import Framework, implements
from evaluator.catalog.tasks import Task
from evaluator.errors import Mistake
from evaluator.harness.jobs import Job, Settings
from evaluator.models.specs import resolve
from evaluator.providers.names import PROBES_NAME, REPLAY
from evaluator.scorecard import Cell
from evaluator.trace import (
    DamagedTrace,
    RunOutcome,
    Trace,
    read_trace,
    read_traces,
    trace_path,
)
from tasks.cases import Case

FOLDER = ROOT / "traces" / "local"
"""The recordings that are played unless the user names others."""

_NOT_REPRODUCED = frozenset({"s", "MB", "lines", "branches", "names", "USD", "packages", "workers"})

REPRODUCED = tuple(m.name for m in METRICS if m.unit not in _NOT_REPRODUCED and m.name != "source_tokens")
"""The metrics that a replay must give exactly: all but times, footprint, the size of the code and the price."""


def settings(**changes: Any) -> Settings:
    """What holds for all replays; their limits are those of their recordings."""
    model = resolve(REPLAY, None, None)
    return Settings(**{"model": model, "timeout_s": model.timeout_s, "jobs": 1, **changes})


def recordings(folder: Path) -> tuple[list[Trace], list[DamagedTrace]]:
    """The recorded runs below `folder`, of one model, and the files that cannot be used.

    Raises `Mistake` where there are none, or those of several models or of probes.
    """
    if not folder.is_dir():
        raise Mistake(f"{folder}: there is no such folder of recorded traces")
    found = list(read_traces(folder))
    traces = [item for item in found if isinstance(item, Trace)]
    models = sorted({trace.key.model for trace in traces})
    if not models:
        raise Mistake(f"{folder}: no recorded run is in there")
    if len(models) > 1:
        raise Mistake(f"{folder}: has runs of {', '.join(models)}; name the folder of one of them")
    if models == [PROBES_NAME]:
        raise Mistake(f"{folder}: has probes, which need no recording: use `bakeoff run -m {PROBES_NAME}`")
    return traces, [item for item in found if isinstance(item, DamagedTrace)]


def jobs(
    recorded: Iterable[Trace],
    frameworks: Sequence[Framework],
    tasks: Sequence[Task],
    cases: Mapping[str, Sequence[Case]] | None = None,
    trials: int | None = None,
) -> list[Job]:
    """A replay of each recorded run of these frameworks and tasks; of these cases (by task) and trials, if any.

    A case is asked as it stands in the task now, so that a changed question shows; a case that is none of
    the task's, such as a user's own, as it was recorded.
    """
    by_name, by_task = {framework.name: framework for framework in frameworks}, {task.name: task for task in tasks}
    known = {task.name: {case.id: case for case in (cases or {}).get(task.name, task.load())} for task in tasks}
    made = []
    for trace in recorded:
        key = trace.key
        if key.framework not in by_name or key.task not in by_task or key.trial > (trials or key.trial):
            continue
        task = by_task[key.task]
        if not implements(by_name[key.framework], task.name):
            continue
        case = known[key.task].get(key.case)
        if case is None and cases is None:
            try:
                case = task.case_type.model_validate(trace.case)
            except ValidationError:
                continue
        if case is not None:
            made.append(Job(by_name[key.framework], task, case, key.trial, recording=trace))
    return made


def unlike(recorded: Trace, replayed: Trace) -> list[str]:
    """In words, in what a replayed run came out otherwise than the recorded one; times are not compared.

    Tool calls may come in another order: a framework may make those of one turn at the same time.
    """
    was, now = recorded.outcome, replayed.outcome
    if (now.ended, now.error) != (was.ended, was.error):
        return [f"{_how(was)} became {_how(now)}"]
    pairs = {
        "answer": (was.answer, now.answer),
        "final state": (was.final_state, now.final_state),
        "tokens of each model call": (_tokens(recorded, "chat"), _tokens(replayed, "chat")),
        "tokens of the embeddings": (_tokens(recorded, "embeddings"), _tokens(replayed, "embeddings")),
        "the framework's own count": (recorded.reported_usage, replayed.reported_usage),
    }
    found = [f"{what}: {before!r} became {after!r}" for what, (before, after) in pairs.items() if before != after]
    calls_before, calls_now = _tool_calls(recorded), _tool_calls(replayed)
    found += [f"tool call no longer made: {call}" for call in (calls_before - calls_now).elements()]
    found += [f"tool call not recorded: {call}" for call in (calls_now - calls_before).elements()]
    return found


def _how(outcome: RunOutcome) -> str:
    return f"{outcome.ended} ({outcome.error})" if outcome.error else outcome.ended


def _tokens(trace: Trace, operation: str) -> list[tuple[int | None, ...]]:
    """The tokens of each call, sorted: some frameworks make several calls at the same time."""
    calls = (call for call in trace.model_calls if call.operation == operation)
    return sorted(((call.input_tokens, call.output_tokens, call.cached_tokens) for call in calls), key=str)


def _tool_calls(trace: Trace) -> Counter[str]:
    calls = (call.model_dump(exclude={"start_s", "end_s"}) for call in trace.tool_calls)
    return Counter(orjson.dumps(call, option=orjson.OPT_SORT_KEYS).decode() for call in calls)


def unlike_runs(jobs: Iterable[Job], traces: Path) -> list[tuple[Job, str]]:
    """The replays below `traces` that did not come out as recorded, each with the first difference in words."""
    found = []
    for job in jobs:
        assert job.recording is not None
        replayed = read_trace(trace_path(traces, job.recording.key.model_copy(update={"model": REPLAY})))
        reasons = unlike(job.recording, replayed) if isinstance(replayed, Trace) else [replayed.reason]
        if reasons:
            found.append((job, reasons[0]))
    return found


def unlike_cells(recorded: Iterable[Cell], replayed: Iterable[Cell]) -> list[str]:
    """In words, each figure of `REPRODUCED` in which the cells of a replay differ from those of its recording."""
    by_place = {(cell.framework, cell.task): cell.metrics for cell in replayed}
    found = []
    for cell in recorded:
        now, place = by_place.get((cell.framework, cell.task)), f"{cell.framework} {cell.task or 'all tasks'}"
        if now is None:
            found.append(f"{place}: not replayed")
            continue
        for name in REPRODUCED:
            if cell.metrics[name] != now[name]:
                found.append(f"{place}: {name} {cell.metrics[name]} became {now[name]}")
    return found
