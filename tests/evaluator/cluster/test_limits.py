"""The limits of an endpoint hold for all nodes together, and a node that is lost takes nothing with it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from evaluator.cluster.limits import Asked, SharedLimits
from evaluator.harness.limiter import RateLimits


class Handle:
    """An actor as Ray gives a handle to it: each method has a `remote`, which is under way at once."""

    def __init__(self, actor: object) -> None:
        self._actor = actor

    def __getattr__(self, method: str) -> Any:
        return Method(getattr(self._actor, method))


class Method:
    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method

    def remote(self, *arguments: Any) -> "asyncio.Task[Any]":
        return asyncio.ensure_future(self._method(*arguments))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def handle() -> Handle:
    return Handle(SharedLimits(RateLimits(concurrency=1)))


async def test_nodes_wait_for_one_another(handle: Handle) -> None:
    one, other = Asked(handle, "one"), Asked(handle, "other")
    await one.enter(10)
    waiting = asyncio.create_task(other.enter(10))
    await settled()
    assert not waiting.done()
    await one.leave(10, 7)
    await waiting


async def test_what_a_lost_node_had_under_way_is_over(handle: Handle) -> None:
    lost, other = Asked(handle, "lost"), Asked(handle, "other")
    await lost.enter(10)
    waiting = asyncio.create_task(other.enter(10))
    await handle.gone.remote("lost")
    await waiting


async def test_what_a_lost_node_was_waiting_for_goes_to_the_next(handle: Handle) -> None:
    one, lost, other = (Asked(handle, name) for name in ("one", "lost", "other"))
    await one.enter(10)
    of_lost = asyncio.create_task(lost.enter(10))
    await settled()
    await handle.gone.remote("lost")
    waiting = asyncio.create_task(other.enter(10))
    await one.leave(10, None)
    await waiting
    assert of_lost.done()


async def test_who_gives_up_leaves_its_turn_to_the_next(handle: Handle) -> None:
    one, other, third = (Asked(handle, name) for name in ("one", "other", "third"))
    await one.enter(10)
    given_up = asyncio.create_task(other.enter(10))
    await settled()
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    waiting = asyncio.create_task(third.enter(10))
    await one.leave(10, None)
    await asyncio.wait_for(waiting, 5)
