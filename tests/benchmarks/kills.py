"""Kills what takes part in a recording, at random moments, and looks at what the same command then makes of it.

`uv run python tests/benchmarks/kills.py` kills each of `KINDS` fifty times, which takes about half an hour, and writes
`KILLS.md` beside this file. After each kill the same command is given again; then every run must be there, once, with
the outcome that it has where nothing is killed, and what was recorded before must be as it was.
"""

import argparse
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import track

from evaluator import ROOT
from evaluator.trace import Trace, read_trace

TABLE = Path(__file__).with_name("KILLS.md")
COMMAND = "uv run python tests/benchmarks/kills.py"
WORKER = "evaluator.worker.main"
COLUMNS = ("as expected", "runs lost", "changed", "wrongly recorded", "files left", "processes left")
_IMPORTS_S = 0.6
_LONGEST_S = 120.0
_GONE_WITHIN_S = 10.0

ANSWERS = """
import sys, time
sys.path.insert(0, "tests/support")
from model_server import Answer, serving
answer = {"role": "assistant", "content": "That cannot be said."}
body = {"choices": [{"index": 0, "message": answer, "finish_reason": "stop"}]}
def answered(number, headers):
    time.sleep(0.03)
    return Answer(200, body)
with serving(answered, int(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Place:
    """Where one attempt happens: a folder for traces, and one for temporary files."""

    traces: Path
    temporary: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.temporary), "OPENAI_API_KEY": ""}

    def recorded(self) -> dict[str, bytes]:
        """The traces by their paths."""
        found = (path for path in self.traces.rglob("*.json") if not path.name.startswith("."))
        return {path.relative_to(self.traces).as_posix(): path.read_bytes() for path in found}

    def outcomes(self) -> dict[str, tuple[str, str, bool]]:
        """How each run ended, what it answered, and whether it was ended by a fault."""
        traces = {path: read_trace(self.traces / path) for path in self.recorded()}
        return {
            path: (one.outcome.ended, one.outcome.answer, one.outcome.fault is not None)
            for path, one in traces.items()
            if isinstance(one, Trace)
        }

    def left(self) -> tuple[int, int]:
        """Files that nobody will use any more, and processes of this attempt that live on."""
        until = time.monotonic() + _GONE_WITHIN_S
        while (alive := self._alive()) and time.monotonic() < until:
            time.sleep(0.1)
        files = [*self.traces.rglob(".*.tmp"), *self.temporary.iterdir()]
        for path in files:
            print(f"left: {path}", file=sys.stderr)
        return len(files), alive

    def _alive(self) -> int:
        count = 0
        for process in psutil.process_iter():
            try:
                count += str(self.temporary) in (process.environ().get("TMPDIR"), process.cwd())
            except psutil.Error:
                continue
        return count


@contextmanager
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="bakeoff-kills-") as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        made = Place(Path(folder, "traces"), Path(folder, "tmp"), port)
        made.temporary.mkdir()
        yield made


Attempt = Callable[[Place, random.Random], None]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "evaluator", *arguments]


def started(arguments: list[str], at: Place) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments, cwd=ROOT, env=at.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def runs_of(at: Place, *more: str) -> list[str]:
    asked = ("-f", "baseline", "-t", "handoff", "--cases", "standard", "--traces", str(at.traces))
    return command("run", *asked, *more)


SCRIPTED = ("-m", "scripted")


def kill_harness(at: Place, chance: random.Random) -> None:
    """The harness itself, somewhere between its start and its end."""
    process = started(runs_of(at, *SCRIPTED), at)
    time.sleep(chance.uniform(0.2, took_s("run")))
    process.kill()
    process.wait()


def kill_starting_worker(at: Place, chance: random.Random) -> None:
    """A worker while it imports its framework."""
    _kill_worker(at, chance.uniform(0, _IMPORTS_S), after_a_trace=False)


def kill_ready_worker(at: Place, chance: random.Random) -> None:
    """A worker once a run is recorded."""
    _kill_worker(at, chance.uniform(0, 0.3), after_a_trace=True)


def _kill_worker(at: Place, wait_s: float, *, after_a_trace: bool) -> None:
    process = started(runs_of(at, *SCRIPTED), at)
    harness = psutil.Process(process.pid)
    while process.poll() is None:
        workers = [one for one in harness.children() if _is_worker(one)]
        if workers and (not after_a_trace or at.recorded()):
            time.sleep(wait_s)
            for worker in workers[:1]:
                try:
                    worker.kill()
                except psutil.NoSuchProcess:
                    continue
            break
        time.sleep(0.01)
    process.wait(_LONGEST_S)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return WORKER in process.cmdline()
    except psutil.Error:
        return False


def kill_server(at: Place, chance: random.Random) -> None:
    """The model's server in the middle of the runs; the same command is given again with another one."""
    with served(at) as (server, url):
        process = started(runs_of(at, "-m", "m", "--base-url", url), at)
        while process.poll() is None and not at.recorded():
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.5))
        server.kill()
        process.wait(_LONGEST_S)


@contextmanager
def served(at: Place) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A model's server in a process of its own, always at the same address in one place."""
    with subprocess.Popen(
        [sys.executable, "-c", ANSWERS, str(at.port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout
        yield server, server.stdout.readline().strip()
        server.kill()


def run_again(at: Place) -> int:
    return subprocess.run(
        runs_of(at, *SCRIPTED), cwd=ROOT, env=at.environment, capture_output=True, timeout=_LONGEST_S
    ).returncode


def run_again_on_a_server(at: Place) -> int:
    with served(at) as (_, url):
        asked = runs_of(at, "-m", "m", "--base-url", url)
        return subprocess.run(asked, cwd=ROOT, env=at.environment, capture_output=True, timeout=_LONGEST_S).returncode


def report_to(at: Place, folder: str) -> list[str]:
    return command("report", "--traces", str(at.traces), "--out", str(at.traces.parent / folder))


def digest_of(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


@dataclass(frozen=True)
class Kind:
    """What is killed, and what makes it good again."""

    name: str
    kill: Attempt
    again: Callable[[Place], int]


KINDS = (
    Kind("harness", kill_harness, run_again),
    Kind("starting worker", kill_starting_worker, run_again),
    Kind("ready worker", kill_ready_worker, run_again),
    Kind("model's server", kill_server, run_again_on_a_server),
)

_TOOK_S: dict[str, float] = {}


def took_s(what: str) -> float:
    return _TOOK_S[what]


def expected(kind: Kind) -> dict[str, tuple[str, str, bool]]:
    """The outcome of each run where nothing is killed."""
    with place() as at:
        start = time.monotonic()
        assert kind.again(at) == 0, f"{kind.name}: without a kill it fails"
        _TOOK_S.setdefault("run", time.monotonic() - start)
        return at.outcomes()


def attempted(kind: Kind, wanted: dict[str, tuple[str, str, bool]], chance: random.Random) -> Counter[str]:
    """What one kill led to, in the terms of `COLUMNS`."""
    with place() as at:
        kind.kill(at, chance)
        before, ended = at.recorded(), at.outcomes()
        sound = {path for path, (_, _, fault) in ended.items() if not fault}
        wrong = sum(ended[path] != wanted[path] for path in sound)
        code = kind.again(at)
        after = at.recorded()
        files, processes = at.left()
        found = Counter(
            {
                "runs lost": len(wanted.keys() - after.keys()),
                "changed": sum(before[path] != after.get(path) for path in sound),
                "wrongly recorded": wrong + sum(at.outcomes().get(path) != one for path, one in wanted.items()),
                "files left": files,
                "processes left": processes,
            }
        )
        return found + Counter({"as expected": int(code == 0 and not found.total())})


def attempted_report(wanted: str, traces: Path, chance: random.Random) -> Counter[str]:
    """What killing `bakeoff report` led to: the pages of before must stand until those of now do."""
    with place() as at:
        shutil.copytree(traces, at.traces)
        site = at.traces.parent / "site"
        subprocess.run(report_to(at, "site"), cwd=ROOT, env=at.environment, check=True, capture_output=True)
        process = started(report_to(at, "site"), at)
        time.sleep(chance.uniform(0.2, took_s("report")))
        process.kill()
        process.wait()
        lost = int(not site.exists() or digest_of(site) != wanted)
        again = subprocess.run(report_to(at, "site"), cwd=ROOT, env=at.environment, capture_output=True)
        files, processes = at.left()
        beside = sum(path.name not in ("traces", "tmp", "site") for path in at.traces.parent.iterdir())
        found = Counter(
            {
                "changed": lost,
                "wrongly recorded": int(digest_of(site) != wanted),
                "files left": files + beside,
                "processes left": processes,
            }
        )
        return found + Counter({"as expected": int(again.returncode == 0 and not found.total())})


def killed_reports(times: int, chance: random.Random, console: Console) -> Counter[str]:
    with place() as at:
        assert run_again(at) == 0
        start = time.monotonic()
        subprocess.run(report_to(at, "site"), cwd=ROOT, env=at.environment, check=True, capture_output=True)
        _TOOK_S["report"] = time.monotonic() - start
        wanted = digest_of(at.traces.parent / "site")
        found: Counter[str] = Counter()
        for _ in track(range(times), "report", console=console):
            found += attempted_report(wanted, at.traces, chance)
        return found


def main() -> None:
    """Kill each kind so many times, print what came of it, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="kills of each kind (default: 50)")
    parser.add_argument("--kinds", default="", help="only those whose names contain this")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    console, chance = Console(stderr=True), random.Random(asked.seed)
    rows = []
    for kind in KINDS:
        if asked.kinds in kind.name:
            wanted, found = expected(kind), Counter[str]()
            for _ in track(range(asked.times), kind.name, console=console):
                found += attempted(kind, wanted, chance)
            rows.append((kind.name, asked.times, found))
    if asked.kinds in "report":
        rows.append(("report", asked.times, killed_reports(asked.times, chance, console)))
    print(_table(rows))
    names = [*(kind.name for kind in KINDS), "report"]
    lines = _recorded_lines() | {name: _line(name, times, found) for name, times, found in rows}
    table = "\n".join([*_header(), *(lines[name] for name in names if name in lines)])
    TABLE.write_text(f"{_head(asked.seed)}\n{table}\n", encoding="utf-8")


def _recorded_lines() -> dict[str, str]:
    """The rows of the table as it is, by what is killed: those that are not made anew stay."""
    recorded = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []
    return {line.split("|")[1].strip(): line for line in recorded if line.startswith("| ")}


def _head(seed: int) -> str:
    return f"""\
<!-- generated by `{COMMAND}`; changes made by hand are lost -->

# What is killed, and what comes of it

`kill -9` at random moments (seed {seed}), each in a recording of its own; then the same command once more. *As
expected*: it ends with exit code 0, every run is there with the outcome that it has where nothing is killed, what had
been recorded is as it was, and no file and no process is left. *Wrongly recorded* counts runs that are recorded as
something else, after the kill or at the end; a run that is marked as ended by a fault is none.
"""


def _table(rows: list[tuple[str, int, Counter[str]]]) -> str:
    return "\n".join([*_header(), *(_line(*row) for row in rows)])


def _header() -> list[str]:
    return [" | ".join(("| killed", "n", *COLUMNS)) + " |", "| --- |" + " ---: |" * (1 + len(COLUMNS))]


def _line(name: str, times: int, found: Counter[str]) -> str:
    return " | ".join((f"| {name}", str(times), *(str(found[column]) for column in COLUMNS))) + " |"


if __name__ == "__main__":
    main()
