"""Makes a run: a small job in, one trace out, with a model behind a gateway and workers that are up already."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from evaluator.harness.environments import installed
from evaluator.harness.gateway import Gateway, GatewayRun
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.limiter import Limiter, LocalLimiter
from evaluator.harness.pool import Pool
from evaluator.harness.process import KilledError, Worker, WorkerError
from evaluator.harness.records import Records, case_as_data
from evaluator.models import specs
from evaluator.models.embedding import MODEL_NAME as EMBEDDING_NAME
from evaluator.models.upstreams.replay import recorded_name
from evaluator.trace import (
    Ended,
    Fault,
    ModelCall,
    ReportedUsage,
    Resources,
    RunOutcome,
    Setup,
    Trace,
    TracedToolCall,
)
from evaluator.wire import failures
from evaluator.wire.usage import MOST_TOKENS
from evaluator.worker import protocol
from tasks.base import Model

GRACE_S = 5.0
"""How long after its time limit a run may still report that it has ended."""


class NotMadeError(RuntimeError):
    """A run could not be made, by nobody's fault whom it measures; nothing is recorded. The message is for people."""


class ModelGoneError(RuntimeError):
    """The model's server was out of reach, broke off, or refuses every run alike: no framework's fault, so nothing
    is recorded."""


class Harness:
    """A model behind a gateway, and workers. Use `harness()` to make one."""

    def __init__(self, settings: Settings, records: Records, gateway: Gateway, pool: Pool) -> None:
        self._settings = settings
        self.records = records
        self._gateway = gateway
        self._pool = pool

    @property
    def waiting_since(self) -> list[float]:
        """Since when each of the model calls waits that wait for a limit now, in monotonic seconds."""
        return self._gateway.waiting_since

    async def run(self, job: Job) -> Trace:
        """Make one run. Whatever the framework does, this gives a trace of it.

        Raises `ModelGoneError` where the model's server fails, and `NotMadeError` where the machine ends the worker
        before it is ready.
        """
        worker = await self._pool.worker(job.framework)
        if worker.killed_at_start:
            raise NotMadeError(f"{job.framework.name}: {worker.start_error}")
        setup = self.records.setup(job, worker.python)
        live = self._gateway.open_run(job.script(), setup.max_model_calls, setup.timeout_s)
        calls: list[protocol.ToolCall] = []
        asked = time.monotonic()
        fault: Fault | None = None
        try:
            done = await self._made(worker, live, job, setup, calls)
        except KilledError as killed:
            done, fault = protocol.Done(run=live.token, error=str(killed)), "machine"
        finally:
            self._gateway.close_run(live.token)
        if live.upstream_failure:
            raise ModelGoneError(live.upstream_failure)
        start = asked if done.start is None else done.start
        end = time.monotonic() if done.end is None else done.end
        model_calls = live.model_calls(start)
        chats = [call for call in model_calls if call.operation == "chat"]
        if why := failures.same_for_all(chats):
            raise ModelGoneError(why)
        ended = _ended(live, done, end - start - live.waited_s(start, end), setup)
        if ended == "answered" and not done.answer and self._server_failure(chats):
            ended, done = "error", done.model_copy(update={"error": "the framework took that for an empty answer"})
        error = None if ended == "answered" else self._error(_why(ended, done, setup), chats)
        if complaint := live.session.complaint():
            ended, error = "error", _also(complaint, done.error)
        if live.gateway_failed:
            fault = "harness"
        elif ended == "error" and chats and not self.records.knows_cases and failures.is_the_servers(chats[-1]):
            fault = "server"
        found = installed(job.framework)
        clean = live.session.without_secrets
        return Trace(
            key=self.records.key(job),
            setup=setup,
            case=case_as_data(job.case),
            model_calls=live.session.annotated(model_calls),
            tool_calls=[traced(call, start, clean) for call in calls],
            outcome=RunOutcome(
                ended=ended,
                answer=clean(done.answer),
                error=clean(error),
                refused_calls=live.refused_calls,
                fault=fault,
                final_state=clean(done.final_state),
            ),
            reported_usage=reported(done),
            resources=Resources(
                wall_s=round(end - start, 6),
                cpu_s=done.cpu_s,
                import_s=worker.import_s,
                memory_after_import_mb=worker.memory_after_import_mb,
                peak_memory_mb=done.peak_memory_mb,
                packages=found.packages if found else None,
                installed_mb=found.installed_mb if found else None,
            ),
            hardened=job.hardened,
            injected=job.injected and job.injected.model_copy(update={"came": live.session.faults_played}),
        )

    def _error(self, why: str, chats: Sequence[ModelCall]) -> str:
        """Why the run ended, after what the model's server said if the last call failed there."""
        said = self._server_failure(chats)
        return f"{said}; {why}" if said else why

    def _server_failure(self, chats: Sequence[ModelCall]) -> str | None:
        """In one line what went wrong at the model's server with the last call, if anything did."""
        return failures.failure(chats[-1]) if chats and not self.records.knows_cases else None

    async def _made(
        self, worker: Worker, live: GatewayRun, job: Job, setup: Setup, calls: list[protocol.ToolCall]
    ) -> protocol.Done:
        """How the run ended by the worker's account, or what became of the worker."""
        if worker.start_error:
            return protocol.Done(run=live.token, error=worker.start_error)
        name = recorded_name(job.recording) if job.recording else self._settings.model.sent_name
        model = model_handle(name, self._gateway.base_url(live), setup, live.may_wait_s)
        if self._pool.watch is not None:
            self._pool.watch.allow(model.base_url)
        request = protocol.Job(
            run=live.token,
            module=job.module,
            spec=job.task.prepare.__module__,
            case=case_as_data(job.case),
            model=model,
            faulty=job.faulty,
        )
        try:
            if not self._gateway.is_limited:
                return await worker.request(request, calls.append, model.timeout_s + GRACE_S)
            left = partial(_time_left_s, live)
            return await worker.request(request, calls.append, GRACE_S, time_left_s=left)
        except TimeoutError:
            return protocol.Done(run=live.token, error="timeout")
        except KilledError:
            raise
        except WorkerError as error:
            return protocol.Done(run=live.token, error=str(error))


def _time_left_s(live: GatewayRun) -> float:
    return live.time_left_s(time.monotonic())


def model_handle(name: str, base_url: str, limits: Setup | Settings, may_wait_s: float = 0.0) -> Model:
    """What an implementation is given to reach the model of this name, under these limits.

    A run whose calls may wait so long for the model's server keeps its time by the harness: neither the worker nor a
    client in it knows of the waiting.
    """
    return Model(
        name=name,
        base_url=base_url,
        api_key="none-needed",
        embedding_name=EMBEDDING_NAME,
        temperature=limits.temperature,
        max_model_calls=limits.max_model_calls,
        timeout_s=limits.timeout_s + may_wait_s,
    )


def _ended(live: GatewayRun, done: protocol.Done, wall_s: float, setup: Setup) -> Ended:
    """How the run ended. The limits count whatever the framework made of them."""
    if live.refusal is not None:
        return live.refusal
    if done.error == "timeout" or wall_s > setup.timeout_s:
        return "timeout"
    if done.error is None:
        return "answered"
    return "call_limit" if live.chat_calls >= setup.max_model_calls and not live.last_failed else "error"


def _why(ended: Ended, done: protocol.Done, setup: Setup) -> str:
    if ended == "timeout":
        return f"no answer after {setup.timeout_s:.0f} s"
    if ended == "call_limit":
        return f"no answer after {setup.max_model_calls} model calls"
    return str(done.error)


def _also(complaint: str, error: str | None) -> str:
    """What an upstream complains of, and the framework's own error where that is another one."""
    return complaint if error is None or complaint in error else f"{complaint}; it ended with {error}"


def reported(done: protocol.Done) -> ReportedUsage | None:
    """The framework's own count, where it gave one that can be a count."""
    if done.reported_usage is None:
        return None
    input_tokens, output_tokens = done.reported_usage
    try:
        usage = ReportedUsage.model_validate({"input_tokens": input_tokens, "output_tokens": output_tokens})
    except ValidationError:
        return None
    return usage if all(0 <= count <= MOST_TOKENS for count in (usage.input_tokens, usage.output_tokens)) else None


def traced(call: protocol.ToolCall, start: float, clean: Callable[[Any], Any]) -> TracedToolCall:
    """A tool call as a trace has it, timed from `start`; `clean` takes secrets out."""
    fields = {name: clean(getattr(call, name)) for name in ("agent", "name", "arguments", "result", "error")}
    return TracedToolCall(**fields, start_s=round(call.start - start, 6), end_s=round(call.end - start, 6))


@contextlib.asynccontextmanager
async def harness(
    settings: Settings,
    task_names: Sequence[str],
    console: Console,
    *,
    pool: Pool | None = None,
    records: Records | None = None,
    limiter: Limiter | None = None,
) -> AsyncIterator[Harness]:
    """Bring up the model and the gateway; whatever happens, nothing of it outlives this.

    With a `pool`, its workers and its embedding model are used, and live on. The `limiter` is asked before each model
    call; without one, the limits of the settings are kept by one of this harness's own, if there are any.
    """
    async with contextlib.AsyncExitStack() as opened:
        if pool is None:
            pool = await opened.enter_async_context(Pool(settings, task_names, console))
        if records is None:
            records = Records(settings, await asyncio.to_thread(specs.digest, settings.model, console))
        upstream = await opened.enter_async_context(specs.running(settings.model, console))
        if limiter is None and settings.limits is not None:
            limiter = LocalLimiter(settings.limits)
        names = [settings.model.sent_name, EMBEDDING_NAME]
        gateway = await opened.enter_async_context(Gateway(upstream, pool.embedder, names, limiter))
        yield Harness(settings, records, gateway, pool)
