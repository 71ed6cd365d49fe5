import asyncio
import contextlib
import heapq
import itertools
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from evaluator.harness.limiter import LocalLimiter, RateLimits


class Clock:
    """Time that passes only where everybody waits for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), woken))
        await woken

    async def until(self, moment: float) -> None:
        """Let time pass up to so many seconds after the start."""
        await settled()
        while self._sleepers and self._sleepers[0][0] <= 1000 + moment:
            at, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self.now = max(self.now, at)
                woken.set_result(None)
                await settled()
        self.now = 1000 + moment


async def settled() -> None:
    """Until nobody has anything to do but wait."""
    for _ in range(20):
        await asyncio.sleep(0)


class Scene:
    """A limiter on a clock of its own, and when its requests went."""

    def __init__(self, limits: RateLimits) -> None:
        self.clock = Clock()
        self.limiter = LocalLimiter(limits, self.clock, self.clock.sleep)
        self.went: list[tuple[float, str]] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def ask(self, name: str, tokens: int = 1, then: Callable[[], Awaitable[None]] | None = None) -> None:
        async def request() -> None:
            await self.limiter.enter(tokens)
            self.went.append((round(self.clock.now - 1000, 6), name))
            if then is not None:
                await then()

        self.tasks[name] = asyncio.create_task(request())

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.went]

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.went]


@contextlib.asynccontextmanager
async def scene(**limits: int) -> AsyncIterator[Scene]:
    made = Scene(RateLimits(**limits))
    try:
        yield made
    finally:
        for task in made.tasks.values():
            task.cancel()
        await asyncio.gather(*made.tasks.values(), return_exceptions=True)


async def test_requests_go_evenly_and_in_turn() -> None:
    async with scene(rpm=1200) as its:
        for number in range(1300):
            its.ask(f"{number}")
        await its.clock.until(60)
        step = 60 / (1200 * 0.97)
        assert its.times[:4] == pytest.approx([0, step - 0.025, 2 * step - 0.025, 3 * step - 0.025], abs=1e-5)
        assert its.names == [f"{number}" for number in range(len(its.names))]
        assert len(its.went) == 1165


@pytest.mark.parametrize("rpm", (1, 7, 60, 999))
async def test_no_minute_has_more_than_the_limit(rpm: int) -> None:
    async with scene(rpm=rpm) as its:
        for number in range(3 * rpm):
            its.ask(f"{number}")
        await its.clock.until(59)  # time in which nobody asks is not saved up
        for number in range(3 * rpm, 4 * rpm):
            its.ask(f"{number}")
        await its.clock.until(150)
        for number, start in enumerate(its.times):
            assert bisect_right(its.times, start + 60) - number <= rpm
        assert len(its.went) >= int(rpm * 2.5 * 0.96)


async def test_time_in_which_nobody_asks_is_not_saved_up() -> None:
    async with scene(rpm=60) as its:
        await its.clock.until(600)
        for number in range(5):
            its.ask(f"{number}")
        await its.clock.until(603.5)
        assert its.times == pytest.approx([600, 601.005, 602.036, 603.067], abs=0.001)


async def test_no_more_requests_than_allowed_are_under_way() -> None:
    async with scene(concurrency=2) as its:
        for name in "abcd":
            its.ask(name)
        await its.clock.until(5)
        assert its.names == ["a", "b"]
        await its.limiter.leave(1, None)
        await its.clock.until(6)
        assert its.went[2:] == [(5, "c")]
        await its.limiter.leave(1, None)
        await its.limiter.leave(1, None)
        await its.clock.until(7)
        assert its.went[3:] == [(6, "d")]


async def test_tokens_are_limited_and_a_request_larger_than_the_burst_goes_alone() -> None:
    async with scene(tpm=6000) as its:  # a hundred a second
        for name in "abc":
            its.ask(name, 1000)
        await its.clock.until(9.9)
        assert its.went == [(0, "a")]
        await its.clock.until(30)
        assert its.names == ["a", "b", "c"]
        assert its.times == pytest.approx([0, 10 / 0.97, 20 / 0.97])


async def test_a_small_request_does_not_overtake_a_large_one() -> None:
    async with scene(tpm=6000) as its:
        for name, tokens in (("first", 100), ("large", 5000), ("small", 1)):
            its.ask(name, tokens)
        await its.clock.until(100)
        assert its.names == ["first", "large", "small"]


async def test_tokens_that_were_not_used_are_given_back_to_who_waits() -> None:
    async with scene(tpm=6000) as its:
        its.ask("a", 1000)
        its.ask("b", 50)
        await its.clock.until(2)
        assert its.names == ["a"]
        await its.limiter.leave(1000, 200)  # 100 at once, 200 since, and what remains is owed by nobody
        await its.clock.until(2.1)
        assert its.went[1:] == [(2, "b")]


async def test_tokens_beyond_the_estimate_are_owed() -> None:
    async with scene(tpm=6000) as its:
        its.ask("a", 100)
        await settled()
        await its.limiter.leave(100, 1100)
        its.ask("b", 1)
        await its.clock.until(9)
        assert its.names == ["a"]
        await its.clock.until(11)
        assert its.names == ["a", "b"]


async def test_the_limit_on_tokens_is_reached_although_estimates_are_far_too_high() -> None:
    async with scene(tpm=60_000) as its:  # a thousand a second

        async def answered() -> None:
            await its.clock.sleep(2)
            await its.limiter.leave(4000, 500)

        for number in range(400):
            its.ask(f"{number}", 4000, answered)
        await its.clock.until(180)
        in_last_minute = 500 * sum(120 <= at < 180 for at in its.times)
        assert 0.95 * 60_000 <= in_last_minute <= 61_000


async def test_an_unknown_use_leaves_the_estimate_as_it_was() -> None:
    async with scene(tpm=6000) as its:
        its.ask("a", 1000)
        await settled()
        await its.limiter.leave(1000, None)
        its.ask("b", 1000)
        await its.clock.until(30)
        assert its.times == pytest.approx([0, 10 / 0.97])


async def test_nobody_begins_before_the_server_said_so() -> None:
    async with scene(rpm=1200) as its:
        for name in "abc":
            its.ask(name)
        await its.clock.until(0.04)
        await its.limiter.slow_down(3)
        await its.limiter.slow_down(1)  # what was said before holds
        its.ask("d")
        await its.clock.until(10)
        assert its.names == ["a", "b", "c", "d"]
        assert its.times[1] < 0.04 and its.times[2] == 3.04 < its.times[3] < 3.1


@pytest.mark.parametrize("rps", (1, 5, 20, 100))
async def test_it_keeps_the_limit_in_any_second_too_and_uses_nearly_all_of_it(rps: int) -> None:
    async with scene(rpm=rps * 60) as its:
        for number in range(rps * 70):
            its.ask(f"{number}")
        for moment in range(1, 6000):  # woken late now and then
            await its.clock.until(moment / 100)
        assert all(bisect_right(its.times, at + 1) - number <= rps for number, at in enumerate(its.times))
        assert len(its.went) >= 0.95 * rps * 60


@pytest.mark.parametrize("limits", ({"rpm": 60}, {"tpm": 60}, {"concurrency": 1}))
async def test_one_that_gives_up_was_never_there(limits: dict[str, int]) -> None:
    async with scene(**limits) as its:
        for name in "abcd":
            its.ask(name)
        await settled()
        its.tasks["b"].cancel()  # its turn was next
        its.tasks["c"].cancel()
        await settled()
        await its.limiter.leave(1, None)
        await its.clock.until(1.04)
        assert its.names == ["a", "d"]


async def test_one_that_gives_up_as_its_time_has_come_holds_nobody_up() -> None:
    async with scene(concurrency=1) as its:
        for name in "abc":
            its.ask(name)
        await settled()
        await its.limiter.leave(1, None)
        its.tasks["b"].cancel()
        await its.clock.until(1)
        assert its.names == ["a", "c"]


async def test_all_limits_hold_together() -> None:
    async with scene(rpm=60, tpm=6000, concurrency=3) as its:
        for number in range(6):
            its.ask(f"{number}", 300)
        await its.clock.until(8)
        assert its.times == pytest.approx([0, 3 / 0.97, 6 / 0.97])  # tokens for one each three seconds
        await its.clock.until(60)
        assert len(its.went) == 3  # and no more than three under way
