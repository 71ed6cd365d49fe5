"""Makes all runs that were asked for: several at a time, one at a time for each framework."""

import asyncio
from collections.abc import Callable, Sequence

from evaluator.harness.jobs import Job, groups
from evaluator.harness.runner import Harness, NotMadeError
from evaluator.stores import Traces, store_of
from evaluator.trace import Trace


async def run_all(
    made_by: Harness,
    jobs: Sequence[Job],
    traces: Traces,
    at_once: int,
    on_start: Callable[[Job], None] = lambda job: None,
    on_trace: Callable[[Job, Trace], None] = lambda job, trace: None,
    on_not_made: Callable[[Job, str], None] = lambda job, why: None,
) -> None:
    """Make the runs, up to `at_once` at a time and one at a time for each framework, and write the traces.

    Jobs that belong together count as one.
    """
    waiting, store = groups(jobs), store_of(traces)
    busy: set[str] = set()
    under_way: set[asyncio.Task[None]] = set()

    async def make(job: Job) -> None:
        on_start(job)
        try:
            trace = await made_by.run(job)
        except NotMadeError as error:
            on_not_made(job, str(error))
            return
        await asyncio.to_thread(store.write, trace)
        on_trace(job, trace)

    async def make_group(group: list[Job]) -> None:
        await asyncio.gather(*(make(job) for job in group))
        busy.discard(group[0].framework.name)

    try:
        while waiting or under_way:
            while len(under_way) < at_once:
                position = next((i for i, group in enumerate(waiting) if group[0].framework.name not in busy), None)
                if position is None:
                    break
                group = waiting.pop(position)
                busy.add(group[0].framework.name)
                under_way.add(asyncio.create_task(make_group(group)))
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
