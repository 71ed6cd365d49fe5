"""The limits of an endpoint, shared by all nodes: held by one actor, asked by the gateways."""

import asyncio
import time
from collections import defaultdict
from typing import Any

from evaluator.harness.limiter import Limiter, LocalLimiter, RateLimits


class SharedLimits:
    """Holds the limits for all nodes, and knows what each has under way, so that one that is lost takes nothing with
    it. What a node is called here is new each time it comes up."""

    def __init__(self, limits: RateLimits) -> None:
        self._limiter = LocalLimiter(limits)
        self._under_way: defaultdict[str, list[int]] = defaultdict(list)
        self._gone: set[str] = set()
        self._waiting: dict[object, float] = {}

    async def waits_s(self) -> list[float]:
        """For how long each of those waits that wait now."""
        now = time.monotonic()
        return [now - since for since in self._waiting.values()]

    async def enter(self, node: str, tokens: int) -> None:
        """See `Limiter`."""
        waits = object()
        self._waiting[waits] = time.monotonic()
        try:
            await self._limiter.enter(tokens)
        finally:
            del self._waiting[waits]
        self._under_way[node].append(tokens)
        if node in self._gone:
            await self.gone(node)

    async def leave(self, node: str, estimated: int, used: int | None) -> None:
        """See `Limiter`."""
        if estimated in self._under_way[node]:
            self._under_way[node].remove(estimated)
            await self._limiter.leave(estimated, used)

    async def slow_down(self, seconds: float) -> None:
        """See `Limiter`."""
        await self._limiter.slow_down(seconds)

    async def gone(self, node: str) -> None:
        """A node is no more: what it had under way is over."""
        self._gone.add(node)
        for estimated in self._under_way.pop(node, []):
            await self._limiter.leave(estimated, None)


class Asked(Limiter):
    """What a gateway asks on a node: the actor with a handle that is as Ray makes them."""

    def __init__(self, actor: Any, node: str) -> None:
        self._actor, self._node = actor, node
        self._given_up: set[asyncio.Task[None]] = set()

    async def enter(self, tokens: int) -> None:
        """See `Limiter`. Given up, what the actor grants nevertheless is given back."""
        entered = asyncio.ensure_future(self._actor.enter.remote(self._node, tokens))
        try:
            await asyncio.shield(entered)
        except asyncio.CancelledError:
            giving = asyncio.create_task(self._give_back(entered, tokens))
            self._given_up.add(giving)
            giving.add_done_callback(self._given_up.discard)
            raise

    async def leave(self, estimated: int, used: int | None) -> None:
        """See `Limiter`."""
        await self._actor.leave.remote(self._node, estimated, used)

    async def slow_down(self, seconds: float) -> None:
        """See `Limiter`."""
        await self._actor.slow_down.remote(seconds)

    async def _give_back(self, entered: "asyncio.Future[None]", tokens: int) -> None:
        await entered
        await self.leave(tokens, 0)
