"""What goes from the driver to a node: a run and its limits in plain data, by names, without a key."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from evaluator import WORK
from evaluator.catalog.folders import suite_names
from evaluator.catalog.frameworks import Framework, all_frameworks
from evaluator.catalog.suites import all_suites, as_task
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.records import case_as_data
from evaluator.models.specs import ModelSpec
from evaluator.providers.names import FAULTS_NAME
from evaluator.suites import faulting
from evaluator.trace import Injected


@dataclass(frozen=True)
class Described:
    """A run, as any node with the same checkout can make it.

    `again` says that it was given to a node before, which was lost: that one may have made it.
    """

    framework: str
    task: str
    case: dict[str, Any]
    trial: int
    timeout_s: float | None
    injected: dict[str, Any] | None
    hardened: bool
    again: bool = False

    @staticmethod
    def of(job: Job) -> "Described":
        """The job in plain data."""
        return Described(
            framework=job.framework.name,
            task=job.task.name,
            case=case_as_data(job.case),
            trial=job.trial,
            timeout_s=job.timeout_s,
            injected=None if job.injected is None else job.injected.model_dump(),
            hardened=job.hardened,
        )

    def job(self, model: str) -> Job:
        """The job against a model, by the tasks and frameworks of this checkout."""
        framework, task = framework_named(self.framework), _task(self.task)
        case = task.case_type.model_validate(self.case)
        injected = None if self.injected is None else Injected.model_validate(self.injected)
        if model == FAULTS_NAME:
            return faulting.job_of(task, case, injected, framework, self.hardened)
        return Job(framework, task, case, self.trial, timeout_s=self.timeout_s, hardened=self.hardened)


def framework_named(name: str) -> Framework:
    """The framework of this checkout."""
    return _frameworks()[name]


@cache
def _frameworks() -> dict[str, Framework]:
    return all_frameworks()


@cache
def _task(name: str) -> Task:
    return as_task(all_suites()[name]) if name in suite_names() else all_tasks()[name]


def without_key(settings: Settings) -> Settings:
    """The settings as they may go over a network and into logs."""
    return with_key(settings, None)


def with_key(settings: Settings, key: str | None) -> Settings:
    """The settings on a node, which has a key for the model's server if there is one."""
    model: ModelSpec = settings.model
    if model.endpoint is not None:
        model = replace(model, endpoint=replace(model.endpoint, key=key))
    return replace(settings, model=model, logs=WORK / "logs")
