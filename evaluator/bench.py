"""Benchmarks of the harness itself, as ratios within one run.

The gateway is compared with calling its upstream directly: a stub that answers at once. Client,
gateway and stub are three processes; rounds of direct and forwarded calls alternate, so that
whatever else the machine does hits both alike.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import aiohttp
import orjson
import psutil
import uvicorn
import uvloop
from rich.console import Console
from rich.table import Table

from evaluator import ROOT
from evaluator.fitting import Fitted
from evaluator.harness.gateway import Gateway, listening, server_config
from evaluator.models.upstreams import JSON_HEADERS, STREAM_HEADERS
from evaluator.models.upstreams.http import HttpUpstream
from evaluator.providers.endpoint import Endpoint
from evaluator.stats.intervals import percentile
from tasks.cases import Script

ROUNDS = 4
CONCURRENCY = (1, 32, 128)

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
_CHUNKS = [
    b"data: %s\n\n" % orjson.dumps({"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]})
    for _ in range(100)
] + [b"data: [DONE]\n\n"]
_PARAMETERS = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
_ASKED = {
    "model": "bench",
    "temperature": 0,
    "messages": [{"role": "system", "content": "word " * 200}, {"role": "user", "content": "word " * 100}],
    "tools": [
        {"type": "function", "function": {"name": f"tool_{i}", "description": "x" * 120, "parameters": _PARAMETERS}}
        for i in range(10)
    ],
}
_REQUEST = orjson.dumps(_ASKED)
_STREAMED_REQUEST = orjson.dumps({**_ASKED, "stream": True})


@dataclass(frozen=True)
class GatewayCost:
    """What the gateway adds to a call, with so many calls at once. Times in ms, rates in calls/s.

    Each caller sends its next call once the last one is answered, so with many at once a call mostly waits for the
    processors. `…_cpu_ms` is what each process takes of them for a call that goes through the gateway: where the client
    takes as much as the gateway, it is the client that is measured.
    """

    streamed: bool
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
    client_cpu_ms: float
    gateway_cpu_ms: float
    stub_cpu_ms: float


@dataclass
class _Round:
    """What was measured of calls to one URL. `latencies_s` are of single calls, `cpu_s` of each process."""

    latencies_s: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu_s: Counter[str] = field(default_factory=Counter)


_BY_IMPORTANCE = (3, 4, 5, 6, 7, 8, 9, 10, 11, 2)
"""The columns of the table, where a console has not room for all: how many calls were made comes last."""


def run(console: Console, seconds: float, with_matrix: bool, as_json: bool) -> None:
    """Measure and print."""
    costs = uvloop.run(gateway_costs(seconds))
    matrix = _scripted_matrix() if with_matrix else None
    if as_json:
        console.print_json(data={"gateway": [asdict(cost) for cost in costs], "scripted_matrix": matrix})
        return
    table = Table(title="The gateway beside calling a stub directly, in ms", title_justify="left", box=None)
    for header in (
        "",
        "at once",
        "calls",
        "p50",
        "added",
        "p99",
        "added",
        "calls/s",
        "kept",
        "CPU client",
        "gateway",
        "stub",
    ):
        table.add_column(header, justify="right")
    for cost in costs:
        table.add_row(
            "streamed" if cost.streamed else "plain",
            str(cost.concurrency),
            str(cost.calls),
            *(f"{ms:.2f}" for ms in (cost.direct_p50_ms, cost.added_p50_ms, cost.direct_p99_ms, cost.added_p99_ms)),
            f"{cost.direct_per_s:.0f}",
            f"{cost.kept:.0%}",
            *(f"{ms:.2f}" for ms in (cost.client_cpu_ms, cost.gateway_cpu_ms, cost.stub_cpu_ms)),
        )
    console.print(Fitted(table, names=2, order=_BY_IMPORTANCE))
    console.print("p50, p99 and calls/s: direct; added: by the gateway; CPU: of a call through the gateway")
    if matrix:
        console.print(f"scripted matrix, all cases, warm: {matrix['runs']} runs in {matrix['wall_s']:.1f} s")


# --- the gateway -----------------------------------------------------------------------------


async def gateway_costs(seconds: float) -> list[GatewayCost]:
    """Measure for `seconds` each way: calls of each kind, so many at once, straight to the stub and by the gateway."""
    with _process("stub") as (stub_url, stub), _process("gateway", stub_url) as (gateway_url, gateway):
        processes = {"client": psutil.Process(), "gateway": gateway, "stub": stub}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            costs = []
            for streamed, concurrency in product((False, True), CONCURRENCY):
                request = _STREAMED_REQUEST if streamed else _REQUEST
                seen = {stub_url: _Round(), gateway_url: _Round()}
                for url in seen:
                    await _load(client, url, request, concurrency, seconds / ROUNDS)
                for _ in range(ROUNDS):
                    for url, so_far in seen.items():
                        before = {name: _cpu_s(process) for name, process in processes.items()}
                        latencies, wall_s = await _load(client, url, request, concurrency, seconds / ROUNDS)
                        so_far.cpu_s.update({name: _cpu_s(of) - before[name] for name, of in processes.items()})
                        so_far.latencies_s += latencies
                        so_far.rates.append(len(latencies) / wall_s)
                costs.append(_cost(streamed, concurrency, seen[stub_url], seen[gateway_url]))
            return costs


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _cost(streamed: bool, concurrency: int, direct: _Round, gateway: _Round) -> GatewayCost:
    direct_p50, direct_p99 = (1000 * percentile(direct.latencies_s, percent) for percent in (50, 99))
    gateway_p50, gateway_p99 = (1000 * percentile(gateway.latencies_s, percent) for percent in (50, 99))
    calls = len(gateway.latencies_s)
    return GatewayCost(
        streamed=streamed,
        concurrency=concurrency,
        calls=calls,
        direct_p50_ms=direct_p50,
        gateway_p50_ms=gateway_p50,
        added_p50_ms=gateway_p50 - direct_p50,
        direct_p99_ms=direct_p99,
        gateway_p99_ms=gateway_p99,
        added_p99_ms=gateway_p99 - direct_p99,
        direct_per_s=statistics.median(direct.rates),
        gateway_per_s=statistics.median(gateway.rates),
        kept=statistics.median(gateway.rates) / statistics.median(direct.rates),
        client_cpu_ms=1000 * gateway.cpu_s["client"] / calls,
        gateway_cpu_ms=1000 * gateway.cpu_s["gateway"] / calls,
        stub_cpu_ms=1000 * gateway.cpu_s["stub"] / calls,
    )


async def _load(
    client: aiohttp.ClientSession, url: str, request: bytes, concurrency: int, seconds: float
) -> tuple[list[float], float]:
    """Latencies in seconds of calls made for `seconds` with `concurrency` at once, and the wall time."""
    latencies: list[float] = []
    start = time.perf_counter()

    async def calls() -> None:
        while (sent := time.perf_counter()) - start < seconds:
            async with client.post(url, data=request, headers={"Content-Type": "application/json"}) as response:
                await response.read()
                if response.status != 200:
                    raise RuntimeError(f"{url} answered {response.status}")
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(calls() for _ in range(concurrency)))
    return latencies, time.perf_counter() - start


@contextmanager
def _process(role: str, *arguments: str) -> Iterator[tuple[str, psutil.Process]]:
    """A process of this module in a role, and the URL that it serves chat completions at."""
    command = [sys.executable, "-m", "evaluator.bench", role, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


async def _stub(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if orjson.loads(body).get("stream"):
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        for chunk in _CHUNKS:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await asyncio.sleep(0)  # so that each goes out by itself
        await send({"type": "http.response.body", "body": b""})
        return
    headers = [*JSON_HEADERS, (b"content-length", b"%d" % len(_COMPLETION))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _COMPLETION})


async def _serve_stub() -> None:
    listener = listening()
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
