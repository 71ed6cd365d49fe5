"""Plays every kind of hostile reply of a model's server, through the gateway with real frameworks, then scores them.

`uv run python tests/benchmarks/hostile_replies.py` takes some minutes and prints a table. The kinds stand in
`tests/support/hostile.py`. With `-f NAME,…` the kinds that do not stream are played with these frameworks besides.
Their environments must be there: `bakeoff run` makes them.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

sys.path.append(str(Path(__file__).parents[1] / "support"))

from hostile import KINDS, Kind, serving
from hostile_runs import Played, agent, expected, play

from evaluator import ROOT
from evaluator.catalog.frameworks import all_frameworks
from evaluator.harness.environments import python_of
from evaluator.harness.jobs import Settings
from evaluator.harness.runner import harness
from evaluator.models import specs
from evaluator.text import shortened, visible

COMMANDS = (
    ("score", "--out", "{out}"),
    ("report", "--out", "{out}/site"),
    *(
        ("export", "--format", one, "--out", f"{{out}}/{one}")
        for one in ("csv", "openai", "sharegpt", "alpaca", "otlp")
    ),
)


async def played(kinds: list[Kind], names: list[str], folder: Path, traces: Path) -> list[tuple[str, Played]]:
    """Each kind with the baseline's code, streamed where it is a stream, and with each of the frameworks."""
    baseline = all_frameworks()["baseline"]
    plain = [kind for kind in kinds if not kind.streams]
    rows = []
    with serving(kinds) as server:
        settings = Settings(
            model=specs.resolve("hostile", server.url, None), timeout_s=60.0, jobs=1, logs=folder / "logs"
        )
        frameworks = [
            (baseline, plain),
            (agent(folder, "streaming", python_of(baseline)), [k for k in kinds if k.streams]),
        ]
        frameworks += [(all_frameworks()[name], plain) for name in names]
        for framework, of in frameworks:
            print(f"  {framework.name}:")
            async with harness(settings, ["tool_calling"], Console(stderr=True)) as made:
                rows += [(framework.name, one) for one in await play(made, framework, server, of, traces, shown)]
    return rows


def shown(one: Played) -> None:
    mark = "  " if one.as_expected else "! "
    error = shortened(one.error, 150)
    print(
        f"{mark}{one.kind.name:45} {one.ended:16} {expected(one.kind):16} "
        f"{one.peak_memory_mb:6.0f} {one.seconds:6.1f}  {error}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Plays every kind of hostile reply of a model's server.")
    parser.add_argument("-f", default="", help="frameworks besides the baseline")
    parser.add_argument("--only", default="", help="the kinds with this in their names")
    parser.add_argument("--light", action="store_true", help="without the kinds of tens of megabytes")
    asked = parser.parse_args()
    kinds = [kind for kind in KINDS if asked.only in kind.name and not (asked.light and kind.heavy)]
    print(f"  {'kind':45} {'ended':16} {'expected':16} {'MB':>6} {'s':>6}")
    with tempfile.TemporaryDirectory(prefix="bakeoff-hostile-") as name:
        folder, traces = Path(name), Path(name) / "traces"
        rows = asyncio.run(played(kinds, [one for one in asked.f.split(",") if one], folder, traces))
        ours = [one for name, one in rows if name in ("baseline", "streaming")]
        as_expected = sum(one.as_expected for one in ours)
        print(
            f"{len(ours)} runs with the baseline's code, {as_expected} as expected; {len(rows) - len(ours)} with others"
        )
        failed = as_expected != len(ours)
        for path in (traces / "hostile" / "streaming").rglob(
            "*.json"
        ):  # score only what is a framework of the catalogue
            to = traces / "hostile" / "baseline" / "tool_calling" / path.name
            to.write_bytes(path.read_bytes().replace(b'"framework": "streaming"', b'"framework": "baseline"', 1))
        for command in COMMANDS:
            arguments = [part.format(out=folder / "out") for part in command]
            (folder / "out").mkdir(exist_ok=True)
            start = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "evaluator", *arguments, "--traces", str(traces)],
                cwd=ROOT, capture_output=True, text=True, errors="replace",
            )  # fmt: skip
            said = done.stdout + done.stderr
            raw, traceback = visible(said) != said, "Traceback" in said
            failed |= bool(done.returncode or raw or traceback)
            memory = f"{time.monotonic() - start:.1f} s"
            print(f"{' '.join(command[:3])}: exit code {done.returncode}, {memory}, raw: {raw}, traceback: {traceback}")
            if done.returncode or traceback or raw:
                print(ascii(said[-3000:]))
    sys.exit(failed)


if __name__ == "__main__":
    main()
