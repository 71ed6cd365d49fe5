"""Whether what is replayed comes out as it was recorded, and which recordings are to be made again."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from evaluator import scorecard
from evaluator.harness.jobs import Job
from evaluator.harness.plans import Plan, Standing, make
from evaluator.providers.names import REPLAY
from evaluator.scorecard import Cell
from evaluator.suites import replays
from evaluator.text import shown_path

_MOST_RUNS = 12


def no_longer_replaying(jobs: Sequence[Job], console: Console, say: Callable[[str], None]) -> list[Job]:
    """The runs to record again: those whose recording does not replay. No model is needed to find them."""
    say(f"replaying {len(jobs)} recorded runs")
    settings = replays.settings(jobs=os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as folder:
        make(Standing(Plan(settings, [jobs])), Path(folder), True, console, say, lambda standing: None)
        found = replays.unlike_runs(jobs, Path(folder))
    say(f"{len(found)} of {len(jobs)} recorded runs no longer replay{' and are recorded again:' if found else ''}")
    _say_runs(found, say)
    return [replace(job, recording=None) for job, _ in found]


def came_out_as_recorded(jobs: Sequence[Job], traces: Path, folder: Path, say: Callable[[str], None]) -> bool:
    """Whether the replays below `traces` gave what is recorded in `folder`, run by run and in the figures of the
    scorecard; says so."""
    chosen = {(job.framework.name, job.task.name, job.case.id, job.trial) for job in jobs}

    def cells(root: Path, names: Sequence[str] | None) -> list[Cell]:
        card = scorecard.build(
            root, models=names, keep=lambda key: (key.framework, key.task, key.case, key.trial) in chosen
        )
        return [*card.cells, *card.totals]

    runs = replays.unlike_runs(jobs, traces)
    recorded = cells(folder, None)
    figures = replays.unlike_cells(recorded, cells(traces, [REPLAY]))
    scored = sum(int(cell.metrics["runs"] or 0) for cell in recorded if cell.task is None)
    if scored < len(jobs):
        figures.insert(0, f"the runs: {len(jobs)} were replayed, and {scored} can be scored as they were recorded")
    say(f"{len(jobs) - len(runs)} of {len(jobs)} runs came out as recorded in {shown_path(folder)}")
    _say_runs(runs, say)
    if figures:
        say(f"correctness or tokens differ in {len(figures)} figures, such as {figures[0]}")
    else:
        say("correctness and tokens are exactly those recorded, in every cell; model time is the recorded one")
    return not runs and not figures


def _say_runs(runs: Sequence[tuple[Job, str]], say: Callable[[str], None]) -> None:
    for job, reason in runs[:_MOST_RUNS]:
        say(f" {job.framework.name} {job.task.name} {job.case.id}.{job.trial}: {' '.join(reason.split())[:300]}")
    if len(runs) > _MOST_RUNS:
        say(f" … and {len(runs) - _MOST_RUNS} more")
