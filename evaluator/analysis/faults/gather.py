"""From the runs with faults to what came of them, a framework at a time, over several processes."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from evaluator.analysis.faults.judged import FaultRun, judged
from evaluator.analysis.gather import contents, every_task
from evaluator.analysis.kept import Kept, kept_or_made
from evaluator.analysis.parallel import Workers
from evaluator.packs import files_of, frameworks_in, read_packed
from evaluator.providers.names import FAULTS_NAME
from evaluator.trace import DamagedTrace, Trace

Look = Callable[[str, Sequence[tuple[Trace, FaultRun]]], Any]
"""Makes something of a framework's runs. It is sent to another process, and what it gives is sent back."""

_WORTH_PROCESSES = 3
"""With fewer frameworks, starting processes takes longer than it saves."""


@dataclass(frozen=True)
class FaultsOf:
    """What came of the faults in the runs of one framework, the files that cannot be used, and what `look` made."""

    framework: str
    runs: list[FaultRun]
    damaged: list[DamagedTrace]
    seen: Any = None


def gather(
    root: Path,
    frameworks: Container[str],
    tasks: Iterable[str],
    *,
    look: Look | None = None,
    kept: Kept | None = None,
    workers: Workers | None = None,
) -> Iterator[FaultsOf]:
    """Judge the runs with faults below a folder of traces, of these frameworks and tasks.

    The `workers` begin at once; without them it is done here. What a framework's runs gave is taken from `kept` where
    that has it; then `repr(look)` says all that it depends on.
    """
    names = [name for name in frameworks_in(root, FAULTS_NAME) if name in frameworks]
    work = partial(_of_framework, root, frozenset(tasks), look)
    asked = repr((sorted(tasks), look)).encode()

    def made(names: Sequence[str]) -> Iterator[FaultsOf]:
        return (workers or Workers(1)).each(work, names, worth=len(names) >= _WORTH_PROCESSES)

    return kept_or_made(kept, names, lambda name: [asked, *contents(root, files_of(root, FAULTS_NAME, name))], made)


def _of_framework(root: Path, tasks: frozenset[str], look: Look | None, name: str) -> FaultsOf:
    read = list(read_packed(root, FAULTS_NAME, name))
    of_tasks = {task: every_task()[task] for task in sorted(tasks)}
    found = judged((one for one in read if isinstance(one, Trace)), of_tasks)
    damaged = [one for one in read if isinstance(one, DamagedTrace)]
    return FaultsOf(name, [run for _, run in found], damaged, look(name, found) if look else None)
