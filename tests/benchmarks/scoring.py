"""Times `bakeoff score` on many traces, made by varying the committed ones.

`uv run python tests/benchmarks/scoring.py` takes some minutes and writes `SCORING.md` beside this file. The traces are
made in a temporary folder, which 100,000 of them fill with some gigabytes.
"""

import argparse
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import orjson
import psutil

from evaluator import ROOT
from evaluator.providers.names import PROBES_NAME
from evaluator.trace import _as_json, trace_files

TABLE = Path(__file__).with_name("SCORING.md")
COMMAND = "uv run python tests/benchmarks/scoring.py"
TWICE = 10_000
"""Up to so many traces are scored twice, and the bytes compared."""


@dataclass(frozen=True)
class Measured:
    """One scoring.

    `cpu_s` is the processor time of the command and its processes together, `memory_mb` the highest sum of their
    memory; what they share counts once (proportional set size).
    """

    traces: int
    megabytes: float
    seconds: float
    cpu_s: float
    memory_mb: float


def make_traces(folder: Path, number: int) -> int:
    """Write so many traces below `folder`; their size in bytes.

    They are the committed ones, as they are and then again as further trials, with times and tokens of their own.
    """
    sources = [
        path for path in trace_files(ROOT / "traces") if PROBES_NAME not in path.parts and path.name.endswith(".1.json")
    ]
    size = 0
    for made, (trial, source) in enumerate((trial, source) for trial in count(1) for source in sources):
        if made == number:
            return size
        content = orjson.loads(source.read_bytes())
        content["key"]["trial"] = trial
        parts = source.relative_to(ROOT / "traces").parts
        factor = random.Random(f"{trial} {parts}").uniform(0.8, 1.2)
        data = _as_json(_scaled(content, factor))
        path = folder.joinpath(*parts[:-1], f"{content['key']['case']}.{trial}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        size += len(data)
    raise AssertionError("endless")


def _scaled(content: dict, factor: float) -> dict:
    for record in (content["resources"], *content["model_calls"], *content["tool_calls"]):
        for name in record:
            if name.endswith("_s") and isinstance(record[name], float):
                record[name] = round(record[name] * factor, 6)
            elif name.startswith("gen_ai.usage.") and record[name] is not None:
                record[name] = round(record[name] * factor)
    return content


def measure(traces: Path, number: int, size: int, out: Path, cores: int) -> Measured:
    """Score once, as a user would, on so many cores."""
    command = [sys.executable, "-m", "evaluator", "score", "--traces", str(traces), "--out", str(out)]
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, cwd=ROOT, preexec_fn=lambda: os.sched_setaffinity(0, allowed)
    )
    used = _Used()
    watch = threading.Thread(target=used.watch, args=(psutil.Process(process.pid),))
    watch.start()
    if process.wait() != 0:
        raise SystemExit("scoring failed")
    seconds = time.perf_counter() - start
    watch.join()
    return Measured(number, size / 1e6, seconds, sum(used.cpu_s.values()), used.memory_mb)


class _Used:
    """What a process and all below it have used, seen 10 times a second."""

    def __init__(self) -> None:
        self.cpu_s: dict[int, float] = {}
        self.memory_mb = 0.0

    def watch(self, process: psutil.Process) -> None:
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            memory_mb = 0.0
            for one in (process, *process.children(recursive=True)):
                try:
                    memory_mb += one.memory_full_info().pss / 1e6
                    times = one.cpu_times()
                    self.cpu_s[one.pid] = times.user + times.system
                except psutil.Error:  # it has ended
                    continue
            self.memory_mb = max(self.memory_mb, memory_mb)
            time.sleep(0.1)


def main() -> None:
    """Measure each size and write the table."""
    parser = argparse.ArgumentParser(description="How long scoring takes, and how much memory, by number of traces.")
    parser.add_argument("--sizes", default="1000,3000,10000,30000,100000")
    parser.add_argument("--cores", type=int, default=2)
    asked = parser.parse_args()
    rows: list[Measured] = []
    for number in map(int, asked.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="bakeoff-scoring-") as folder:
            traces = Path(folder) / "traces"
            size = make_traces(traces, number)
            one = measure(traces, number, size, Path(folder) / "first", asked.cores)
            if number <= TWICE:
                again = measure(traces, number, size, Path(folder) / "again", asked.cores)
                for name in ("scorecard.json", "SCORECARD.md"):
                    if (Path(folder) / "first" / name).read_bytes() != (Path(folder) / "again" / name).read_bytes():
                        raise SystemExit(f"{name} of {number} traces is not the same the second time")
                one = min(one, again, key=lambda scored: scored.cpu_s)
        rows.append(one)
        print(one, flush=True)
        TABLE.write_text(_report(rows, asked.cores), encoding="utf-8")


def _report(rows: Sequence[Measured], cores: int) -> str:
    lines = [
        f"| {row.traces:,} | {row.megabytes:,.0f} | {row.seconds:.1f} | {row.cpu_s:.1f} "
        f"| {1000 * row.cpu_s / row.traces:.2f} | {row.memory_mb:,.0f} |"
        for row in rows
    ]
    return "\n".join(
        [
            f"<!-- generated by `{COMMAND}`; changes made by hand are lost -->",
            "",
            "# How long `bakeoff score` takes",
            "",
            "Traces made by varying times and tokens of the committed ones (their cases, with more trials), scored on "
            f"{cores} cores: up to {TWICE:,} twice, which gave the same bytes, and the one with less processor time "
            "counts.",
            "Where the seconds that passed are many more than the processor's seconds by core, other programs had the "
            "machine.",
            f"{_processor()}, {platform.system()} {platform.machine()}, Python {platform.python_version()}.",
            "",
            "| traces | MB of traces | s | processor s | processor ms a trace | peak memory of all processes, MB |",
            "| ---: | ---: | ---: | ---: | ---: | ---: |",
            *lines,
            "",
        ]
    )


def _processor() -> str:
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
