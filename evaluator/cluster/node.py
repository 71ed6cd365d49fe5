"""One node of a cluster: its environments, its model, its gateway and its workers, asked in plain data."""

import asyncio
import contextlib
import io
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rich.console import Console

from evaluator import ROOT
from evaluator.catalog.digests import digest_of
from evaluator.catalog.suites import all_suites
from evaluator.cluster.described import Described, framework_named, with_key
from evaluator.errors import Failure, Mistake
from evaluator.harness.engine import Made
from evaluator.harness.environments import Locked, provision
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.limiter import Limiter
from evaluator.harness.process import sweep_scratch
from evaluator.harness.records import Records
from evaluator.harness.runner import Harness, ModelGoneError, NotMadeError, harness
from evaluator.stores import store_at
from evaluator.trace import Trace, content_digest, content_of

_CLOSED = "the node was closed meanwhile"


@dataclass(frozen=True)
class Opening:
    """What a node needs to know for the runs of one command against one model.

    `name` is its own in traces. The settings have no key. `traces` is the URL or folder of the store; while the command
    runs, a folder has a file `mark` in it, by which a node sees that it is the same one.
    """

    settings: Settings
    modules: tuple[str, ...]
    model_digest: str
    sitting: str
    traces: str
    mark: str | None
    name: str = ""


@dataclass(frozen=True)
class Result:
    """What became of a run: it was `made`, or `not_made` by nobody's fault, or the model is `gone`."""

    made: Made | None = None
    digest: str | None = None
    not_made: str | None = None
    gone: str | None = None


class Node:
    """What a node does. `prepare` once a command, then `open`, `run` as often as there is room, and `close`.

    Nothing is raised that the driver should tell a user: it comes back as a line.
    """

    def __init__(self) -> None:
        self._opened: contextlib.AsyncExitStack | None = None
        self._under_way: set[asyncio.Task[Trace]] = set()

    async def prepare(self, code: str, frameworks: Sequence[str], suites: Sequence[str]) -> str | None:
        """Make the environments that are not there. Gives why this node cannot be used, if so."""
        if code != code_digest():
            return "its checkout is another one; bring it to the same commit, without changes of its own"
        try:
            await asyncio.to_thread(sweep_scratch)
            locked: list[Locked] = [*map(framework_named, frameworks), *(all_suites()[name] for name in suites)]
            for one in locked:
                await provision(one, lambda line: None)
        except (Mistake, Failure) as error:
            return str(error)
        except Exception as error:  # a disk that is full, say: of this node alone
            return f"{type(error).__name__}: {error}"
        return None

    async def open(self, opening: Opening, key: str | None, limiter: Limiter | None) -> str | None:
        """Bring up the model, the gateway and the workers. Gives why that cannot be done, if so.

        The key is for the model's server, and comes by itself: what `Opening` has may be seen by anybody.
        """
        await self.close()
        settings = with_key(opening.settings, key)
        records = Records(settings, opening.model_digest, sitting=opening.sitting, node=opening.name)
        async with contextlib.AsyncExitStack() as opened:
            try:
                self._store = store_at(opening.traces)
                if opening.mark is not None and not (self._store.folder / opening.mark).exists():
                    return f"{opening.traces} is another folder there: --traces must be one that all share, or a URL"
                await asyncio.to_thread(self._store.send)  # what a node could not send before
                quiet = Console(file=io.StringIO())
                self._harness: Harness = await opened.enter_async_context(
                    harness(settings, opening.modules, quiet, records=records, limiter=limiter)
                )
            except (Mistake, Failure) as error:
                return str(error)
            self._opened = opened.pop_all()
        self._model, self._sitting = settings.model.name, opening.sitting
        self._slots = asyncio.Semaphore(settings.jobs)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        return None

    async def run(self, described: Described) -> Result:
        """Make a run, one at a time for each framework, and write its trace into the store."""
        job = described.job(self._model)
        if described.again and (before := await asyncio.to_thread(self._written, job)) is not None:
            return _result(before)
        if self._opened is None:
            return Result(not_made=_CLOSED)
        made = asyncio.create_task(self._in_turn(described.framework, job))
        self._under_way.add(made)
        made.add_done_callback(self._under_way.discard)
        try:
            trace = await made
        except NotMadeError as error:
            return Result(not_made=str(error))
        except ModelGoneError as gone:
            return Result(gone=str(gone))
        except asyncio.CancelledError:
            return Result(not_made=_CLOSED)
        if not await asyncio.to_thread(self._store.write, trace):
            before = await asyncio.to_thread(self._written, job)
            trace = trace if before is None else before
        return _result(trace)

    async def _in_turn(self, framework: str, job: Job) -> Trace:
        async with self._turns[framework], self._slots:
            return await self._harness.run(job)

    async def close(self) -> None:
        """Bring down what `open` has brought up, if anything. Runs that are under way come to nothing: what becomes of
        them as their worker is stopped is no result of the framework's."""
        for run in self._under_way:
            run.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened.aclose()

    def _written(self, job: Job) -> Trace | None:
        """The trace of this run that another node has written for the same command."""
        trace = self._store.read(self._harness.records.key(job))
        return trace if trace is not None and trace.setup.sitting == self._sitting else None


def _result(trace: Trace) -> Result:
    return Result(made=Made.of(trace), digest=content_digest(content_of(trace)))


@cache
def code_digest() -> str:
    """Digest of all that runs depend on here: the tasks, the implementations with their locks, and what measures
    them."""
    return digest_of([ROOT / "uv.lock", *(path for folder in _CODE for path in _files_below(ROOT / folder))])


_CODE = ("evaluator", "tasks", "implementations")


def _files_below(folder: Path) -> Iterator[Path]:
    """All files but those of environments, of caches and of editors."""
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        yield from (Path(at) / name for name in names if not name.startswith("."))
