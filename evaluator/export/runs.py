"""What all formats share: the runs to be exported, graded now, and files that are written whole or not at all."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from evaluator import files
from evaluator.analysis.gather import Folder, LeftOut, Unsound, asked_for, graded_file
from evaluator.analysis.graded_run import GradedRun
from evaluator.catalog.frameworks import framework_folders
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.trace import Key, Trace, model_folder


@dataclass
class Report:
    """What became of the runs that were asked for. `left_out` counts what was not exported, in words."""

    runs: int = 0
    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)

    def in_words(self) -> str:
        """How many runs were looked at, and what was left out."""
        left_out = [f"{count:,} {what}" for what, count in self.left_out.items()]
        if self.damaged:
            left_out.append(f"{len(self.damaged):,} traces that cannot be used")
        return "; left out: ".join(filter(None, [f"{self.runs:,} runs looked at", ", ".join(left_out)]))

    def nothing_to_write(self) -> str:
        """That there is nothing, and why, with the first of the traces that cannot be used."""
        such_as = f", such as {self.damaged[0]}" if self.damaged else ""
        return f"nothing to write: {self.in_words()}{such_as}"


def graded_runs(
    traces: Path,
    models: Sequence[str],
    keep: Callable[[Key], bool],
    report: Report,
    read: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Trace, GradedRun]]:
    """The runs of `models` (none: of all) below `traces` whose key `keep` accepts, by path; `read` is called at each.

    Probes are no runs of a task. A trace that cannot be used is named in `report.damaged`.
    """
    tasks = all_tasks()
    frameworks = {folder.name for folder in framework_folders()}
    trace_folders(traces, models)
    paths = asked_for(traces, models or None, keep)
    folder = Folder.of(traces, paths)
    for path in paths:
        found = graded_file(folder, path, tasks, frameworks)
        read()
        if isinstance(found, LeftOut):
            report.damaged.append(f"{found.path}: {found.reason}")
        elif isinstance(found, Unsound):
            report.left_out[f"ended by the fault of the {found.fault}"] += 1
        elif isinstance(found, tuple):
            report.runs += 1
            yield found


def trace_folders(traces: Path, models: Sequence[str]) -> list[Path]:
    """Where the traces of `models` are; without models, `traces` itself. Raises `Mistake` where there are none."""
    folders = [model_folder(traces, model) for model in models] or [traces]
    for folder in folders:
        if not folder.is_dir():
            raise Mistake(f"{folder}: there is no such folder of traces")
    return folders


def write_lines(records: Iterable[Any], out: Path, report: Report) -> None:
    """Write one line of JSON for each record. Raises `Mistake` where there is none, or it cannot be written."""
    with written_whole(out) as file:
        for record in records:
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            report.written += 1
        if not report.written:
            raise Mistake(report.nothing_to_write())


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that appears at `path` only when it is complete. Raises `Mistake` where it cannot be written."""
    if path.is_dir():
        raise Mistake(f"{path}: cannot be written: Is a directory")
    try:
        with files.written_whole(path) as file:
            yield file
    except OSError as error:
        raise Mistake(f"{path}: cannot be written: {error.strerror}") from None
