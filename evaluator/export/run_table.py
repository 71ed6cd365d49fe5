"""The table of all runs, one row each: what its columns are, and how it is written."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from evaluator import scorecard
from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.parity.compare import Observation
from evaluator.errors import Mistake
from evaluator.export.runs import Report, trace_folders, written_whole
from evaluator.trace import Key, Setup, Trace

FORMATS = ("csv", "parquet")

_Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column. `kind` is the type of its values; the unit is empty where there is none."""

    name: str
    kind: type[str] | type[int] | type[float] | type[bool]
    unit: str
    meaning: str
    value: Callable[[GradedRun, Setup], Any]


COLUMNS = (
    Column("model", str, "", "what answered", lambda run, _: run.key.model),
    Column("framework", str, "", "the framework's folder", lambda run, _: run.key.framework),
    Column("task", str, "", "the task", lambda run, _: run.key.task),
    Column("case", str, "", "the case of the task", lambda run, _: run.key.case),
    Column("trial", int, "", "the how-manieth repetition", lambda run, _: run.key.trial),
    Column("framework_version", str, "", "the framework's version", lambda _, setup: setup.framework_version),
    Column("started_at", str, "", "when the run was made, in ISO 8601", lambda _, setup: setup.started_at),
    Column("ended", str, "", "answered, error, timeout or call_limit", lambda run, _: run.ended),
    Column("passed", bool, "", "whether all checks held", lambda run, _: run.passed),
    Column("score", float, "share", "checks that held", lambda run, _: run.score),
    Column("reasons", str, "", "why it did not pass, separated by semicolons", lambda run, _: "; ".join(run.reasons)),
    Column("wall_s", float, "s", "wall time, the sum of the next four", lambda run, _: run.wall_s),
    Column("model_s", float, "s", "time with the model at work", lambda run, _: run.split.model_s),
    Column("tool_s", float, "s", "time in tools", lambda run, _: run.split.tool_s),
    Column("gateway_s", float, "s", "time in the gateway", lambda run, _: run.split.gateway_s),
    Column("overhead_s", float, "s", "time in none of these", lambda run, _: run.split.overhead_s),
    Column(
        "first_token_s",
        float,
        "s",
        "wait for the first streamed answer",
        lambda r, _: next(iter(r.first_token_s), None),
    ),
    Column("model_calls", int, "calls", "chat calls, failed ones too", lambda run, _: run.model_calls),
    Column("prompt_tokens", int, "tokens", "prompt tokens on the wire", lambda run, _: run.prompt_tokens),
    Column("completion_tokens", int, "tokens", "completion tokens on the wire", lambda run, _: run.completion_tokens),
    Column("cached_tokens", int, "tokens", "prompt tokens from the upstream's cache", lambda run, _: run.cached_tokens),
    Column("embedding_tokens", int, "tokens", "tokens that were embedded", lambda run, _: run.embedding_tokens),
    Column("usage_counted", bool, "", "whether the gateway counted some of them itself", lambda r, _: r.usage_counted),
    Column(
        "injected_tokens",
        int,
        "tokens",
        "prompt tokens beyond the baseline's, in the calls that can be compared",
        lambda run, _: run.injected_tokens,
    ),
    Column("compared_calls", int, "calls", "how many calls these are", lambda run, _: run.compared_calls),
    Column(
        "reported_prompt_tokens", int, "tokens", "the framework's own count", lambda run, _: run.reported_prompt_tokens
    ),
    Column(
        "reported_completion_tokens",
        int,
        "tokens",
        "the framework's own count",
        lambda run, _: run.reported_completion_tokens,
    ),
    Column("cost_usd", float, "USD", "price of the chat calls, where it is known", lambda run, _: run.cost_usd),
    Column("import_s", float, "s", "time in which its worker imported all", lambda run, _: run.import_s),
    Column(
        "memory_after_import_mb",
        float,
        "MB",
        "memory of its worker after that",
        lambda run, _: run.memory_after_import_mb,
    ),
    Column("peak_memory_mb", float, "MB", "peak memory of its worker so far", lambda run, _: run.peak_memory_mb),
    Column("packages", int, "packages", "packages in the framework's environment", lambda run, _: run.packages),
    Column("installed_mb", float, "MB", "size of their files, without bytecode", lambda run, _: run.installed_mb),
)
"""Key, outcome and metrics of a run. MB are 10^6 bytes."""


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
    each run that is read.

    The baseline's runs are read whatever is kept: injected tokens are those beyond its own. Raises `Mistake` where
    there is nothing to write, or it cannot be written.
    """
    trace_folders(traces, models)
    setups: dict[Key, Setup] = {}

    def seen(trace: Trace, run: GradedRun, _: Observation | None) -> None:
        setups[run.key] = trace.setup
        read()

    card = scorecard.build(traces, models=models or None, seen_run=seen)
    report.damaged += [f"{damaged.path}: {damaged.reason}" for damaged in card.damaged]
    kept = [run for run in card.runs if keep(run.key)]
    report.runs = report.written = len(kept)
    if not kept:
        raise Mistake(f"nothing to write: {report.in_words()}")
    with written_whole(out) as file:
        write_rows([_row(run, setups[run.key]) for run in kept], file)


def _row(run: GradedRun, setup: Setup) -> _Row:
    """The row of a run. Times are recorded to 10^-6 s; the rest of a difference is noise of floating point."""
    values = {column.name: column.value(run, setup) for column in COLUMNS}
    return {name: round(value, 9) if isinstance(value, float) else value for name, value in values.items()}
