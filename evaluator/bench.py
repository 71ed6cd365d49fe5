"""Benchmarks of the harness itself, as ratios within one run.

The gateway is compared with calling its upstream directly: a stub that answers at once. Client,
gateway and stub are three processes; rounds of direct and forwarded calls alternate, so that
whatever else the machine does hits both alike.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
import orjson
import uvicorn
import uvloop
from rich.console import Console
from rich.table import Table

from evaluator import ROOT
from evaluator.harness.gateway import Gateway, server_config
from evaluator.models.upstreams import JSON_HEADERS
from evaluator.models.upstreams.http import HttpUpstream
from evaluator.providers.endpoint import Endpoint
from evaluator.stats.intervals import percentile
from tasks.base import Script

ROUNDS = 4
CONCURRENCY = (1, 32)

_COMPLETION = orjson.dumps(
    {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 0,
        "model": "stub",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 100}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    }
)
_PARAMETERS = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
_REQUEST = orjson.dumps(
    {
        "model": "bench",
        "temperature": 0,
        "messages": [{"role": "system", "content": "word " * 200}, {"role": "user", "content": "word " * 100}],
        "tools": [
            {"type": "function", "function": {"name": f"tool_{i}", "description": "x" * 120, "parameters": _PARAMETERS}}
            for i in range(10)
        ],
    }
)


@dataclass(frozen=True)
class GatewayCost:
    """What the gateway adds to a call, at one level of concurrency. Times in ms, rates in calls/s."""

    concurrency: int
    calls: int
    direct_p50_ms: float
    gateway_p50_ms: float
    added_p50_ms: float
    direct_p99_ms: float
    gateway_p99_ms: float
    added_p99_ms: float
    direct_per_s: float
    gateway_per_s: float
    kept: float


def run(console: Console, seconds: float, with_matrix: bool, as_json: bool) -> None:
    """Measure and print."""
    costs = uvloop.run(_gateway_costs(seconds))
    matrix = _scripted_matrix() if with_matrix else None
    if as_json:
        console.print_json(data={"gateway": [asdict(cost) for cost in costs], "scripted_matrix": matrix})
        return
    table = Table(title="The gateway beside calling a stub directly", title_justify="left", box=None)
    for header in (
        "at once",
        "calls",
        "direct p50",
        "gateway p50",
        "added p50",
        "added p99",
        "direct",
        "gateway",
        "kept",
    ):
        table.add_column(header, justify="right")
    for cost in costs:
        table.add_row(
            str(cost.concurrency),
            str(cost.calls),
            *(f"{ms:.2f} ms" for ms in (cost.direct_p50_ms, cost.gateway_p50_ms, cost.added_p50_ms, cost.added_p99_ms)),
            *(f"{rate:.0f}/s" for rate in (cost.direct_per_s, cost.gateway_per_s)),
            f"{cost.kept:.0%}",
        )
    console.print(table)
    if matrix:
        console.print(f"scripted matrix, all cases, warm: {matrix['runs']} runs in {matrix['wall_s']:.1f} s")


# --- the gateway -----------------------------------------------------------------------------


async def _gateway_costs(seconds: float) -> list[GatewayCost]:
    with _process("stub") as stub_url, _process("gateway", stub_url) as gateway_url:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            costs = []
            for concurrency in CONCURRENCY:
                samples: dict[str, list[float]] = {stub_url: [], gateway_url: []}
                rates: dict[str, list[float]] = {stub_url: [], gateway_url: []}
                for url in samples:
                    await _load(client, url, concurrency, 0.5)
                for _ in range(ROUNDS):
                    for url in samples:
                        latencies, wall_s = await _load(client, url, concurrency, seconds / ROUNDS)
                        samples[url] += latencies
                        rates[url].append(len(latencies) / wall_s)
                costs.append(
                    _cost(concurrency, samples[stub_url], samples[gateway_url], rates[stub_url], rates[gateway_url])
                )
            return costs


def _cost(
    concurrency: int, direct: list[float], gateway: list[float], direct_rates: list[float], gateway_rates: list[float]
) -> GatewayCost:
    direct_p50, direct_p99 = (1000 * percentile(direct, percent) for percent in (50, 99))
    gateway_p50, gateway_p99 = (1000 * percentile(gateway, percent) for percent in (50, 99))
    return GatewayCost(
        concurrency=concurrency,
        calls=len(gateway),
        direct_p50_ms=direct_p50,
        gateway_p50_ms=gateway_p50,
        added_p50_ms=gateway_p50 - direct_p50,
        direct_p99_ms=direct_p99,
        gateway_p99_ms=gateway_p99,
        added_p99_ms=gateway_p99 - direct_p99,
        direct_per_s=statistics.median(direct_rates),
        gateway_per_s=statistics.median(gateway_rates),
        kept=statistics.median(gateway_rates) / statistics.median(direct_rates),
    )


async def _load(client: aiohttp.ClientSession, url: str, concurrency: int, seconds: float) -> tuple[list[float], float]:
    """Latencies in seconds of calls made for `seconds` with `concurrency` at once, and the wall time."""
    latencies: list[float] = []
    start = time.perf_counter()

    async def calls() -> None:
        while (sent := time.perf_counter()) - start < seconds:
            async with client.post(url, data=_REQUEST, headers={"Content-Type": "application/json"}) as response:
                await response.read()
                if response.status != 200:
                    raise RuntimeError(f"{url} answered {response.status}")
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(calls() for _ in range(concurrency)))
    return latencies, time.perf_counter() - start


@contextmanager
def _process(role: str, *arguments: str) -> Iterator[str]:
    """A process of this module in a role; gives the URL that it serves chat completions at."""
    command = [sys.executable, "-m", "evaluator.bench", role, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


async def _stub(scope: dict[str, Any], receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    headers = [*JSON_HEADERS, (b"content-length", b"%d" % len(_COMPLETION))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _COMPLETION})


async def _serve_stub() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions", flush=True)
    await uvicorn.Server(server_config(_stub)).serve(sockets=[listener])


async def _serve_gateway(stub_url: str) -> None:
    endpoint = Endpoint("stub", stub_url.removesuffix("/chat/completions"))
    async with Gateway(HttpUpstream(endpoint), None, ["bench"]) as gateway:
        run = gateway.open_run(Script(answer="x"), max_model_calls=10**9, timeout_s=3600)
        print(f"{gateway.base_url(run)}/chat/completions", flush=True)
        await asyncio.sleep(3600)


# --- the matrix ------------------------------------------------------------------------------


def _scripted_matrix() -> dict[str, float]:
    """Wall time in seconds of the whole scripted matrix, with the environments there already."""
    with tempfile.TemporaryDirectory() as traces:
        command = [sys.executable, "-m", "evaluator", "run", "-m", "scripted", "--cases", "full", "--traces", traces]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"NO_COLOR": "1"})
        wall_s = time.perf_counter() - start
        runs = sum(1 for _, _, files in os.walk(traces) for name in files if name.endswith(".json"))
    return {"runs": runs, "wall_s": round(wall_s, 2)}


if __name__ == "__main__":
    uvloop.run(_serve_stub() if sys.argv[1] == "stub" else _serve_gateway(sys.argv[2]))
