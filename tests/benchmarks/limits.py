"""Holds runs within the limits of a provider that refuses what is too much, and measures what that provider sees.

`uv run python tests/benchmarks/limits.py` takes some two minutes and writes `LIMITS.md` beside this file. The provider
is a double: it takes twenty requests in any second and refuses the others with 429 and `Retry-After: 1`. A plain client
asks through the gateway as fast as it can; then runs of the baseline, many at once, are made as `bakeoff run` makes
them. The exit code is 1 where the client's requests are not within 5 % of the limit that was given, or those of a
framework beyond it, or anybody saw a refusal all the same.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from rich.console import Console

from evaluator.analysis.graded_run import split_wall_time
from evaluator.catalog.frameworks import BASELINE, all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.harness.environments import provision_all
from evaluator.harness.gateway import Gateway
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.limiter import LocalLimiter, RateLimits
from evaluator.harness.runner import harness
from evaluator.models import specs
from evaluator.models.upstreams.http import HttpUpstream
from evaluator.providers.endpoint import Endpoint
from evaluator.trace import ModelCall, Trace
from tasks.cases import Script

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


async def asked(limits: RateLimits, seconds: float, at_once: int) -> tuple[Provider, list[ModelCall]]:
    """What a plain client asks for so long through the gateway, so many requests at once."""
    provider = Provider()
    async with serving(provider) as url:
        upstream = HttpUpstream(Endpoint(_MODEL, url, None))
        async with (
            Gateway(upstream, None, [_MODEL], LocalLimiter(limits)) as gateway,
            aiohttp.ClientSession() as client,
        ):
            run = gateway.open_run(Script(answer=""), 10**6, 10 * seconds)
            url = f"{gateway.base_url(run)}/chat/completions"
            until = time.monotonic() + seconds

            async def ask() -> None:
                while time.monotonic() < until:
                    async with client.post(url, json={"model": _MODEL, "messages": [{"role": "user"}]}) as response:
                        await response.read()

            await asyncio.gather(*(ask() for _ in range(at_once)))
            gateway.close_run(run.token)
            return provider, run.model_calls(0.0)


@dataclass(frozen=True)
class Row:
    """What came of some limits, for the plain client, whose `calls` these are, or for runs of the baseline.

    `held` is what the provider saw of a limit in shares of it.
    """

    options: str
    provider: Provider
    calls: Sequence[ModelCall]
    traces: Sequence[Trace]
    held: float | None

    @property
    def seen(self) -> int:
        """Refusals that the client or the framework saw."""
        return sum(call.status == 429 for call in self.calls)

    @property
    def is_right(self) -> bool:
        """Whether a limit was held, and nobody saw a refusal."""
        least = 0.0 if self.traces else 1 - WITHIN  # runs may be slower than any limit
        return self.seen == 0 and (self.held is None or least <= self.held <= 1 + WITHIN)

    def cells(self) -> list[str]:
        """The row of the table."""
        traces, splits = self.traces, [split_wall_time(trace) for trace in self.traces]
        out = sum(call.refusals for call in self.calls)
        answered = sum(trace.outcome.ended == "answered" for trace in traces)
        return [
            "baseline" if traces else "plain client",
            f"`{self.options}`" if self.options else "none",
            f"{self.provider.rate:.1f}",
            "" if self.held is None else f"{self.held:.1%}",
            f"{self.provider.refused}",
            f"{out}",
            f"{self.seen}",
            f"{answered} of {len(traces)}" if traces else "",
            f"{statistics.median(split.waited_s for split in splits):.2f}" if traces else "",
            f"{statistics.median(split.wall_s for split in splits):.2f}" if traces else "",
        ]


HEADER = [
    *("who asks", "limits", "requests a second", "of the limit", "refused", "waited out", "seen"),
    *("runs answered", "waited, s", "wall time, s"),
]


async def measured(seconds: float, runs: int, at_once: int) -> list[Row]:
    """One row each: with the right limit, with one that is too high, and with one on tokens; of runs also without."""
    console = Console(stderr=True)
    await provision_all([all_frameworks()[BASELINE]], console, lambda line: print(line, file=sys.stderr))
    tpm = 10 * TOKENS_A_CALL * 60
    within: list[tuple[str, RateLimits | None, float | None]] = [
        (f"--rpm {TAKES_A_SECOND * 60}", RateLimits(rpm=TAKES_A_SECOND * 60), TAKES_A_SECOND),
        (f"--rpm {TAKES_A_SECOND * 120}", RateLimits(rpm=TAKES_A_SECOND * 120), None),
        (f"--tpm {tpm}", RateLimits(tpm=tpm), tpm / 60 / TOKENS_A_CALL),
        ("", None, None),
    ]
    rows = []

    def add(row: Row) -> None:
        rows.append(row)
        print(" | ".join(row.cells()), file=sys.stderr, flush=True)

    for options, limits, limit in within:
        if limits is not None:
            provider, calls = await asked(limits, seconds, at_once)
            add(Row(options, provider, calls, (), None if limit is None else provider.rate / limit))
    with tempfile.TemporaryDirectory(prefix="bakeoff-limits-") as folder:
        for options, limits, limit in within:
            provider, traces = await made(limits, runs, at_once, Path(folder))
            calls = [call for trace in traces for call in trace.model_calls]
            add(Row(options, provider, calls, traces, None if limit is None else provider.rate / limit))
    return rows


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description="How limits of a provider are held.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--at-once", type=int, default=16)
    options = parser.parse_args()
    rows = uvloop.run(measured(options.seconds, options.runs, options.at_once))
    lines = ["| " + " | ".join(row) + " |" for row in (HEADER, ["---", *["---:"] * (len(HEADER) - 1)])]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    text = [
        f"<!-- generated by `{COMMAND}`; changes made by hand are lost -->",
        "",
        "# How limits of a provider are held",
        "",
        f"A double of a provider takes {TAKES_A_SECOND} requests in any second and refuses the others with 429 and "
        f"`Retry-After: 1`; each takes {TOKENS_A_CALL} tokens. First a plain client asks through the gateway for "
        f"{options.seconds:.0f} s, {options.at_once} requests at once; then {options.runs} runs of the baseline are "
        f"made, {options.at_once} at once, of {CALLS_A_RUN} calls each. *Refused* is what the provider refused, "
        "*waited out* what of that the gateway sent again by itself, *seen* what the client or the framework saw of "
        "it. The last two columns are medians of runs: for how long a limit held them up, and their wall time, in "
        "which that is not. So many runs share one worker that the machine is what slows them down; the load on it was "
        f"{os.getloadavg()[1]:.0f}.",
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
        "",
        *lines,
        "",
    ]
    TABLE.write_text("\n".join(text), encoding="utf-8")
    print("\n".join(lines))
    if not all(row.is_right for row in rows if row.options):
        raise SystemExit(f"a limit was not held within {WITHIN:.0%}, or somebody saw a refusal")


if __name__ == "__main__":
    main()
