"""From what the user asked for to the runs to make against each model."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluator.catalog.frameworks import Framework, lacking_in_words
from evaluator.catalog.tasks import Task
from evaluator.errors import Mistake
from evaluator.harness.jobs import Job, Settings, in_rounds
from evaluator.harness.limiter import RateLimits
from evaluator.harness.plans import Plan
from evaluator.models.specs import ModelSpec, computed_here
from evaluator.providers.names import FAULTS_NAME, IN_ONE_GO, PROBES_NAME, REPLAY
from evaluator.suites import faulting, probing, replays
from evaluator.text import shown_path
from tasks.cases import SIZES, Case, of_size

BUDGET = "10m"
"""The budget of a model that is computed here, unless the user gives one."""

NO_BUDGET = "none"

_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Asked:
    """What the user asked for, whatever the model. What is None is left to the model, or to what is recorded.

    `cases` is a size or a file of cases. `budget` is a time such as `10m`, or `none`. `replayed` is the folder of the
    recordings that a replay plays; in `rerecorded` are those, by model, that are to be made again where they no longer
    replay. `rates` are the limits of the models' endpoints, each of which has them for itself.
    """

    frameworks: Sequence[Framework]
    tasks: Sequence[Task]
    cases: str | None
    trials: int | None
    jobs: int | None
    timeout_s: float | None
    max_model_calls: int
    budget: str | None
    replayed: Path
    rerecorded: Path | None = None
    faults: Sequence[str] = ()
    seed: int = faulting.SEED
    rates: RateLimits | None = None


def for_endpoints(models: list[ModelSpec], rates: RateLimits | None) -> list[ModelSpec]:
    """The models, of which one at least has a server with limits to keep, if there are any. Raises `Mistake`."""
    if rates and not any(spec.endpoint for spec in models):
        named = " ".join(f"-m {spec.name}" for spec in models)
        raise Mistake(
            f"--rpm, --tpm and --concurrency are for models of an endpoint, or with --base-url, and not for {named}: "
            "--jobs says how many runs are made at once"
        )
    return models


def planned(spec: ModelSpec, asked: Asked, say: Callable[[str], None]) -> Plan:
    """The runs to make against a model. Raises `Mistake`."""
    at_once = asked.jobs or spec.jobs
    in_one_go = asked.rerecorded is not None or spec.name in IN_ONE_GO
    if in_one_go and asked.budget is not None:
        in_one = f"-m {PROBES_NAME}, -m {FAULTS_NAME} and -m {REPLAY}"
        raise Mistake(f"--budget is not for --rerecord, {in_one}, which are not made in rounds")
    if spec.name == PROBES_NAME:
        jobs = probing.jobs(asked.frameworks, [task.name for task in asked.tasks])
        return Plan(probing.settings(jobs=at_once), [jobs])
    if spec.name == FAULTS_NAME:
        jobs = faulting.jobs(asked.frameworks, [task.name for task in asked.tasks], asked.faults, asked.seed)
        settings = Settings(
            model=spec,
            timeout_s=asked.timeout_s or spec.timeout_s,
            jobs=asked.jobs or faulting.AT_ONCE,
            hardened=True,
        )
        return Plan(settings, [jobs])
    if spec.name == REPLAY:
        return Plan(replays.settings(jobs=at_once), [_recorded(asked.replayed, asked, say)])
    settings = Settings(
        model=spec,
        timeout_s=asked.timeout_s or spec.timeout_s,
        jobs=at_once,
        max_model_calls=asked.max_model_calls,
        limits=asked.rates if spec.endpoint else None,
    )
    if asked.rerecorded is not None:
        return Plan(settings, [_recorded(asked.rerecorded / spec.name, asked, say)])
    goes_on = asked.budget is not None or computed_here(spec)
    cases = cases_named(asked.cases or SIZES[-1 if goes_on else 0], asked.tasks)
    rounds = in_rounds(asked.frameworks, [(task, cases[task.name]) for task in asked.tasks], asked.trials or 1)
    return Plan(settings, rounds, seconds_of(asked.budget or (BUDGET if computed_here(spec) else NO_BUDGET)))


def first_look(asked: Asked) -> Asked:
    """What is run against the scripted model before a model that takes its time: two cases a task, or those of the
    user's own, without a budget."""
    return replace(asked, cases=None if asked.cases in SIZES else asked.cases, budget=None)


def seconds_of(budget: str) -> float | None:
    """The seconds of a budget such as `90s`, `10m` or `1h`; None for `none`. Raises `Mistake`."""
    if budget == NO_BUDGET:
        return None
    form = re.fullmatch(r"([1-9]\d{0,5})([smh])", budget)
    if form is None:
        raise Mistake(f"--budget {budget!r}: must be a time such as 90s, 10m or 1h, or {NO_BUDGET}")
    return int(form[1]) * _SECONDS[form[2]]


def say_what_is_lacking(plans: Sequence[Plan], asked: Asked, say: Callable[[str], None]) -> None:
    """Say which tasks are not implemented by whom. Raises `Mistake` where that leaves nothing to run."""
    lacks = lacking_in_words(asked.frameworks, [task.name for task in asked.tasks])
    if not any(plan.jobs for plan in plans):
        raise Mistake(f"nothing to run: {'; '.join(lacks) or 'these tasks have no probes'}")
    for line in lacks:
        say(f"left out: {line}")


def _recorded(folder: Path, asked: Asked, say: Callable[[str], None]) -> list[Job]:
    """A replay of each recorded run that was chosen; says what has no recording."""
    cases = cases_named(asked.cases, asked.tasks) if asked.cases else None
    recorded, damaged = replays.recordings(folder)
    for item in damaged:
        say(f"{shown_path(item.path)}: left out: {item.reason}")
    jobs = replays.jobs(recorded, asked.frameworks, asked.tasks, cases, asked.trials)
    there_are = {(job.framework.name, job.task.name) for job in jobs}
    lacking = [
        f"{framework.name} {task.name}"
        for framework in asked.frameworks
        for task in asked.tasks
        if (framework.name, task.name) not in there_are
    ]
    if not jobs:
        raise Mistake(f"{shown_path(folder)}: has no recording of what was asked for")
    if lacking:
        say(f"{shown_path(folder)}: has no recording of {', '.join(lacking)}; left out")
    # Interleaved, as any recording of one sitting.
    return sorted(jobs, key=lambda job: (job.trial, job.task.name, job.case.id))


def cases_named(size_or_file: str, tasks: Sequence[Task]) -> Mapping[str, list[Case]]:
    """The cases of each task by its name: those of a size, or of a file of the user's own. Raises `Mistake`."""
    for size in SIZES:
        if size == size_or_file:
            return {task.name: of_size(task.load(), size) for task in tasks}
    path = Path(size_or_file)
    if not path.is_file():
        raise Mistake(f"--cases {size_or_file!r}: neither {', '.join(SIZES)} nor a file")
    if len(tasks) != 1:
        raise Mistake(f"--cases {size_or_file}: name the one task that these cases belong to, with -t TASK")
    return {tasks[0].name: tasks[0].load_file(path)}
