"""What harnesses share: one worker a framework, and the embedding model."""

import asyncio
import contextlib
from collections.abc import Sequence

from rich.console import Console

from evaluator.catalog.frameworks import Framework, hardened, implements
from evaluator.catalog.tasks import all_tasks
from evaluator.files import own_folder
from evaluator.harness.jobs import Settings
from evaluator.harness.process import Worker, sweep_scratch
from evaluator.harness.watch import Watch
from evaluator.models.embedding import Embedder
from evaluator.models.upstreams.http import Server


class Pool:
    """What harnesses can share: one worker a framework, and the embedding model. An async context manager.

    `watch`, if given, sees what the workers do.
    """

    def __init__(
        self, settings: Settings, task_names: Sequence[str], console: Console, watch: Watch | None = None
    ) -> None:
        self._settings = settings
        self._task_names = list(task_names)
        self._console = console
        self.watch = watch
        self.embedder: Embedder | None = None
        self._workers: dict[str, Worker] = {}
        self._starting: dict[str, asyncio.Lock] = {}
        self._logs = settings.logs
        self._while_open = contextlib.ExitStack()

    async def __aenter__(self) -> "Pool":
        await asyncio.to_thread(sweep_scratch)
        self._logs = self._while_open.enter_context(own_folder(self._settings.logs))
        self.embedder = await asyncio.to_thread(_embedder, self._task_names, self._console)
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers.values():
            await worker.stop()
        self._while_open.close()

    async def worker(self, framework: Framework) -> Worker:
        """The framework's worker, started if need be; one that cannot start comes back dead."""
        worker = self._workers.get(framework.name)
        if worker is None:
            log = self._logs / f"{framework.name}.log"
            modules = [*self._task_names, *(map(hardened, self._task_names) if self._settings.hardened else ())]
            modules = [name for name in modules if implements(framework, name)]
            endpoint = self._settings.model.endpoint
            redactor = Server(endpoint).redactor if endpoint else None
            worker = Worker(framework, modules, log, self._settings.memory_limit_mb, self.watch, redactor)
            self._workers[framework.name] = worker
        async with self._starting.setdefault(framework.name, asyncio.Lock()):
            if not worker.alive and (not worker.start_error or worker.killed_at_start):
                await worker.start()
        return worker


def _embedder(task_names: Sequence[str], console: Console) -> Embedder | None:
    """The embedding model, if a task has documents.

    It knows their vectors before the first run, so that no framework pays for coming first.
    """
    loaders = [task.load_documents for name, task in all_tasks().items() if name in task_names]
    passages = [document.passage for load in loaders if load for document in load()]
    if not passages:
        return None
    embedder = Embedder(console)
    embedder.know(passages)
    return embedder
