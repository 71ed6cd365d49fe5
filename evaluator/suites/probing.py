"""Probes as runs: the limits and the jobs."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from evaluator.catalog.frameworks import Framework, implements
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.harness.jobs import Job, Settings
from evaluator.models.specs import resolve
from evaluator.probes.script import ProbeScript
from evaluator.probes.table import MAX_MODEL_CALLS, PROBES, TEMPERATURE
from evaluator.providers.names import PROBES_NAME
from tasks.base import Outcome
from tasks.grading import Grade
from tasks.probing import MARKERS, ProbeCase


def settings(**changes: Any) -> Settings:
    """The limits under which frameworks are probed."""
    model = resolve(PROBES_NAME, None, None)
    limits: dict[str, Any] = {
        "model": model,
        "timeout_s": model.timeout_s,
        "jobs": 1,
        "temperature": TEMPERATURE,
        "max_model_calls": MAX_MODEL_CALLS,
    }
    return Settings(**{**limits, **changes})


def jobs(frameworks: Iterable[Framework], task_names: Iterable[str] | None = None) -> list[Job]:
    """The runs that probe these frameworks: one trial each, in all tasks that they implement unless some are named."""
    tasks = all_tasks()
    wanted = set(tasks if task_names is None else task_names)
    order = list(frameworks)
    return [
        Job(framework, _played(task, framework), case, 1, probe.timeout_s, case.together)
        for probe in PROBES
        for name, task in tasks.items()
        for case in task.probes
        if name in wanted and case.kind == probe.name
        for framework in order
        if implements(framework, name)
    ]


def _played(task: Task, framework: Framework) -> Task:
    return replace(task.probed(), script=partial(_script, framework.name), grade=_never_graded)


def _script(framework: str, case: ProbeCase) -> ProbeScript:
    return ProbeScript(
        fault=case.fault,
        turns=case.turns,
        searches=case.searches,
        needs=case.needs(),
        answer=case.answer,
        meeting=f"{framework} {case.together}" if case.together else None,
        parties=len(MARKERS),
    )


def _never_graded(case: ProbeCase, outcome: Outcome) -> Grade:
    raise NotImplementedError("a probe is judged by its trace")
