"""The table of all runs, one row each: which runs, and how it is written."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from evaluator.analysis.gather import LeftOut, Scored, gather
from evaluator.catalog.frameworks import baseline_first, framework_folders
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.export.columns import COLUMNS
from evaluator.export.runs import Report, trace_folders, written_whole
from evaluator.trace import Key

FORMATS = ("csv", "parquet")

_Row = dict[str, Any]


def writer(layout: str) -> Callable[[Sequence[_Row], BinaryIO], None]:
    """What writes rows in a format. Raises `ImportError` where that needs an extra that is not installed."""
    if layout == "csv":
        return write_csv
    from evaluator.export import parquet

    return parquet.write_rows


def write_csv(rows: Sequence[_Row], file: BinaryIO) -> None:
    """Write the rows as CSV: UTF-8, `\\n` after each line, `true` and `false`, nothing for what is not known."""
    text = io.StringIO(newline="")
    lines = csv.DictWriter(text, [column.name for column in COLUMNS], lineterminator="\n")
    lines.writeheader()
    for row in rows:
        lines.writerow({name: _as_text(value) for name, value in row.items()})
    file.write(text.getvalue().encode())


def _as_text(value: Any) -> Any:
    """What stands in a cell; text that a spreadsheet would take for a formula gets an apostrophe, which it hides."""
    if isinstance(value, str):
        value = value.replace("\r\n", "\n").replace("\r", "\n")
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\n")) else value
    return str(value).lower() if isinstance(value, bool) else value


def write(
    write_rows: Callable[[Sequence[_Row], BinaryIO], None],
    traces: Path,
    models: Sequence[str],
    keep: Callable[[Key], bool],
    out: Path,
    report: Report,
    read: Callable[[], None] = lambda: None,
) -> None:
    """Write a row for each run of `models` (none: of all) below `traces` whose key `keep` accepts; `read` is called at
    each run that is read. Raises `Mistake` where there is nothing to write, or it cannot be written.
    """
    trace_folders(traces, models)
    runs: list[Scored] = []
    for one in gather(traces, models or None, keep, [folder.name for folder in framework_folders()]):
        if isinstance(one, LeftOut):
            report.damaged.append(f"{one.path}: {one.reason}")
        elif isinstance(one, Scored):
            runs.append(one)
            read()
    report.damaged.sort()
    order = list(all_tasks())
    runs.sort(key=lambda one: (one.run.key.model, order.index(one.run.key.task), baseline_first(one.run.key.framework)))
    report.runs = report.written = len(runs)
    if not runs:
        raise Mistake(report.nothing_to_write())
    with written_whole(out) as file:
        write_rows([_row(one) for one in runs], file)


def _row(scored: Scored) -> _Row:
    """The row of a run. Times are recorded to 10^-6 s; the rest of a difference is noise of floating point."""
    values = {column.name: column.value(scored.run, scored.setup) for column in COLUMNS}
    return {name: round(value, 9) if isinstance(value, float) else value for name, value in values.items()}
