"""Probes as runs: the limits and the jobs."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from evaluator.catalog.frameworks import Framework
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.harness.jobs import Job, Settings
from evaluator.models.specs import resolve
from evaluator.probes.briefs import ProbeCase, prepare
from evaluator.probes.judges import MARKERS
from evaluator.probes.script import ProbeScript
from evaluator.probes.table import MAX_MODEL_CALLS, PROBES, TEMPERATURE
from evaluator.providers.names import PROBES_NAME
from tasks.base import Outcome
from tasks.grading import Grade


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
    """The runs that probe these frameworks: one trial each, in all tasks unless some are named."""
    wanted = set(task_names) if task_names is not None else None
    tasks = all_tasks()
    return [
        Job(framework, _probed(tasks[case.task], framework), case, 1, probe.timeout_s, case.together)
        for probe in PROBES
        for case in probe.cases
        if case.task in tasks and (wanted is None or case.task in wanted)
        for framework in frameworks
    ]


def _probed(task: Task, framework: Framework) -> Task:
    """The task with the cases of its probes: the implementation stays the same, the brief is another."""
    cases = [case for probe in PROBES for case in probe.cases if case.task == task.name]
    return replace(
        task,
        case_type=ProbeCase,
        load=lambda: cases,
        prepare=prepare,
        script=partial(_script, framework.name),
        grade=_never_graded,
    )


def _script(framework: str, case: ProbeCase) -> ProbeScript:
    return ProbeScript(
        fault=case.fault,
        turns=case.turns,
        searches=case.searches,
        needs=case.facts,
        answer=case.answer,
        meeting=f"{framework} {case.together}" if case.together else None,
        parties=len(MARKERS),
    )


def _never_graded(case: ProbeCase, outcome: Outcome) -> Grade:
    raise NotImplementedError("a probe is judged by its trace")
