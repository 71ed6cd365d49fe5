"""What `bakeoff drift` compares: recorded runs, and the same runs made with other packages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from evaluator import WORK
from evaluator.analysis.drift import packages_in_words
from evaluator.catalog.digests import implementation_digest, lock_digest, since, task_digest
from evaluator.catalog.frameworks import Framework, implements
from evaluator.catalog.releases import packages_in
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.errors import Failure, Mistake
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.plans import Plan, Standing, make
from evaluator.harness.process import sweep_scratch
from evaluator.harness.records import Records, exclusive
from evaluator.models import specs
from evaluator.providers.names import SCRIPTED
from evaluator.text import shown_path
from evaluator.trace import Trace, model_folder, read_traces
from tasks.cases import Case

FOLDER = WORK / "drift"
"""Where the runs are that are made to be compared."""

Say = Callable[[str], None]

Run = tuple[Task, Case, int]
"""A case of a task, and the trial."""


@dataclass(frozen=True)
class Recorded:
    """The recorded runs of a framework, and today's cases that they are of."""

    traces: Sequence[Trace]
    runs: Sequence[Run]


def recorded(traces: Path, framework: Framework, cases: Mapping[str, Sequence[Case]], say: Say) -> Recorded:
    """The runs of the framework with the scripted model below `traces`, of these cases by task; says what is left out.

    A run of which the case has changed since is left out, as what differs would be the case's. Raises `Mistake` where
    there are none.
    """
    folder = model_folder(traces, SCRIPTED) / framework.plain_name
    tasks, found, runs, changed = all_tasks(), [], [], 0
    known = {(name, case.id): case for name, some in cases.items() for case in some}
    for item in read_traces(folder):
        if not isinstance(item, Trace):
            say(f"{shown_path(item.path)}: left out: {item.reason}")
        elif (case := known.get((item.key.task, item.key.case))) is None:
            continue
        elif not _asks_the_same(item, case):
            changed += 1
        else:
            found.append(item)
            runs.append((tasks[item.key.task], case, item.key.trial))
    if changed:
        say(f"{framework.plain_name}: {changed} recorded runs are left out: their cases have changed since")
    if not found:
        raise Mistake(f"{shown_path(folder)}: has no recorded run of what was asked for")
    return Recorded(found, runs)


def _asks_the_same(trace: Trace, case: Case) -> bool:
    try:
        return type(case).model_validate(trace.case).inputs() == case.inputs()
    except ValidationError:
        return False


def jobs(framework: Framework, runs: Iterable[Run]) -> list[Job]:
    """The runs of these cases and trials."""
    return [Job(framework, task, case, trial) for task, case, trial in runs if implements(framework, task.name)]


def made(asked: Sequence[Job], console: Console, say: Say) -> dict[str, list[Trace]]:
    """The runs, made now unless they are there already, by framework.

    A run that the harness or the machine ended is left out. Raises `Mistake`, `Failure`, `stopping.Stopped`.
    """
    spec = specs.resolve(SCRIPTED, None, None)
    settings = Settings(model=spec, timeout_s=spec.timeout_s, jobs=spec.jobs)
    standing = Standing(Plan(settings, [asked]))
    with exclusive(FOLDER):
        sweep_scratch()
        make(standing, FOLDER, False, console, say, lambda _: None)
        records = Records(settings, specs.digest(spec, console))
        if slow := [job for job in asked if _timed_out(records.usable(job, FOLDER))]:
            say(f"{len(slow)} runs that took too long are made again, one at a time")
            make(Standing(Plan(replace(settings, jobs=1), [slow])), FOLDER, True, console, say, lambda _: None)
    for line in dict.fromkeys(standing.unsound):
        say(f"left out: {line}")
    found: dict[str, list[Trace]] = {job.framework.name: [] for job in asked}
    for job in asked:
        if (trace := records.usable(job, FOLDER)) is not None:
            found[job.framework.name].append(trace)
    if lacking := [name for name, traces in found.items() if not traces]:
        raise Failure(f"{', '.join(lacking)}: no run could be made; see the lines above")
    return found


def _timed_out(trace: Trace | None) -> bool:
    return trace is not None and trace.outcome.ended == "timeout"


def changed_besides(framework: Framework, recorded: Recorded) -> list[str]:
    """In words, what has changed since the runs were recorded besides the lock, or that the lock has not."""
    setups = [(trace.key.task, trace.setup) for trace in recorded.traces]
    tasks = {task.name: task for task, _, _ in recorded.runs}
    code = {name: implementation_digest(framework, name) for name in tasks if implements(framework, name)}
    asked = {name: task_digest(task) for name, task in tasks.items()}
    lines = []
    if all(since(setup.lock_digest) == lock_digest(framework.environment) for _, setup in setups):
        lines.append(f"{framework.name}: its lock is the one that these runs were recorded with")
    for what, now in (("module", code), ("task", asked)):
        field = "implementation_digest" if what == "module" else "task_digest"
        others = sorted({task for task, setup in setups if task in now and since(getattr(setup, field)) != now[task]})
        if others:
            lines.append(
                f"{framework.name}: the {what} {', '.join(others)} has changed since the runs were recorded, too: what "
                "differs may be its doing"
            )
    return lines


def other_packages(before: Framework, after: Framework) -> str:
    """The packages that two locks have in other versions, in a line."""
    old, new = (packages_in(one.environment / "uv.lock") for one in (before, after))
    return packages_in_words(old, new, after.package)
