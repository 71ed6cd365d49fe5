"""Runs against a server that replies as `hostile` says: with the baseline's code, streamed or not, or any framework."""

import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fakes import fake_folder
from hostile import KINDS, Kind, Server

from evaluator import ROOT
from evaluator.catalog.frameworks import Framework, read_framework
from evaluator.catalog.tasks import all_tasks
from evaluator.harness.jobs import Job
from evaluator.harness.runner import Harness, ModelGoneError
from evaluator.trace import Trace, read_trace, write_trace
from tasks.tool_calling.spec import ToolCallingCase

CODE = {
    "plain": ROOT / "implementations" / "baseline" / "tool_calling.py",
    "streaming": Path(__file__).with_name("streaming_agent.py"),
}
"""Implementations of `tool_calling`, one of which streams."""

TIMEOUT_S = 60.0
ENDLESS_S = 0.5
"""The time limit of a run, and that of one whose server's reply has no end. Seconds."""


@dataclass(frozen=True)
class Played:
    """How a run ended. `ended` has the fault in brackets where there is one; memory of the harness in MB."""

    kind: Kind
    ended: str
    error: str
    seconds: float
    peak_memory_mb: float

    @property
    def as_expected(self) -> bool:
        return self.ended == expected(self.kind)


def expected(kind: Kind) -> str:
    return f"{kind.ended} ({kind.fault})" if kind.fault else kind.ended


def agent(folder: Path, name: str, python: Path, retries: bool = True) -> Framework:
    """One of `CODE` as a framework below `folder`, which runs with this interpreter.

    Its client waits a second between its retries; it may be told to make none.
    """
    home = fake_folder(folder, name, python)
    code = CODE[name].read_text(encoding="utf-8")
    code = code if retries else code.replace("AsyncOpenAI(base_url", "AsyncOpenAI(max_retries=0, base_url")
    (home / "tool_calling.py").write_text(code, encoding="utf-8")
    return read_framework(home)


CASE = ToolCallingCase(
    id="hostile",
    kind="no_call",
    level=1,
    size="quick",
    question="Hello?",
    tools=["get_order"],
    prompt="short",
    facts=["hello"],
    answer="Hello.",
)
"""What every run is asked; which kind of reply it gets says its trial."""


async def play(
    harness: Harness,
    framework: Framework,
    server: Server,
    kinds: Sequence[Kind],
    traces: Path,
    say: Callable[[Played], None],
) -> list[Played]:
    """One run of the framework for each kind, one after the other; the traces are written, and read again."""
    task = all_tasks()["tool_calling"]
    played: list[Played] = []
    for kind in kinds:
        server.kind = kind
        job = Job(framework, task, CASE, 1 + KINDS.index(kind), timeout_s=ENDLESS_S if kind.endless else TIMEOUT_S)
        _forget_peak()
        start = time.monotonic()
        try:
            trace = await harness.run(job)
            path = write_trace(traces, trace)
            again = read_trace(path)
            assert isinstance(again, Trace), again
            fault = f" ({trace.outcome.fault})" if trace.outcome.fault else ""
            ended, error = f"{trace.outcome.ended}{fault}", trace.outcome.error or ""
        except ModelGoneError as gone:
            ended, error = "gone", str(gone)
        played.append(Played(kind, ended, error, time.monotonic() - start, _peak_mb()))
        say(played[-1])
    return played


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    """Highest resident memory of this process since it was last forgotten, where the system can say that; in MB."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
