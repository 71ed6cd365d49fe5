"""Training conversations of recorded runs, as lines of JSON."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from evaluator.analysis.graded_run import GradedRun
from evaluator.export import alpaca, openai, sharegpt
from evaluator.export.conversations import Conversation, LeftOutError, conversations
from evaluator.export.runs import Report, write_lines
from evaluator.trace import Trace

LAYOUTS: dict[str, Callable[[Conversation], Iterator[dict[str, Any]]]] = {
    "openai": openai.records,
    "sharegpt": sharegpt.records,
    "alpaca": alpaca.records,
}


def write(layout: str, runs: Iterable[tuple[Trace, GradedRun]], failed: bool, out: Path, report: Report) -> None:
    """Write the conversations of the runs that passed, of the `failed` ones too if asked, one record a line.

    Raises `Mistake` where there is nothing to write, or it cannot be written.
    """
    write_lines(_records(layout, runs, failed, report), out, report)


def _records(
    layout: str, runs: Iterable[tuple[Trace, GradedRun]], failed: bool, report: Report
) -> Iterator[dict[str, Any]]:
    for trace, run in runs:
        if run.passed or failed:
            yield from _records_of(layout, trace, report)
        else:
            report.left_out["runs that failed"] += 1


def _records_of(layout: str, trace: Trace, report: Report) -> Iterator[dict[str, Any]]:
    try:
        found = conversations(trace)
    except LeftOutError as reason:
        report.left_out[f"runs with {reason}"] += 1
        return
    for conversation in found:
        try:
            yield from LAYOUTS[layout](conversation)
        except LeftOutError as reason:
            report.left_out[f"conversations with {reason}"] += 1
