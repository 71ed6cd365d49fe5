"""The harness's own process asks nobody outside and writes nowhere but where it says: watched as workers are."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from evaluator import ROOT
from evaluator.catalog.frameworks import all_frameworks
from evaluator.harness.environments import provision
from evaluator.harness.watch import seen
from evaluator.models import weights

WATCHED = """
import sys
from evaluator.worker.watched import watch
watch(sys.argv[1], sys.argv[2])
del sys.argv[1:3]
"""
COMMANDS = (
    "run -m scripted -f baseline -t rag_qa --cases quick --traces traces",
    "score --traces traces --out .",
    "report --traces traces --out site",
    "parity -f baseline -t rag_qa --traces traces",
    "export --format openai --traces traces --out conversations.jsonl",
    "list",
)
BAKEOFF = f"""
from evaluator.cli import main
for arguments in {COMMANDS}:
    sys.argv[1:] = arguments.split()
    try:
        main()
    except SystemExit as end:
        print(arguments, "exited with", end.code)
"""
SAMPLE_INTERVAL_S = 0.02


@dataclass(frozen=True)
class Watched:
    """What a process did outside its folder; `home` is what it left in an empty home folder."""

    code: int
    said: str
    events: list[tuple[str, str]]
    home: list[str]

    def of(self, what: str) -> set[str]:
        return {where for kind, where in self.events if kind == what}


def watched(folder: Path, program: str, arguments: Sequence[str] = (), **environment: str) -> Watched:
    """Run a program of Python in a home of its own; hooks of the interpreter and samples from outside watch it."""
    home, log, mine = (folder / name for name in ("home", "log.jsonl", "mine"))
    home.mkdir()
    mine.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    variables = {
        **kept,
        "HOME": str(home),
        "TMPDIR": str(mine),
        "BAKEOFF_CACHE": str(weights.cache_dir()),
        **environment,
    }
    command = [sys.executable, "-c", WATCHED + program, str(log), str(mine), *arguments]
    process = subprocess.Popen(
        command, cwd=mine, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    events: set[tuple[str, str]] = set()
    while process.poll() is None:
        try:
            events.update(set(seen(psutil.Process(process.pid), mine)) - {("writes", str(log))})
        except psutil.Error:
            break
        time.sleep(SAMPLE_INTERVAL_S)
    said, _ = process.communicate()
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    events |= {(line["what"], line["where"]) for line in lines}
    left = sorted(path.relative_to(home).as_posix() for path in home.rglob("*"))
    return Watched(process.returncode, said, sorted(events), left)


async def test_the_harness_asks_nobody_and_writes_only_where_it_says(tmp_path: Path) -> None:
    await provision(all_frameworks()["baseline"], print)  # else uv is started, which is another program
    done = watched(tmp_path, BAKEOFF)
    assert [line for line in done.said.splitlines() if "exited with" in line] == [
        f"{arguments} exited with 0" for arguments in COMMANDS
    ], done.said
    assert done.home == []
    assert {where.rpartition(":")[0] for where in done.of("connect") | done.of("bind")} <= {"127.0.0.1"}
    assert done.of("looks up") <= {"localhost", "127.0.0.1"}
    assert not done.of("sendto") and not done.of("sendmsg")
    own = (str(ROOT / ".bakeoff"), str(weights.cache_dir()), "/dev/", "/proc/self/")
    written = {where for what, where in done.events if what not in ("connect", "bind", "looks up", "starts")}
    assert {path for path in written if not path.startswith(own)} == set()


def test_what_a_library_leaves_behind_would_be_seen(tmp_path: Path) -> None:
    # As compiled code does it (an embedding library writes a device's number): no hook of the interpreter sees that.
    program = "import ctypes, os; ctypes.CDLL(None).mkdir(os.path.expanduser('~/.deviceid').encode(), 0o700)"
    done = watched(tmp_path, program)
    assert done.home == [".deviceid"]


def test_a_look_up_and_a_connection_would_be_seen(tmp_path: Path) -> None:
    program = "import socket; s = socket.socket(2, 2); s.connect(('192.0.2.1', 53)); import time; time.sleep(0.3)\n"
    done = watched(tmp_path, program + "try: socket.getaddrinfo('telemetry.invalid', 443)\nexcept OSError: pass")
    assert "192.0.2.1:53" in done.of("connect") and "telemetry.invalid" in done.of("looks up")
