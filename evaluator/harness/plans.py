"""What is asked for against one model or several in turn, and its making: only what is not recorded yet."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from evaluator.harness.environments import provision
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.matrix import run_all
from evaluator.harness.progress import Progress
from evaluator.harness.records import Records
from evaluator.harness.runner import harness
from evaluator.models import specs
from evaluator.text import shown_path


@dataclass(frozen=True)
class Plan:
    """The runs that were asked for against one model."""

    settings: Settings
    jobs: list[Job]

    @property
    def model(self) -> str:
        """The model's name."""
        return self.settings.model.name


async def make(plans: Sequence[Plan], traces: Path, rerun: bool, console: Console, say: Callable[[str], None]) -> None:
    """Make the runs that have no usable trace below `traces` yet, or all with `rerun`, one model after the other.

    `say` is told a line for each step; `console` shows the progress.
    """
    to_make: list[tuple[Plan, Records]] = []
    for plan in plans:
        digest = await asyncio.to_thread(specs.digest, plan.settings.model, console)
        records = Records(plan.settings, digest, sitting=secrets.token_hex(8))
        missing = plan.jobs if rerun else records.missing(plan.jobs, traces)
        if missing:
            to_make.append((replace(plan, jobs=missing), records))
    asked = sum(len(plan.jobs) for plan in plans)
    if done := asked - sum(len(plan.jobs) for plan, _ in to_make):
        again = "" if to_make else "; --rerun makes them again"
        say(f"{done} of {asked} runs are recorded already in {shown_path(traces)}{again}")
    if not to_make:
        return
    for framework in dict.fromkeys(job.framework for plan, _ in to_make for job in plan.jobs):
        await provision(framework, say)
    with Progress(console, {plan.model: (plan.jobs, plan.settings.jobs) for plan, _ in to_make}) as progress:
        for plan, records in to_make:
            task_names = list(dict.fromkeys(job.task.name for job in plan.jobs))
            async with harness(plan.settings, task_names, console, records=records) as opened:
                shown = (partial(show, plan.model) for show in (progress.started, progress.finished))
                await run_all(opened, plan.jobs, traces, plan.settings.jobs, *shown)
