"""Capability tasks as runs, and their making: `bakeoff run -m capabilities`."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rich.console import Console

from evaluator.catalog.capabilities import Capability, as_task
from evaluator.catalog.frameworks import Framework, implements
from evaluator.errors import Failure, error_in_words
from evaluator.harness import stopping
from evaluator.harness.capabilities import CapabilityHarness
from evaluator.harness.environments import provision_all
from evaluator.harness.gateway import Gateway
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.plans import say_recorded
from evaluator.harness.process import sweep_scratch
from evaluator.harness.progress import Progress
from evaluator.harness.records import Records, bring_up, exclusive
from evaluator.models import specs
from evaluator.models.embedding import MODEL_NAME as EMBEDDING_NAME
from evaluator.models.embedding import Embedder
from evaluator.models.specs import ModelSpec
from evaluator.models.upstreams.capabilities import CapabilityUpstream
from evaluator.packs import pack
from evaluator.providers.names import CAPABILITIES_NAME
from evaluator.stores import Store, Traces, store_of
from evaluator.trace import Trace
from tasks.capability import FIRST_MODEL

AT_ONCE = 4
"""Frameworks at a time: many runs wait, for a server that says nothing or speaks slowly."""

MAX_MODEL_CALLS = 40
"""What a run may make: a conversation that gets long takes one a message, and some for what is left out of it."""


def settings(jobs: int | None = None, timeout_s: float | None = None, answered_by: ModelSpec | None = None) -> Settings:
    """The limits of these runs. `answered_by` is the model that answers in place of the scripted one."""
    model = answered_by or specs.resolve(CAPABILITIES_NAME, None, None)
    return Settings(
        model=replace(model, name=folder_of(model.name)),
        timeout_s=timeout_s or model.timeout_s,
        jobs=jobs or (AT_ONCE if answered_by is None else model.jobs),
        max_model_calls=MAX_MODEL_CALLS,
    )


def folder_of(model: str) -> str:
    """What the model is called in traces of these runs."""
    return model if model == CAPABILITIES_NAME else f"{CAPABILITIES_NAME}/{model}"


def jobs(frameworks: Iterable[Framework], capabilities: Iterable[Capability]) -> list[Job]:
    """The runs: each case of each capability, with every framework that has its module."""
    wanted = list(capabilities)
    return [
        Job(framework, as_task(capability), case, 1)
        for framework in frameworks
        for capability in wanted
        for case in capability.cases
        if implements(framework, capability.name)
    ]


def make(
    asked: Sequence[Job],
    limits: Settings,
    traces: Traces,
    rerun: bool,
    console: Console,
    say: Callable[[str], None],
    answered_by: ModelSpec | None = None,
) -> None:
    """Make the runs that are not recorded yet below `traces`, or all with `rerun`, and put them into few files.

    `answered_by` is the model that `limits` were made for, if it is not the scripted one. Raises `stopping.Stopped`,
    `Mistake`, `Failure`.
    """
    store, name = store_of(traces), limits.model.name
    with exclusive(store.folder):
        sweep_scratch()
        bring_up(store, [name], console)
        records = Records(limits, specs.digest(answered_by or limits.model, console))
        missing = list(asked) if rerun else records.missing(asked, store)
        say_recorded(say, name, len(asked), len(missing), store.folder)
        try:
            if missing:
                stopping.run(_make(missing, limits, records, store, console, say, answered_by))
            if not store.elsewhere:
                pack(store.folder, name)
        except OSError as error:
            raise Failure(
                f"{error_in_words(error)}; what was made is kept, the same command goes on from here"
            ) from None


async def _make(
    missing: Sequence[Job],
    limits: Settings,
    records: Records,
    store: Store,
    console: Console,
    say: Callable[[str], None],
    answered_by: ModelSpec | None,
) -> None:
    frameworks = list(dict.fromkeys(job.framework for job in missing))
    await provision_all(frameworks, console, say, with_extras=True)
    free = asyncio.Semaphore(limits.jobs)
    with Progress(console, limits.model.name, 1, None) as progress:
        writing: list[asyncio.Task[bool]] = []

        def finished(job: Job, trace: Trace) -> None:
            writing.append(asyncio.create_task(asyncio.to_thread(store.write, trace)))
            progress.finished(job, trace.outcome.ended)

        async with contextlib.AsyncExitStack() as opened:
            answers = await opened.enter_async_context(specs.running(answered_by, console)) if answered_by else None
            names = [FIRST_MODEL, EMBEDDING_NAME]
            gateway = await opened.enter_async_context(Gateway(CapabilityUpstream(answers), Embedder(console), names))
            made_by = CapabilityHarness(limits, records, gateway)

            async def of(framework: Framework) -> None:
                async with free:
                    its = [job for job in missing if job.framework == framework]
                    await made_by.run_all(framework, its, progress.started, finished)

            with progress.round(1, missing, 0.0):
                try:
                    await stopping.all_of(map(of, frameworks))
                finally:
                    await asyncio.gather(*writing)
