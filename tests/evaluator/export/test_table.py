"""`bakeoff export --format csv` and `parquet`: a row for each run. Parquet needs the extra `parquet`."""

import csv
import sys
from pathlib import Path
from typing import Any

import pytest
from factories import CASE, key, model_call, trace
from played import changed, played, system

from evaluator import ROOT, cli
from evaluator.errors import Mistake
from evaluator.export import run_table
from evaluator.export.columns import COLUMNS
from evaluator.export.runs import Report
from evaluator.trace import Key, write_trace

ALL: list[str] = []
AWKWARD = '"quoted", and\nbroken'


def write(tmp_path: Path, layout: str = "csv", models: list[str] = ALL, framework: str | None = None) -> Report:
    def keep(run: Key) -> bool:
        return framework in (None, run.framework)

    report = Report()
    run_table.write(run_table.writer(layout), tmp_path / "traces", models, keep, tmp_path / f"runs.{layout}", report)
    return report


def rows(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "runs.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Runs that pass and fail, one that adds to the wire, a probe, and a damaged trace."""
    plain = played("tool_calling", "two-orders", framework="baseline")
    more = changed(played("tool_calling", "two-orders", framework="langgraph"), system(lambda text: f"{text} Be nice."))
    good = trace(key("good"), model_calls=[model_call(0.1, 0.2, 0.5, 0.6, stream=True, first_byte_s=0.3)])
    for run in (plain, more, good, trace(key(model="probes"))):
        write_trace(tmp_path / "traces", run)
    case = {**CASE, "facts": [AWKWARD], "answer": AWKWARD}
    weights = {"packages": 14, "installed_mb": 19.97, "import_s": None, "peak_memory_mb": None}
    odd = trace(key("odd", 2, model="ollama/q"), case=case, wall_s=0.7, resources=weights)
    write_trace(tmp_path / "traces", odd)
    (tmp_path / "traces" / "scripted" / "x.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize("begin", ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(begin: str, tmp_path: Path) -> None:
    run = trace(key("odd", model="ollama/q"), case={**CASE, "facts": [begin], "answer": begin})
    error = run.outcome.model_copy(update={"ended": "error", "error": begin})
    write_trace(tmp_path / "traces", run.model_copy(update={"outcome": error}))
    write_trace(tmp_path / "traces", trace(key("odd", model="=1+1")))
    write(tmp_path)
    for row in rows(tmp_path):
        for name, value in row.items():
            numbers = name not in ("model", "case", "reasons", "ended", "framework")
            assert numbers or not value.startswith(tuple("=+-@\t\r")), (name, value)


def test_each_run_is_a_row(traces: Path) -> None:
    report = write(traces)
    assert (report.runs, report.written, len(report.damaged)) == (4, 4, 1)
    assert report.damaged[0].startswith("scripted/x.json: line 1: not valid JSON")
    odd, good, plain, more = rows(traces)
    assert list(odd) == [column.name for column in COLUMNS]
    assert [odd[name] for name in ("model", "framework", "case", "trial")] == ["ollama/q", "baseline", "odd", "2"]
    assert (odd["passed"], odd["ended"], odd["framework_version"]) == ("false", "answered", "1.0")
    assert odd["reasons"] == f"the answer lacks the fact {AWKWARD!r}"
    assert (odd["wall_s"], odd["model_s"], odd["gateway_s"], odd["tool_s"], odd["overhead_s"]) == (
        *("0.7", "0.3", "0.2", "0.0", "0.2"),
    )
    assert (odd["packages"], odd["installed_mb"], odd["import_s"], odd["cost_usd"]) == ("14", "19.97", "", "")
    assert (good["passed"], good["score"], good["reasons"]) == ("true", "1.0", "")
    assert (good["first_token_s"], odd["first_token_s"]) == ("0.1", "")
    assert int(more["injected_tokens"]) > int(plain["injected_tokens"]) > 0
    assert plain["compared_calls"] == more["compared_calls"] == "2"
    before = (traces / "runs.csv").read_bytes()
    write(traces)
    assert (traces / "runs.csv").read_bytes() == before and b"\r" not in before


def test_a_framework_alone_has_the_same_figures(traces: Path) -> None:
    write(traces)
    *_, beside = rows(traces)
    assert write(traces, framework="langgraph").written == 1
    [other] = rows(traces)
    assert other == beside and other["framework"] == "langgraph"


def test_only_the_models_asked_for_and_nothing_where_there_is_nothing(traces: Path) -> None:
    assert write(traces, models=["ollama/q"]).written == 1
    (traces / "runs.csv").unlink()
    with pytest.raises(Mistake, match=r"^nothing to write: 0 runs looked at"):
        write(traces, framework="crewai")
    with pytest.raises(Mistake, match="no such folder of traces"):
        write(traces, models=["gone"])
    assert not (traces / "runs.csv").exists()


def test_every_column_is_explained() -> None:
    page = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    for column in COLUMNS:
        assert column.meaning and f"`{column.name}`" in page


def test_parquet_is_read_back_with_types_meanings_and_units(traces: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    write(traces, "parquet")
    write(traces)
    table = parquet.read_table(traces / "runs.parquet")
    assert table.column_names == [column.name for column in COLUMNS]
    kinds = {str: "string", int: "int64", float: "double", bool: "bool"}
    assert [str(field.type) for field in table.schema] == [kinds[column.kind] for column in COLUMNS]
    assert table.schema.field("wall_s").metadata == {b"meaning": b"wall time, the sum of the next four", b"unit": b"s"}
    for row, line in zip(table.to_pylist(), rows(traces), strict=True):
        as_text = {name: "" if value is None else str(value) for name, value in row.items()}
        assert {**as_text, "passed": "", "usage_counted": ""} == {**line, "passed": "", "usage_counted": ""}
        assert str(row["passed"]).lower() == line["passed"]


def test_on_the_command_line(traces: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def bakeoff(layout: str) -> tuple[str, str, Any]:
        out = traces / "made" / f"runs.{layout}"
        words = ["export", "--format", layout, "--traces", str(traces / "traces"), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["bakeoff", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return *capsys.readouterr(), ended.value.code

    said, _, code = bakeoff("csv")
    assert code == 0 and "wrote 4 rows to " in said and "1 traces that cannot be used" in said

    def not_installed(layout: str) -> None:
        raise ImportError

    monkeypatch.setattr(run_table, "writer", not_installed)
    said, error, code = bakeoff("parquet")
    assert (said, code) == ("", 2)
    assert error == "bakeoff: --format parquet: needs the extra, as in `uv run --extra parquet bakeoff …`\n"
    assert not (traces / "made" / "runs.parquet").exists()
