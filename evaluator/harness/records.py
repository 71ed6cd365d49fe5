"""Which runs are recorded already, and what a record holds about how it was made."""

import asyncio
import contextlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError
from rich.console import Console

from evaluator import ROOT, packs
from evaluator.catalog.digests import implementation_digest, lock_digest, since, task_digest
from evaluator.errors import Failure, Mistake
from evaluator.files import sweep
from evaluator.harness.jobs import Job, Settings, groups
from evaluator.harness.progress import UnderWay
from evaluator.models import specs
from evaluator.models.upstreams.replay import recording_digest
from evaluator.stores import Store, Traces, store_of
from evaluator.text import shown_path
from evaluator.trace import (
    DamagedTrace,
    Key,
    Setup,
    Trace,
    read_trace,
    trace_in,
    trace_path,
)
from tasks.cases import Case


def own_repository() -> dict[str, str]:
    """The environment variables for git without those that would point it to another repository than its folder's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


@cache
def _git() -> tuple[str | None, bool | None]:
    """The commit of the checkout and whether anything but traces was changed since; `None` where there is no git."""

    def output(*command: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(ROOT), *command], env=own_repository(), capture_output=True, text=True, check=True
        )
        return run.stdout.strip()

    try:
        return output("rev-parse", "HEAD"), bool(
            output("status", "--porcelain", "--untracked-files=no", "--", ".", ":!traces")
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None


@cache
def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _event_loop() -> str | None:
    """The package of the loop that runs here; none where none does."""
    try:
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]
    except RuntimeError:
        return None


class Records:
    """Which runs are recorded, and what a record of a run holds. Nothing is started for it.

    `sitting` is the token of the sitting that the runs are made in, if they are made interleaved, and `node` the node
    of a cluster: see `trace.Setup`.
    """

    def __init__(
        self, settings: Settings, model_digest: str, sitting: str | None = None, node: str | None = None
    ) -> None:
        self._settings = settings
        self.model_digest = model_digest
        self.sitting = sitting
        self._node = node
        self.knows_cases = specs.knows_cases(settings.model)
        self._digests: dict[tuple[str, str, str], dict[str, str]] = {}
        self._packs: dict[Path, dict[str, bytes]] = {}

    def key(self, job: Job) -> Key:
        """What identifies the run."""
        return Key(
            model=self._settings.model.name,
            framework=job.framework.name,
            task=job.task.name,
            case=job.name,
            trial=job.trial,
        )

    def has(self, job: Job, traces: Traces) -> bool:
        """Whether a usable trace of this run is there.

        Where only the expectation of the case has changed since, the trace takes the new one.
        """
        store = store_of(traces)
        trace, case = self.usable(job, store.folder), case_as_data(job.case)
        if trace is not None and trace.case != case:
            store.update(trace.model_copy(update={"case": case}))
        return trace is not None

    def usable(self, job: Job, traces: Path) -> Trace | None:
        """The trace of this run, if it is there with the same code, lock, task, model, limits and question.

        One that ended by another fault than the framework's or the model's is none.
        """
        trace = self._recorded(traces, self.key(job))
        if not isinstance(trace, Trace) or trace.key != self.key(job) or trace.outcome.fault is not None:
            return None
        setup = self.setup(job, trace.setup.python)
        depends_on = {
            *("implementation_digest", "lock_digest", "task_digest", "model_digest"),
            *("temperature", "max_model_calls", "timeout_s"),
        }
        known = {name: since(getattr(trace.setup, name)) for name in ("task_digest", "model_digest", "lock_digest")}
        recorded = trace.setup.model_copy(update=known)
        if setup.model_dump(include=depends_on) != recorded.model_dump(include=depends_on):
            return None
        try:
            asked = type(job.case).model_validate(trace.case)
        except ValidationError:
            return None
        if asked.inputs() != job.case.inputs() or (self.knows_cases and trace.case != case_as_data(job.case)):
            return None
        return trace

    def _recorded(self, traces: Path, key: Key) -> Trace | DamagedTrace:
        """The trace of this key, single or packed."""
        single, pack = trace_path(traces, key), packs.pack_path(traces, key)
        if single.exists():
            return read_trace(single)
        if pack not in self._packs:
            self._packs[pack] = {}
            with contextlib.suppress(packs.PackError):
                self._packs[pack] = packs.lines(pack)
        line = self._packs[pack].get(f"{key.case}.{key.trial}")
        return read_trace(single) if line is None else trace_in(line, pack)

    def setup(self, job: Job, python: str) -> Setup:
        """What the run's result depends on, and where it is made."""
        commit, dirty = _git()
        of = (job.framework.name, job.module, job.task.name)
        if of not in self._digests:
            self._digests[of] = {
                "implementation_digest": implementation_digest(job.framework, job.module),
                "lock_digest": lock_digest(job.framework.environment),
                "task_digest": task_digest(job.task),
            }
        recording = job.recording
        limits = recording.setup if recording else self._settings
        return Setup(
            framework_version=job.framework.version,
            harness_version=version("bakeoff"),
            **self._digests[of],
            model_digest=recording_digest(recording) if recording else self.model_digest,
            git_commit=commit,
            git_dirty=dirty,
            python=python,
            platform=f"{platform.system()} {platform.machine()}",
            cpu=_cpu(),
            cpu_cores=os.cpu_count() or 1,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            temperature=limits.temperature,
            max_model_calls=limits.max_model_calls,
            timeout_s=limits.timeout_s if job.timeout_s is None else job.timeout_s,
            jobs=self._settings.jobs,
            replayed_model=recording.key.model if recording else None,
            event_loop=_event_loop(),
            sitting=self.sitting,
            node=self._node,
        )

    def missing(self, jobs: Sequence[Job], traces: Traces) -> list[Job]:
        """The jobs that are not recorded already; of jobs that belong together all or none."""
        incomplete = [group for group in groups(jobs) if not all(self.has(job, traces) for job in group)]
        return [job for group in incomplete for job in group]


def case_as_data(case: Case) -> dict[str, Any]:
    """The case as JSON data, the form in which traces hold it: without what is as it is by default, but for a level
    that was given, since a case without one is of nobody knows which."""
    data: dict[str, Any] = json.loads(case.model_dump_json(exclude_defaults=True))
    return data | ({"level": case.level} if "level" in case.model_fields_set else {})


def bring_up(store: Store, models: Sequence[str], console: Console) -> None:
    """Before runs of these models are made, send what an earlier command could not send, and fetch what is new.

    Raises `Mistake`, `Failure`.
    """
    if store.elsewhere:
        with UnderWay(console) as under_way, under_way.doing(f"{store.url}: fetching what is new there"):
            store.send()
            store.refresh(models)


@contextlib.contextmanager
def exclusive(traces: Path) -> Iterator[None]:
    """Keep other runs off these traces meanwhile; what one that was killed was writing is removed.

    Raises `Failure` where one is there already, `Mistake` where nothing can be written.
    """
    lock = FileLock(traces / ".lock")
    try:
        traces.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise Failure(
            f"{shown_path(traces)}: another `bakeoff run` is writing there; wait for it, or give --traces"
        ) from None
    except OSError as error:
        raise Mistake(f"--traces {shown_path(traces)}: cannot be written: {error.strerror}") from None
    try:
        sweep(traces.rglob(".*.tmp"))
        yield
    finally:
        lock.release()
