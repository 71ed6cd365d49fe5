"""Holds the requests to one endpoint back, so that its limits on requests, tokens and calls at once are kept."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from evaluator.providers.waiting import KEPT_FREE

_LATE_S = 0.025
"""Seconds. Requests that could have gone within the last so many go at once: the event loop wakes nobody in time. It is
less than `KEPT_FREE` of a second, so no second has more than its share of the limit."""

_TOKENS_S = 1.0
"""The same for tokens, of which each request takes another number."""

_LEARNS = 0.2
"""Share of the newest reply in what is known of how many of the estimated tokens are used."""

_LEAST_USED = 0.01
"""Share of the estimated tokens that a request is taken to use at least."""


@dataclass(frozen=True)
class RateLimits:
    """The limits of one endpoint; None is no limit.

    `rpm` are requests a minute, `tpm` tokens a minute, of prompts and outputs together, `concurrency` requests under
    way at once.
    """

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None

    def __bool__(self) -> bool:
        """Whether there is any."""
        return (self.rpm, self.tpm, self.concurrency) != (None, None, None)


class Limiter(Protocol):
    """What is asked before each request to an endpoint, and told after it."""

    async def enter(self, tokens: int) -> None:
        """Wait until one more request of about so many tokens may go. First come, first served."""
        ...

    async def leave(self, estimated: int, used: int | None) -> None:
        """A request is over that was entered with `estimated` tokens; `used` is what it took, if that is known."""
        ...

    async def slow_down(self, seconds: float) -> None:
        """The server said to come back in so many seconds: nobody begins before."""
        ...


class _Bucket:
    """What may go at once: it fills evenly up to `capacity`, and may be drawn below zero."""

    def __init__(self, a_minute: int, capacity_s: float, least: float, now: float) -> None:
        self._rate = a_minute / 60 * (1 - KEPT_FREE)
        self._capacity = least + self._rate * capacity_s
        self._level = self._capacity
        self._at = now

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much may go. What is larger than the bucket goes when that is full, and leaves a debt."""
        self.take(0, now)
        return max(min(amount, self._capacity) - self._level, 0.0) / self._rate

    def take(self, amount: float, now: float) -> None:
        """Take so much out, or put it back where it is negative."""
        filled = self._level + (now - self._at) * self._rate
        self._level, self._at = min(filled - amount, self._capacity), now


class LocalLimiter(Limiter):
    """A `Limiter` within one process and one event loop.

    Requests go evenly: of twenty a second, one each 50 ms and a little. No minute has more than the limit, nor has any
    second more than its share; but a request that is larger than a second's share of the tokens goes all the same once
    nothing is owed, and is owed then. While requests are under way their tokens are taken to be the estimated ones,
    times the share of estimates that was used lately; then they are corrected.

    No library does this: `aiolimiter` lets a whole minute's requests go at once, serves small amounts first, and takes
    neither corrections nor a pause.
    """

    def __init__(
        self,
        limits: RateLimits,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        now = clock()
        self._requests = None if limits.rpm is None else _Bucket(limits.rpm, _LATE_S, 1.0, now)
        self._tokens = None if limits.tpm is None else _Bucket(limits.tpm, _TOKENS_S, 0.0, now)
        self._concurrency = limits.concurrency
        self._under_way = 0
        self._not_before = now
        self._used_share = 1.0
        self._taken: defaultdict[int, deque[float]] = defaultdict(deque)
        self._turn = asyncio.Lock()  # its waiters come in turn
        self._looks_again: asyncio.Future[None] | None = None

    async def enter(self, tokens: int) -> None:
        """See `Limiter`. Given up, it was never there."""
        async with self._turn:
            while not self._has_room() or self._wait_s(tokens) > 0:
                await self._until_looking_again(self._wait_s(tokens) if self._has_room() else None)
            now = self._clock()
            self._under_way += 1
            if self._requests is not None:
                self._requests.take(1, now)
            if self._tokens is not None:
                taken = tokens * self._used_share
                self._tokens.take(taken, now)
                self._taken[tokens].append(taken)

    async def leave(self, estimated: int, used: int | None) -> None:
        """See `Limiter`."""
        self._under_way -= 1
        if self._tokens is not None:
            taken = self._taken[estimated].popleft()  # those of one estimate are all alike
            if not self._taken[estimated]:
                del self._taken[estimated]
            if used is not None:
                self._tokens.take(used - taken, self._clock())
                if used and estimated:
                    share = max(used / estimated, _LEAST_USED)
                    self._used_share += _LEARNS * (share - self._used_share)
        if self._looks_again is not None:
            self._looks_again.cancel()

    async def slow_down(self, seconds: float) -> None:
        """See `Limiter`."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    def _has_room(self) -> bool:
        return self._concurrency is None or self._under_way < self._concurrency

    def _wait_s(self, tokens: int) -> float:
        """Seconds until a request may go, as far as it is known now."""
        now = self._clock()
        waits = [self._not_before - now, 0.0]
        if self._requests is not None:
            waits.append(self._requests.wait_s(1, now))
        if self._tokens is not None:
            waits.append(self._tokens.wait_s(tokens * self._used_share, now))
        return round(max(waits), 6)  # what is less than a microsecond is none

    async def _until_looking_again(self, seconds: float | None) -> None:
        """Wait so long, or until a request leaves; None is for no time of its own."""
        if seconds is None:
            self._looks_again = asyncio.get_running_loop().create_future()
        else:
            self._looks_again = asyncio.ensure_future(self._slept(seconds))
        try:
            await asyncio.wait([self._looks_again])
        finally:
            self._looks_again.cancel()
            self._looks_again = None

    async def _slept(self, seconds: float) -> None:
        await self._sleep(seconds)
