"""Holds runs within the limits of a provider that refuses what is too much, and measures what that provider sees.

`uv run python tests/benchmarks/limits.py` takes some two minutes and writes `LIMITS.md` beside this file. The provider
is a double: it takes twenty requests in any second and refuses the others with 429 and `Retry-After: 1`. Runs of the
baseline, many at once, are made through the gateway as `bakeoff run` makes them. The exit code is 1 where a limit that
was given is not held within 5 %, or a framework saw a refusal all the same.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import re
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from rich.console import Console

from evaluator.analysis.graded_run import split_wall_time
from evaluator.catalog.frameworks import BASELINE, all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.harness.environments import provision_all
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.limiter import RateLimits
from evaluator.harness.runner import harness
from evaluator.models import specs
from evaluator.trace import Trace

TABLE = Path(__file__).with_name("LIMITS.md")
COMMAND = "uv run python tests/benchmarks/limits.py"
TAKES_A_SECOND = 20
TOKENS_A_CALL = 500
CALLS_A_RUN = 10
WITHIN = 0.05
_MODEL = "double"
_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_order", "arguments": '{"order_id": "O-5003"}'}}


@dataclass
class Provider:
    """The double: when it took requests, in monotonic seconds, and how many it refused."""

    taken: list[float] = field(default_factory=list)
    refused: int = 0
    _last_second: deque[float] = field(default_factory=deque)

    async def answer(self, request: web.Request) -> web.Response:
        """Tool calls, one at a time, and an answer at last; or a refusal."""
        now, last = time.monotonic(), self._last_second
        while last and last[0] <= now - 1:
            last.popleft()
        if len(last) >= TAKES_A_SECOND:
            self.refused += 1
            body = {"error": {"message": "too many requests", "code": "rate_limit_exceeded"}}
            return web.json_response(body, status=429, headers={"Retry-After": "1"})
        last.append(now)
        self.taken.append(now)
        asked = await request.json()
        is_last = sum(message["role"] == "tool" for message in asked["messages"]) == CALLS_A_RUN - 1
        message: dict[str, Any] = {"role": "assistant", "content": "It was sent."}
        if not is_last:
            message = {"role": "assistant", "content": None, "tool_calls": [_CALL]}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if is_last else "tool_calls"}
        usage = {"prompt_tokens": TOKENS_A_CALL - 20, "completion_tokens": 20, "total_tokens": TOKENS_A_CALL}
        return web.json_response({"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})

    @property
    def rate(self) -> float:
        """Requests a second, from the first that it took to the last."""
        return (len(self.taken) - 1) / (self.taken[-1] - self.taken[0])


@contextlib.asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[str]:
    """The base URL of the double."""
    application = web.Application()
    application.router.add_post("/v1/chat/completions", provider.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


async def made(limits: RateLimits | None, runs: int, at_once: int, folder: Path) -> tuple[Provider, list[Trace]]:
    """So many runs of the baseline against the double, so many at once."""
    provider, task = Provider(), all_tasks()["tool_calling"]
    framework, case = all_frameworks()[BASELINE], task.load()[0]
    async with serving(provider) as url:
        model = specs.resolve(_MODEL, url, None)
        settings = Settings(model, timeout_s=20, jobs=at_once, logs=folder, limits=limits)
        free = asyncio.Semaphore(at_once)
        async with harness(settings, [task.module], Console(quiet=True)) as opened:

            async def one(trial: int) -> Trace:
                async with free:
                    return await opened.run(Job(framework, task, case, trial))

            await one(1)  # its worker is up
            await asyncio.sleep(1)
            provider.taken.clear()
            traces = await asyncio.gather(*(one(trial) for trial in range(2, runs + 2)))
    return provider, list(traces)


@dataclass(frozen=True)
class Row:
    """What came of runs within some limits; `held` is what the provider saw of a limit in shares of it."""

    options: str
    provider: Provider
    traces: Sequence[Trace]
    held: float | None

    @property
    def seen(self) -> int:
        """Refusals that the framework saw."""
        return sum(call.status == 429 for trace in self.traces for call in trace.model_calls)

    @property
    def is_right(self) -> bool:
        """Whether the limit was held within 5 %, and the framework saw no refusal."""
        return self.seen == 0 and (self.held is None or abs(self.held - 1) <= WITHIN)

    def cells(self) -> list[str]:
        """The row of the table."""
        traces, splits = self.traces, [split_wall_time(trace) for trace in self.traces]
        waited_s = sorted(split.waited_s for split in splits)[len(splits) // 2]
        wall_s = sorted(split.wall_s for split in splits)[len(splits) // 2]
        out = sum(call.refusals for trace in traces for call in trace.model_calls)
        answered = sum(trace.outcome.ended == "answered" for trace in traces)
        return [
            f"`{self.options}`" if self.options else "none",
            f"{self.provider.rate:.1f}",
            "" if self.held is None else f"{self.held:.1%}",
            f"{self.provider.refused}",
            f"{out}",
            f"{self.seen}",
            f"{answered} of {len(traces)}",
            f"{waited_s:.2f}",
            f"{wall_s * 1000:.0f}",
        ]


HEADER = [
    *("limits", "requests a second", "of the limit", "refused", "waited out", "seen by the framework", "runs answered"),
    *("waited, s", "wall time, ms"),
]


async def measured(runs: int, at_once: int) -> list[Row]:
    """One row each: without limits, with the right one, with one that is too high, and with one on tokens."""
    console = Console(stderr=True)
    await provision_all([all_frameworks()[BASELINE]], console, lambda line: print(line, file=sys.stderr))
    tpm = 10 * TOKENS_A_CALL * 60
    rows = []
    with tempfile.TemporaryDirectory(prefix="bakeoff-limits-") as folder:
        for options, limits, number, limit in (
            ("", None, runs // 3, None),
            (f"--rpm {TAKES_A_SECOND * 60}", RateLimits(rpm=TAKES_A_SECOND * 60), runs, TAKES_A_SECOND),
            (f"--rpm {TAKES_A_SECOND * 120}", RateLimits(rpm=TAKES_A_SECOND * 120), runs // 2, None),
            (f"--tpm {tpm}", RateLimits(tpm=tpm), runs // 2, tpm / 60 / TOKENS_A_CALL),
        ):
            provider, traces = await made(limits, number, at_once, Path(folder))
            rows.append(Row(options, provider, traces, None if limit is None else provider.rate / limit))
            print(" | ".join(rows[-1].cells()), file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description="How limits of a provider are held.")
    parser.add_argument("--runs", type=int, default=90)
    parser.add_argument("--at-once", type=int, default=16)
    asked = parser.parse_args()
    rows = uvloop.run(measured(asked.runs, asked.at_once))
    lines = ["| " + " | ".join(row) + " |" for row in (HEADER, ["---", *["---:"] * (len(HEADER) - 1)])]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    text = [
        f"<!-- generated by `{COMMAND}`; changes made by hand are lost -->",
        "",
        "# How limits of a provider are held",
        "",
        f"A double of a provider takes {TAKES_A_SECOND} requests in any second and refuses the others with 429 and "
        f"`Retry-After: 1`; each takes {TOKENS_A_CALL} tokens. Runs of the baseline, {asked.at_once} at once, of "
        f"{CALLS_A_RUN} calls each. *Refused* is what the provider refused, *waited out* what of that the gateway sent "
        "again by itself. "
        "Without limits the framework sees refusals, and its client tries again or gives up. The last two columns are "
        "medians of runs: the time that their calls waited for a limit, and their wall time, in which that is not. Its "
        "rest depends on how many runs are in their worker at once.",
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
        "",
        *lines,
        "",
    ]
    TABLE.write_text("\n".join(text), encoding="utf-8")
    print("\n".join(lines))
    if not all(row.is_right for row in rows if row.options):
        raise SystemExit("a limit was not held within 5 %, or a framework saw a refusal")


if __name__ == "__main__":
    main()
