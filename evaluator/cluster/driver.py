"""The engine `ray`: an actor on each node of a cluster makes runs, this process gives them out.

Ray is asked to place actors and to call them, and for nothing else: what is made already is known from the store of
traces alone.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console

from evaluator.catalog.suites import all_suites
from evaluator.cluster.described import Described, without_key
from evaluator.cluster.limits import Asked, SharedLimits
from evaluator.cluster.node import Node, Opening, Result, code_digest
from evaluator.cluster.placing import LostError, Placing
from evaluator.errors import Failure, Mistake
from evaluator.harness.engine import Begin, Engine, Round, Runs
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.progress import UnderWay
from evaluator.harness.records import Records
from evaluator.stores import Store, Traces, store_of
from evaluator.trace import content_digest, trace_path

# Under `uv run` Ray would have each of its processes make the environment anew, and wait for that without a word.
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError:
    raise Mistake("--engine ray needs Ray: `uv sync --extra ray` in the checkout of every node") from None

NAMESPACE = "bakeoff"

LOOKS_S = 5.0
"""How often this looks for nodes that have come."""

COMES_UP_S = 600.0
"""How long a node may take to make its environments, and a cluster without nodes to get one."""

LOSSES = 5
"""How often a node may be lost before it is left out."""

_AT_ONCE = 1_000_000
"""Calls that an actor takes at once: those that wait must not keep out one that lets them in."""

_FETCHES_S, _SPARES = 10.0, 20
"""What nodes wrote elsewhere is fetched every so many seconds at most, and so many times what that takes."""

_CLOSES_S = 15.0
"""How long nodes may take to end their workers in good order."""


@contextlib.contextmanager
def connected(address: str) -> Iterator["Cluster"]:
    """The cluster at an address as Ray takes it: `auto`, `ray://…`, or `local` for one of this machine alone.

    Raises `Mistake` where none can be reached.
    """
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    _must_listen(address)
    alone = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False, **alone)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise _not_reached(address, str(error).strip().partition("\n")[0]) from None
    finally:
        for number, handler in heard.items():  # Ray has put its own in their place
            signal.signal(number, handler)
    try:
        yield Cluster()
    finally:
        ray.shutdown()


def _must_listen(address: str) -> None:
    """Raises `Mistake` where nobody listens at a host and port: Ray would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise _not_reached(address, error.strerror or str(error)) from None


def _not_reached(address: str, why: str) -> Mistake:
    token = "" if os.environ.get("RAY_AUTH_MODE") else "; if it asks for a token, export RAY_AUTH_MODE=token here, too"
    return Mistake(f"--address {address}: no cluster can be reached there: {why}{token} (see docs/cluster.md)")


@dataclass(frozen=True)
class _Member:
    """A node with the actor that makes its runs. `incarnation` tells that actor from others that the node had."""

    node_id: str
    actor: Any
    incarnation: str

    @property
    def name(self) -> str:
        return short(self.node_id)

    async def run(self, job: Job, again: bool) -> Result:
        result: Result = await self.asked(self.actor.run.remote(replace(Described.of(job), again=again)))
        return result

    @contextlib.contextmanager
    def ended_unless_ready(self) -> Iterator[None]:
        """End the actor where something goes wrong in here, or it is given up."""
        try:
            yield
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the actor, if it is still there."""
        with contextlib.suppress(RayError):
            ray.kill(self.actor)

    async def asked(self, reference: Any) -> Any:
        """What the actor answers. Raises `LostError`, and `Failure` where it failed itself."""
        try:
            return await reference
        except RayTaskError as error:
            raise Failure(f"node {self.name}: {type(error.cause).__name__}: {error.cause}") from None
        except RayError:
            raise LostError(self.name) from None


def short(node_id: str) -> str:
    """What a node is called in traces and for people: the beginning of what Ray calls it."""
    return node_id[:12]


class Cluster(Engine):
    """The nodes of a cluster that is connected."""

    def __init__(self) -> None:
        self.losses: Counter[str] = Counter()
        self.refused: dict[str, str] = {}
        self._needed: tuple[list[str], list[str]] = ([], [])
        self._ready: dict[str, _Member] = {}

    async def prepare(self, jobs: Sequence[Job], console: Console, say: Callable[[str], None]) -> None:
        """Have each node make the environments that it lacks, from the locks of its checkout."""
        suites = {job.task.name for job in jobs} & {*all_suites()}
        self._needed = sorted({job.framework.name for job in jobs}), sorted(suites)
        self.refused.clear()
        self._ready.clear()
        node_ids = await alive()
        nodes = "1 node" if len(node_ids) == 1 else f"{len(node_ids)} nodes"
        with UnderWay(console) as under_way, under_way.doing(f"ray: making environments on {nodes}"):
            ready = await asyncio.gather(*map(self.member, node_ids), return_exceptions=True)
        for node_id, why in self.refused.items():
            say(f"ray: node {short(node_id)} is left out: {why}")
        for node_id, one in zip(node_ids, ready, strict=True):
            if isinstance(one, BaseException) and node_id not in self.refused:
                say(f"ray: node {short(node_id)} was lost before it was ready")
        self._ready = {member.node_id: member for member in ready if isinstance(member, _Member)}
        if not self._ready:
            raise Failure("ray: no node can make runs")
        say(f"ray: {len(self._ready)} of {nodes} ready")

    async def member(self, node_id: str) -> _Member:
        """The node with its environments. Raises `LostError` where it cannot be used, or is no more; `TimeoutError`."""
        if (ready := self._ready.pop(node_id, None)) is not None:
            return ready
        actor = _actor(Node, on=node_id)
        member = _Member(node_id, actor, f"{short(node_id)}-{secrets.token_hex(4)}")
        with member.ended_unless_ready():
            async with asyncio.timeout(COMES_UP_S):
                why = await member.asked(actor.prepare.remote(code_digest(), *self._needed))
            if why is not None:
                self.refused[node_id] = why
                raise LostError(member.name)
        return member

    @contextlib.asynccontextmanager
    async def opened(
        self, settings: Settings, modules: Sequence[str], records: Records, traces: Traces, console: Console
    ) -> AsyncIterator["_OnNodes"]:
        """A model, a gateway and workers on each node; one that comes later takes part once it is ready."""
        assert records.sitting is not None
        store = store_of(traces)
        mark = None if store.elsewhere else store.folder / f".{records.sitting}.mark"
        endpoint = settings.model.endpoint
        limits = None
        if settings.limits is not None:
            limits = _actor(
                SharedLimits, settings.limits, on=ray.get_runtime_context().get_node_id(), or_elsewhere=True
            )
        opening = Opening(
            settings=without_key(settings),
            modules=tuple(modules),
            model_digest=records.model_digest,
            sitting=records.sitting,
            traces=store.url if store.elsewhere else str(store.folder.resolve()),
            mark=None if mark is None else mark.name,
        )
        on_nodes = _OnNodes(self, opening, endpoint.key if endpoint else None, limits, records, store)
        if mark is not None:
            mark.touch()
        looking = asyncio.create_task(on_nodes.look_for_nodes())
        try:
            yield on_nodes
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await on_nodes.close()
            if mark is not None:
                mark.unlink(missing_ok=True)


def _actor(kind: type, *arguments: object, on: str, or_elsewhere: bool = False) -> Any:
    """An actor on this node, or on another if it has to be."""
    affinity = NodeAffinitySchedulingStrategy(on, soft=or_elsewhere)
    options = {"num_cpus": 0, "max_concurrency": _AT_ONCE, "scheduling_strategy": affinity}
    return ray.remote(kind).options(**options).remote(*arguments)


async def alive() -> list[str]:
    """The nodes of the cluster that make anything: one that was started without processors does not."""
    nodes = await asyncio.to_thread(ray.nodes)
    return sorted(node["NodeID"] for node in nodes if node["Alive"] and node["Resources"].get("CPU"))


@dataclass
class _OnNodes(Runs):
    """The runs of a command against one model, on the nodes of a cluster."""

    cluster: Cluster
    opening: Opening
    key: str | None
    limits: Any
    records: Records
    store: Store
    _members: dict[str, _Member] = field(default_factory=dict)
    _coming: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _look: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting_since: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._not_before = time.monotonic() + _FETCHES_S
        self._placing = Placing(self.opening.settings.jobs, self._lost)

    async def make(self, rounds: Iterator[Round | None], begin: Begin) -> None:
        """See `Runs`. In the end each trace that a node has written must be where traces are."""
        await self._placing.make(rounds, begin)
        await asyncio.to_thread(self._compare)

    @property
    def waiting_since(self) -> list[float]:
        """See `Runs`."""
        return self._waiting_since

    def caught_up(self) -> bool:
        """See `Runs`. From elsewhere it is fetched now and then, so that it takes little time from giving out runs."""
        if not self.store.elsewhere:
            return True
        start = time.monotonic()
        if start < self._not_before:
            return False
        self.store.refresh([self.opening.settings.model.name])
        now = time.monotonic()
        self._not_before = now + max(_FETCHES_S, _SPARES * (now - start))
        return True

    def _compare(self) -> None:
        """Raises `Failure` where a trace is not there, or is not what its node says."""
        self.store.refresh([self.opening.settings.model.name])
        for job, digest in self._placing.written:
            path = trace_path(self.store.folder, self.records.key(job))
            if not path.is_file() or content_digest(path.read_bytes()) != digest:
                run = f"{job.framework.name} {job.task.name} {job.name}.{job.trial}"
                raise Failure(f"{self.store.url}: lacks what a node says that it has written there: {run}")

    async def look_for_nodes(self) -> None:
        """Let nodes take part as they come, and come again after they were lost."""
        since = time.monotonic()
        try:
            while True:
                self._look.clear()
                nodes = await alive()
                usable = [one for one in nodes if one not in self.cluster.refused and self.cluster.losses[one] < LOSSES]
                for node_id in usable:
                    if node_id not in self._members and node_id not in self._coming:
                        self._coming[node_id] = asyncio.create_task(self._comes(node_id))
                if self._members or self._coming:
                    since = time.monotonic()
                elif nodes or time.monotonic() - since > COMES_UP_S:
                    whys = "".join(f"; node {short(one)}: {why}" for one, why in self.cluster.refused.items())
                    lost = [one for one in nodes if self.cluster.losses[one] >= LOSSES]
                    whys += "".join(f"; node {short(one)} was lost {LOSSES} times" for one in lost)
                    self._placing.fail(Failure(f"ray: no node is left that can make runs{whys}"))
                if self.limits is not None:
                    now = time.monotonic()
                    self._waiting_since = [now - waits_s for waits_s in await self.limits.waits_s.remote()]
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOKS_S):
                        await self._look.wait()
        except (RayError, RuntimeError, OSError) as error:
            why = str(error).strip().partition("\n")[0]
            self._placing.fail(Failure(f"ray: the cluster, or what holds limits in it, is gone: {why}"))

    async def _comes(self, node_id: str) -> None:
        """Bring a node up, and give it runs."""
        try:
            member = await self.cluster.member(node_id)
            with member.ended_unless_ready():
                limiter = None if self.limits is None else Asked(self.limits, member.incarnation)
                opening = replace(self.opening, name=member.name)
                async with asyncio.timeout(COMES_UP_S):
                    why = await member.asked(member.actor.open.remote(opening, self.key, limiter))
                if why is not None:
                    raise Failure(why)
            self._members[node_id] = member
            self._placing.join(member)
        except (LostError, TimeoutError):
            self.cluster.losses[node_id] += 1
        except Failure as failure:
            self.cluster.refused[node_id] = str(failure)
        finally:
            del self._coming[node_id]
            self._look.set()

    async def _lost(self, member: _Member) -> None:
        """What a node had is no more; it may come again."""
        self.cluster.losses[member.node_id] += 1
        self._members.pop(member.node_id, None)
        member.end()
        if self.limits is not None:
            with contextlib.suppress(RayError):
                await self.limits.gone.remote(member.incarnation)
        self._look.set()

    async def close(self) -> None:
        """Let all nodes end their workers; those that do not are ended."""
        coming = list(self._coming.values())
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        members = self._members.values()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSES_S):
                await asyncio.gather(*(one.asked(one.actor.close.remote()) for one in members), return_exceptions=True)
        for member in members:
            member.end()
        if self.limits is not None:
            with contextlib.suppress(RayError):
                ray.kill(self.limits)
