"""Progress of a matrix: a bar with an ETA on a terminal, a line now and then elsewhere."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from evaluator.harness.jobs import Job
from evaluator.trace import Trace

LINE_INTERVAL_S = 15.0


def time_left_s(waiting: Counter[str], durations: dict[str, list[float]], at_once: int) -> float | None:
    """Seconds until the runs of `waiting` (a count for each task) are made; `None` before the first is.

    A run is taken to last as long as the runs of its task so far, or as any run where its task has none.
    """
    known = [seconds for made in durations.values() for seconds in made]
    if not known:
        return None
    mean = sum(known) / len(known)
    of_task = {task: sum(made) / len(made) for task, made in durations.items() if made}
    return sum(count * of_task.get(task, mean) for task, count in waiting.items()) / at_once


class Progress:
    """Shows the runs as they are made. Use as a context manager."""

    def __init__(self, console: Console, batches: Mapping[str, tuple[Sequence[Job], int]]) -> None:
        """`batches` has for each model the runs to make, and how many of them at once."""
        self._console = console
        self._total = sum(len(jobs) for jobs, _ in batches.values())
        # One at a time for each framework, so that more at once do not help.
        self._at_once = {
            model: min(at_once, len({job.framework.name for job in jobs})) for model, (jobs, at_once) in batches.items()
        }
        self._waiting = {model: Counter(job.task.name for job in jobs) for model, (jobs, _) in batches.items()}
        self._durations: dict[str, dict[str, list[float]]] = {model: {} for model in batches}
        self._not_answered = 0
        self._done = 0
        self._next_line = 0.0
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=self._total, left="")

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def started(self, model: str, job: Job) -> None:
        """A run was begun."""
        self._bar.update(self._task, description=f"{model} {job.framework.name} {job.task.name} {job.case.id}")

    def finished(self, model: str, job: Job, trace: Trace) -> None:
        """A run was made and written."""
        task = job.task.name
        self._done += 1
        self._waiting[model][task] -= 1
        self._durations[model].setdefault(task, []).append(trace.resources.wall_s)
        self._not_answered += trace.outcome.ended != "answered"
        left = self._time_left_s()
        parts = [f"about {_duration(left)} left"] if self._done < self._total else []
        parts += [f"{self._not_answered} without an answer"] if self._not_answered else []
        self._bar.update(self._task, completed=self._done, left=", ".join(parts))
        if not self._console.is_terminal and (time.monotonic() >= self._next_line or self._done == self._total):
            self._next_line = time.monotonic() + LINE_INTERVAL_S
            self._console.print(", ".join([f"{self._done} of {self._total} runs", *parts]), highlight=False)

    def _time_left_s(self) -> float:
        """The sum over the models, once a run is made. One without any is taken to be as fast as the others so far."""
        of_all: dict[str, list[float]] = {}
        for durations in self._durations.values():
            for task, made in durations.items():
                of_all.setdefault(task, []).extend(made)
        return sum(
            time_left_s(waiting, self._durations[model] or of_all, self._at_once[model]) or 0
            for model, waiting in self._waiting.items()
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
