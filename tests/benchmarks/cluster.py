"""Kills what takes part in a cluster, measures what it costs and gives, and reckons where a thousand nodes would break.

`uv run --extra ray python tests/benchmarks/cluster.py` starts clusters of Ray on this machine, takes about an hour on
two cores, and writes `CLUSTER.md` beside this file. `--parts` names some of the parts: `kills`, `cost`, `throughput`,
`limits`, `paper`; what the others measured before stands in `CLUSTER.json`, and stays.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import limits
from clusters import ManyNodes, cluster, until, values
from rich.console import Console
from rich.progress import track

from evaluator import ROOT
from evaluator.catalog.frameworks import all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.cluster.described import Described, without_key
from evaluator.cluster.limits import SharedLimits
from evaluator.cluster.node import Node, Opening, Result, code_digest
from evaluator.cluster.placing import Placing
from evaluator.harness.engine import Made
from evaluator.harness.jobs import Job, Settings, in_rounds
from evaluator.harness.limiter import RateLimits
from evaluator.models import specs
from evaluator.trace import Trace, read_trace, write_trace
from tasks.cases import of_size

TABLE = Path(__file__).with_name("CLUSTER.md")
MEASURED = Path(__file__).with_name("CLUSTER.json")
COMMAND = "uv run --extra ray python tests/benchmarks/cluster.py"
PARTS = ("kills", "cost", "throughput", "limits", "paper")
ASKED = ("-m", "scripted", "--cases", "standard")
NODES, RUNS = 1_000, 10_000_000
"""What is reckoned with on paper."""

CALLS, BYTES, SECONDS = 3, 12_000, 10.0
"""Of a run on paper: model calls, bytes of its trace when compressed, and how long it takes against a hosted model."""

_LONGEST_S = 900


# --- kills -----------------------------------------------------------------------------------


def command(traces: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "evaluator", "run", *ASKED, "--traces", str(traces), *more]


def started(traces: Path, *more: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command(traces, *more), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def written(traces: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in traces.rglob("*.json") if not path.name.startswith(".")}


def attempted(nodes: ManyNodes, killed: str, wanted: list[dict[str, Any]], runs: int, moment: int) -> Counter[str]:
    """What one kill led to, once so many traces were there."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-cluster-") as folder:
        traces, engine = Path(folder), ("--engine", "ray", "--address", nodes.address)
        driver = started(traces, *engine)
        until(lambda: len(written(traces)) >= moment, _LONGEST_S)
        before = written(traces)
        if killed == "driver":
            driver.kill()
            driver.wait()
            driver = started(traces, *engine)
        elif killed == "raylet":
            nodes.kill_raylet()
        else:
            nodes.kill_actor()
        code = driver.wait(_LONGEST_S)
        after = written(traces)
        found = Counter(
            {
                "runs lost": runs - len(after),
                "changed": sum(after.get(path) != content for path, content in before.items()),
                "other values": int(values(traces) != wanted),
                "exit code": int(code != 0),
            }
        )
        return found + Counter({"as expected": int(not found.total())})


def kills(times: int, seed: int, console: Console) -> dict[str, Any]:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="bakeoff-cluster-") as folder:
        assert started(Path(folder)).wait(_LONGEST_S) == 0
        wanted, runs = values(Path(folder)), len(written(Path(folder)))
    rows = {}
    with cluster() as nodes:
        for killed in ("raylet", "actor", "driver"):
            found: Counter[str] = Counter()
            for _ in track(range(times), killed, console=console):
                found += attempted(nodes, killed, wanted, runs, chance.randrange(1, runs - 20))
            rows[killed] = dict(found)
    return {"times": times, "seed": seed, "runs": runs, "rows": rows}


# --- what Ray adds ---------------------------------------------------------------------------


def settings(jobs: int = 1) -> Settings:
    return Settings(model=specs.resolve("scripted", None, None), timeout_s=60, jobs=jobs)


def opening(traces: Path, jobs: int = 1) -> Opening:
    made = settings(jobs)
    digest = specs.digest(made.model, Console(quiet=True))
    return Opening(without_key(made), ("tool_calling",), digest, "0" * 16, str(traces), None, "bench")


def a_run(trial: int) -> Described:
    task = all_tasks()["tool_calling"]
    return Described.of(Job(all_frameworks()["baseline"], task, task.load()[0], trial))


@contextmanager
def connected(nodes: ManyNodes) -> Iterator[Any]:
    import ray

    ray.init(nodes.address, namespace="bakeoff", log_to_driver=False, configure_logging=False)
    try:
        yield ray
    finally:
        ray.shutdown()


async def timed(work: Awaitable[Any]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def _cost(ray: Any, folder: Path, runs: int) -> dict[str, Any]:
    """The same run asked of a node in this process and of an actor, in turn."""
    here, actor = Node(), ray.remote(Node).options(num_cpus=0).remote()
    for name, node in (("here", here.prepare), ("there", actor.prepare.remote)):
        assert await node(code_digest(), ["baseline"], []) is None, name
    assert await here.open(opening(folder / "here"), None, None) is None
    assert await actor.open.remote(opening(folder / "there"), None, None) is None
    await here.run(a_run(10**6))
    await actor.run.remote(a_run(10**6))
    took: dict[str, list[float]] = {"here": [], "ray": []}
    for trial in range(1, runs + 1):
        took["here"].append(await timed(here.run(a_run(trial))))
        took["ray"].append(await timed(actor.run.remote(a_run(trial))))
    empty = [await timed(actor.close.remote()) for _ in range(runs)]
    await here.close()
    return {
        "runs": runs,
        "here_ms": statistics.median(took["here"]) * 1000,
        "ray_ms": statistics.median(took["ray"]) * 1000,
        "adds_ms": statistics.median(b - a for a, b in zip(took["here"], took["ray"], strict=True)) * 1000,
        "empty_ms": statistics.median(empty[1:]) * 1000,
    }


def cost(runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, cluster(nodes=1) as nodes, connected(nodes) as ray:
        for name in ("here", "there"):
            Path(folder, name).mkdir()
        return asyncio.run(_cost(ray, Path(folder), runs))


# --- throughput ------------------------------------------------------------------------------

WAITING = """
import json, sys, time
sys.path.insert(0, "tests/support")
from model_server import Answer, completion, serving
def answered(number, headers):
    time.sleep(1)
    return Answer(200, completion("I do not know."))
with serving(answered) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def rate(traces: Path, *more: str) -> float:
    """Runs a second, from the first trace to the last."""
    process = started(traces, *more)
    assert process.wait(_LONGEST_S) == 0
    at = sorted(path.stat().st_mtime for path in written(traces))
    return (len(at) - 1) / (at[-1] - at[0])


def throughput(numbers: tuple[int, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        hosted = ("-m", "m", "--base-url", server.stdout.readline().strip(), "-f", "baseline", "-t", "tool_calling")
        for name, asked in (("scripted, all frameworks", ()), ("a server that takes 1 s, baseline", hosted)):
            more = (*asked, "--jobs", "2") if asked else ("--jobs", "1")
            with tempfile.TemporaryDirectory() as folder:
                found[name] = {"local": rate(Path(folder), *more)}
            for number in numbers:
                with tempfile.TemporaryDirectory() as folder, cluster(nodes=number) as nodes:
                    found[name][str(number)] = rate(Path(folder), *more, "--engine", "ray", "--address", nodes.address)
        server.kill()
    return found


# --- on paper --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Instant:
    """A node that has made a run at once."""

    name: str

    async def run(self, job: Job, again: bool) -> Result:
        return Result(made=Made("answered", None, None, None, (), None))


class Deaf:
    def started(self, job: Job) -> None: ...

    def finished(self, job: Job, made: Made) -> None: ...

    def not_made(self, job: Job, why: str) -> None: ...

    def lost(self, job: Job) -> None: ...


async def _placed(jobs: int) -> dict[str, float]:
    """Seconds of the driver for a run with a thousand nodes, and bytes that it has of each."""
    task = all_tasks()["tool_calling"]
    case, frameworks = of_size(task.load(), "full")[0], list(all_frameworks().values())
    tracemalloc.start()
    rounds = in_rounds(frameworks, [(task, [case])], jobs // len(frameworks))
    bytes_each = tracemalloc.get_traced_memory()[0] / jobs
    tracemalloc.stop()

    async def lost(node: Instant) -> None: ...

    placing = Placing(4, lost)
    for number in range(NODES):
        placing.join(Instant(f"node {number}"))
    start = time.process_time()
    await placing.make(iter(list(enumerate(rounds))), lambda one: nullcontext(Deaf()))
    placed_s = (time.process_time() - start) / jobs
    start = time.process_time()
    for one in rounds[:200]:
        for job in one:
            Described.of(job)
    described_s = (time.process_time() - start) / sum(map(len, rounds[:200]))
    return {"placing_us": placed_s * 1e6, "describing_us": described_s * 1e6, "job_bytes": bytes_each}


async def _asked(ray: Any, calls: int) -> float:
    """Calls a second that the actor with the limits takes, asked by sixty-four at once."""
    actor = ray.remote(SharedLimits).options(num_cpus=0).remote(RateLimits(rpm=10**9))
    await actor.enter.remote("a", 1)

    async def asks(number: int) -> None:
        for _ in range(number):
            await actor.enter.remote("a", 1)
            await actor.leave.remote("a", 1, 1)

    start = time.perf_counter()
    await asyncio.gather(*(asks(calls // 64) for _ in range(64)))
    return 2 * (calls // 64) * 64 / (time.perf_counter() - start)


def _listed(traces: int) -> dict[str, float]:
    """Traces a second that are looked up and listed in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        run = next(path for path in (ROOT / "traces").rglob("*.json") if isinstance(read_trace(path), Trace))
        trace = read_trace(run)
        assert isinstance(trace, Trace)
        for trial in range(1, traces + 1):
            write_trace(Path(folder), trace.model_copy(update={"key": trace.key.model_copy(update={"trial": trial})}))
        start = time.perf_counter()
        paths = list(Path(folder).rglob("*.json"))
        listed_s = time.perf_counter() - start
        start = time.perf_counter()
        for path in paths:
            read_trace(path)
        read_s = time.perf_counter() - start
    return {"listed_a_second": traces / listed_s, "read_a_second": traces / read_s}


def paper() -> dict[str, Any]:
    with cluster(nodes=1) as nodes, connected(nodes) as ray:
        asked = asyncio.run(_asked(ray, 6_400))
    return {"asked_a_second": asked, **asyncio.run(_placed(50_000)), **_listed(2_000)}


# --- limits ----------------------------------------------------------------------------------


async def _held(nodes: ManyNodes, trials: int) -> dict[str, Any]:
    """What a provider of twenty requests a second sees of two nodes that are told so."""
    provider = limits.Provider()
    async with limits.serving(provider) as url:
        with tempfile.TemporaryDirectory() as folder:
            model = ("-m", "m", "--base-url", url, "--rpm", str(limits.TAKES_A_SECOND * 60), "--jobs", "8")
            asked = ("-f", "baseline", "-t", "tool_calling", "--cases", "standard", "--trials", str(trials))
            engine = ("--engine", "ray", "--address", nodes.address)
            command = [sys.executable, "-m", "evaluator", "run", *model, *asked, *engine, "--traces", folder]
            process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            code = await process.wait()
            traces = [read_trace(path) for path in written(Path(folder))]
    calls = [call for trace in traces if isinstance(trace, Trace) for call in trace.model_calls]
    settled = provider.taken[limits.TAKES_A_SECOND :]  # workers are started first
    return {
        "exit_code": code,
        "requests": len(provider.taken),
        "a_second": (len(settled) - 1) / (settled[-1] - settled[0]),
        "limit": limits.TAKES_A_SECOND,
        "refused": provider.refused,
        "seen": sum(call.status == 429 for call in calls),
        "nodes": len({trace.setup.node for trace in traces if isinstance(trace, Trace)}),
    }


def held(trials: int) -> dict[str, Any]:
    with cluster() as nodes:
        return asyncio.run(_held(nodes, trials))


# --- the table -------------------------------------------------------------------------------


def table(found: dict[str, Any]) -> str:
    lines = [f"<!-- generated by `{COMMAND}`; changes made by hand are lost -->", "", "# A cluster of Ray", ""]
    lines += [f"All nodes are on one machine: {found['machine']}. Each part says what it was measured with.", ""]
    for part in PARTS:
        if part in found:
            lines += [*WORDS[part](found[part]), ""]
    return "\n".join(lines)


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def kills_in_words(found: dict[str, Any]) -> list[str]:
    columns = ("as expected", "runs lost", "changed", "other values", "exit code")
    lines = [
        "## What is killed, and what comes of it",
        "",
        f"`kill -9` at a random moment (seed {found['seed']}) of the scripted standard matrix, "
        f"{found['runs']:,} runs of all "
        "frameworks on two nodes. A driver that was killed is started once more; nothing else is done. *As "
        "expected*: every "
        "run is there once, what had been recorded is as it was, the scorecard has the values that it has "
        "without a cluster "
        "(but for times, memory, and how many workers there were), and the exit code is 0.",
        "",
        row("killed", "n", *columns),
        row("---", "---:", *["---:"] * len(columns)),
    ]
    return lines + [
        row(killed, found["times"], *(of.get(column, 0) for column in columns)) for killed, of in found["rows"].items()
    ]


def cost_in_words(found: dict[str, Any]) -> list[str]:
    return [
        "## What Ray adds to a run",
        "",
        f"The same run of the baseline, {found['runs']} times each in turn, asked of a node in this process and "
        f"of the actor "
        f"of one. Medians: {found['here_ms']:.1f} ms here, {found['ray_ms']:.1f} ms by Ray; of a pair, Ray adds "
        f"**{found['adds_ms']:.1f} ms**. A call of the actor that does nothing takes {found['empty_ms']:.1f} ms.",
    ]


def throughput_in_words(found: dict[str, Any]) -> list[str]:
    numbers = [number for number in next(iter(found.values())) if number != "local"]
    return [
        "## Throughput",
        "",
        "Runs a second, from the first trace to the last. The scripted model takes nothing but this machine's "
        "processors, "
        "so more nodes on it cannot make more; a server that takes a second leaves them idle.",
        "",
        row("model", "without Ray", *(f"{number} node{'' if number == '1' else 's'}" for number in numbers)),
        row("---", "---:", *["---:"] * len(numbers)),
        *(row(name, *(f"{of[number]:.1f}" for number in ("local", *numbers))) for name, of in found.items()),
    ]


def limits_in_words(found: dict[str, Any]) -> list[str]:
    return [
        "## A provider's limit over two nodes",
        "",
        f"A double that takes {found['limit']} requests in any second and refuses the others with 429 and "
        f"`Retry-After: 1`, "
        f"asked by {found['nodes']} nodes with `--rpm {found['limit'] * 60}`: {found['requests']:,} requests, "
        f"**{found['a_second']:.1f} a second** ({found['a_second'] / found['limit']:.1%} of the limit); "
        f"{found['refused']} were "
        f"refused, of which frameworks saw {found['seen']}. Exit code {found['exit_code']}.",
    ]


def paper_in_words(found: dict[str, Any]) -> list[str]:
    a_second = NODES * 4 / SECONDS
    driver = 1e6 / (found["placing_us"] + found["describing_us"])
    places = {
        "Limits: calls of the one actor that holds them, two a model call": found["asked_a_second"] / (2 * CALLS),
        "Driver: placing and describing runs": driver,
    }
    first = min(places, key=lambda name: places[name])
    return [
        f"## On paper: {NODES:,} nodes, {RUNS:,} runs",
        "",
        f"Reckoned from what was measured here, for runs of {CALLS} model calls and {SECONDS:.0f} s against a "
        f"hosted model, four "
        f"at once on a node: {a_second:,.0f} runs a second, so {RUNS / a_second / 3600:,.1f} hours, if nothing "
        f"stood in the way.",
        "",
        row("what", "measured", f"what {NODES:,} nodes ask for", "breaks at"),
        row("---", "---:", "---:", "---:"),
        row(
            "limits: calls of the actor a second",
            f"{found['asked_a_second']:,.0f}",
            f"{a_second * CALLS * 2:,.0f}",
            f"{NODES * found['asked_a_second'] / (a_second * CALLS * 2):,.0f} nodes",
        ),
        row(
            "driver: placing and describing a run, µs",
            f"{found['placing_us']:.0f} + {found['describing_us']:.0f}",
            f"{1e6 / a_second:,.0f}",
            f"{NODES * driver / a_second:,.0f} nodes",
        ),
        row(
            "driver: memory of planned runs",
            f"{found['job_bytes']:,.0f} bytes a run",
            f"{found['job_bytes'] * RUNS / 1e9:,.1f} GB",
            f"{16e9 / found['job_bytes']:,.0f} runs in 16 GB",
        ),
        row(
            "store: listing before the command goes on",
            f"{found['listed_a_second']:,.0f} files a second in a folder; S3 lists 1,000 a request",
            f"{RUNS / 1000:,.0f} requests",
            f"{RUNS / 1000 * 0.1 / 60:,.0f} min at 0.1 s a request",
        ),
        row(
            "store: reading all traces to go on, or to score",
            f"{found['read_a_second']:,.0f} a second",
            f"{RUNS:,}",
            f"{RUNS / found['read_a_second'] / 60:,.0f} min",
        ),
        row(
            "store: size, at 12 kB a trace",
            "",
            f"{RUNS * BYTES / 1e9:,.0f} GB",
            "",
        ),
        "",
        f"While runs are made, what breaks first is: *{first.partition(':')[0].lower()}*. Before and after that "
        f"it is the store: "
        "each command reads every trace that it is asked for to know whether it is still good, and so does a "
        "scorecard, on one "
        "machine. From some hundreds of thousands of runs on, give commands a part each (`-t`, `-f`, "
        "`--trials`), with a URL "
        "of its own.",
    ]


WORDS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "kills": kills_in_words,
    "cost": cost_in_words,
    "throughput": throughput_in_words,
    "limits": limits_in_words,
    "paper": paper_in_words,
}


def main() -> None:
    """Measure the parts that are asked for, and write the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--times", type=int, default=5, help="kills of each kind (default: 5)")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found: dict[str, Any] = json.loads(MEASURED.read_bytes()) if MEASURED.exists() else {}
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    found["machine"] = (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "kills": lambda: kills(asked.times, asked.seed, Console(stderr=True)),
        "cost": lambda: cost(200),
        "throughput": lambda: throughput((1, 2, 4)),
        "limits": lambda: held(40),
        "paper": paper,
    }
    for part in asked.parts.split(","):
        found[part] = parts[part]()
        MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        TABLE.write_text(table(found), encoding="utf-8")
        print("\n".join(WORDS[part](found[part])), flush=True)


if __name__ == "__main__":
    main()
