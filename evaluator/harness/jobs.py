"""What is to be run: one job a run, the limits that all runs share, and the rounds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evaluator import WORK
from evaluator.catalog.frameworks import Framework, hardened, implements
from evaluator.catalog.tasks import Task
from evaluator.harness.limiter import RateLimits
from evaluator.harness.limits import MAX_MODEL_CALLS
from evaluator.models.specs import ModelSpec
from evaluator.models.upstreams.replay import recorded_script
from evaluator.trace import Injected, Trace
from evaluator.worker.faulty import Faulty
from tasks.cases import SIZES, Case, Script
from tasks.probing import ProbeCase
from tasks.suite import SuiteCase


@dataclass(frozen=True)
class Job:
    """One run to make.

    `timeout_s` is there where its limit is not that of the settings. Jobs of a framework that share a
    `together` are made at the same time. A replay has the `recording` that it is answered from, whose
    limits it takes over. `injected` is the fault that is put into the run; what of that is the worker's to do is
    `faulty`. `hardened` takes the framework's second module of the task.
    """

    framework: Framework
    task: Task
    case: Case
    trial: int
    timeout_s: float | None = None
    together: str | None = None
    recording: Trace | None = None
    injected: Injected | None = None
    faulty: Faulty | None = None
    hardened: bool = False

    @property
    def name(self) -> str:
        """What tells the run from others of its framework, task and trial: its case, its fault, and its module."""
        parts = [self.case.id]
        if self.injected is not None:
            parts.append(f"{self.injected.fault}-{self.injected.strength}-{self.injected.place}")
        return "--".join([*parts, "hardened"] if self.hardened else parts)

    @property
    def module(self) -> str:
        """The module of the framework's folder that makes the run."""
        return hardened(self.task.module) if self.hardened else self.task.module

    def script(self) -> Script:
        """What decides how the model answers, where that is not a model of its own mind."""
        if self.recording is None:
            return self.task.script(self.case)
        return recorded_script(self.recording, given=repr(self.task.prepare(self.case).brief))


@dataclass(frozen=True)
class Settings:
    """The limits of every run. Times are in seconds, memory is in MB (10^6 bytes).

    With `hardened`, workers have the second modules of tasks, too. `limits` are those of the model's endpoint: all runs
    share them.
    """

    model: ModelSpec
    timeout_s: float
    jobs: int
    temperature: float = 0.0
    max_model_calls: int = MAX_MODEL_CALLS
    memory_limit_mb: float = 4000.0
    logs: Path = field(default=WORK / "logs")
    hardened: bool = False
    limits: RateLimits | None = None


def in_rounds(
    frameworks: Iterable[Framework], tasks: Iterable[tuple[Task, Sequence[Case]]], trials: int
) -> list[list[Job]]:
    """All runs in rounds: one case and one trial, with every framework that implements its task.

    The tasks take turns, and of each the easiest and cheapest cases come first: by level, then by size. The frameworks
    take turns in coming first, so that none is always the one for which the model's prompt cache is cold.
    """
    everyone = list(frameworks)
    in_order = [
        ([framework for framework in everyone if implements(framework, task.module)], task, sorted(cases, key=_effort))
        for task, cases in tasks
    ]
    rounds: list[list[Job]] = []
    for trial in range(1, trials + 1):
        for number in range(max((len(cases) for _, _, cases in in_order), default=0)):
            for order, task, cases in in_order:
                if order and number < len(cases):
                    turn = number % len(order)
                    in_turn = order[turn:] + order[:turn]
                    rounds.append([Job(framework, task, cases[number], trial) for framework in in_turn])
    return rounds


def _effort(case: Case) -> tuple[int, int]:
    return case.level, SIZES.index(case.size)


def levels_in_words(jobs: Iterable[Job]) -> str:
    """The levels of the cases: `level 1`, `levels 1 and 2`."""
    *others, last = map(str, sorted({job.case.level for job in jobs}))
    return f"levels {', '.join(others)} and {last}" if others else f"level {last}"


def alike(job: Job) -> str:
    """What runs of a framework and task that take about as much have in common with this one: the level of the case,
    its category where it is an outside suite's or a probe, and the fault that is put in."""
    return alike_in_words(getattr(job.case, by(job)), job.injected, job.hardened)


def by(job: Job) -> Literal["level", "kind", "id"]:
    """The field of a case by which runs are `alike`."""
    if isinstance(job.case, SuiteCase | ProbeCase):
        return "kind"
    return "level" if isinstance(job.case, Case) else "id"


def alike_in_words(case: Any, injected: Injected | None, is_hardened: bool) -> str:
    """The same from its parts, for runs that are recorded."""
    return " ".join(filter(None, [injected.fault if injected else str(case), "hardened" if is_hardened else ""]))


def groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs in order; those that belong together stand where the first of them stood."""
    groups: dict[Any, list[Job]] = {}
    for number, job in enumerate(jobs):
        groups.setdefault((job.framework.name, job.together) if job.together else number, []).append(job)
    return list(groups.values())
