"""Ctrl-C, SIGTERM and SIGHUP: what is under way is given up in good order, and the command ends with what it has."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterable, Iterator
from types import FrameType
from typing import Any, NoReturn, TypeVar

import uvloop

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """The user or the system wants the command to end. `exit_code` is what shells expect after that signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within this, Ctrl-C, SIGTERM and SIGHUP raise `Stopped`. For the main thread.

    A signal that is ignored, as Ctrl-C is for what a shell has put into the background, stays so.
    """

    def stop(number: int, _: FrameType | None) -> NoReturn:
        raise Stopped(number)

    heard = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = {number: handler for number, handler in heard.items() if handler != signal.SIG_IGN}
    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the work in an event loop. A signal cancels it; once it has cleared up, this raises `Stopped`."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        return uvloop.run(_cancelled_by_signals(work, [n for n, known in handlers.items() if known != signal.SIG_IGN]))
    finally:  # the loop has put the defaults in their place
        for number, handler in handlers.items():
            signal.signal(number, handler)


async def all_of(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do these at the same time. Where one fails, or this is cancelled, the others are given up, and are over first."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _cancelled_by_signals(work: Coroutine[Any, Any, T], numbers: list[signal.Signals]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    received: list[int] = []

    def stop(number: int) -> None:
        if not received:  # another one does not disturb the clearing up, which takes seconds at most
            task.cancel()
        received.append(number)

    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    try:
        result = await work
    except BaseException:
        if received:
            raise Stopped(received[0]) from None
        raise
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    if received:
        raise Stopped(received[0])
    return result
