from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import factories
import pytest

from evaluator.analysis import suites
from evaluator.analysis.parallel import Workers
from evaluator.analysis.suites import SuiteFound, gather, gather_all
from evaluator.packs import SUITES_FOLDER, pack
from evaluator.trace import Key, write_trace
from tasks.suite import Verdict

DATA = "0123456789abcdef"


def record(
    root: Path,
    framework: str,
    case: str,
    right: bool | None,
    *,
    kind: str = "simple",
    version: str = "1",
    model: str = "scripted",
    **changes: Any,
) -> None:
    key = Key(model=model, framework=framework, task="bfcl", case=case, trial=1)
    asked = {**factories.CASE, "kind": kind, "version": version, "data": DATA}
    trace = factories.trace(key, **changes)
    verdict = None if right is None else Verdict(metrics={"accuracy": right}, reasons=[] if right else ["wrong count"])
    write_trace(root, trace.model_copy(update={"case": asked, "verdict": verdict}))


Recorded = Callable[..., SuiteFound]


@pytest.fixture
def found(tmp_path: Path) -> Recorded:
    def found(runs: Iterable[tuple[Any, ...]], **keep: Any) -> SuiteFound:
        for framework, case, right, *rest in runs:
            record(tmp_path, framework, case, right, **(rest[0] if rest else {}))
        [one] = gather(tmp_path, "scripted", ["bfcl"], **keep)
        return one

    return found


def test_rates_are_by_category_and_over_all(found: Recorded) -> None:
    one = found(
        [
            *(("baseline", f"a{n}", n > 0) for n in range(4)),
            ("baseline", "b0", False, {"kind": "parallel"}),
        ]
    )
    [row] = one.rows
    rates = {category: (rate.held, rate.runs) for category, rate in row.rates["accuracy"].items()}
    assert rates == {"": (3, 5), "simple": (3, 4), "parallel": (0, 1)}
    assert one.cases == {"parallel": 1, "simple": 4} and row.reasons == (("wrong count", 2),)
    assert row.rates["accuracy"][""].low < 0.6 < row.rates["accuracy"][""].high
    assert (row.versus, one.smallest) == ({}, {})  # there is nobody to be compared with


def test_only_cases_that_every_framework_has_count(found: Recorded) -> None:
    one = found([("baseline", "a", True), ("baseline", "b", False), ("agno", "a", False)])
    assert [(row.framework, row.rates["accuracy"][""].runs) for row in one.rows] == [("baseline", 1), ("agno", 1)]
    assert (one.left_out, one.rows[1].versus["accuracy"].difference) == (1, -1.0)


def test_a_difference_in_every_case_is_told_apart_and_a_small_one_is_not(found: Recorded) -> None:
    cases = [f"c{n}" for n in range(30)]
    one = found(
        [
            *(("baseline", case, True) for case in cases),
            *(("agno", case, False) for case in cases),
            *(("crewai", case, case != "c3") for case in cases),
        ]
    )
    _, agno, crewai = one.rows
    assert (agno.versus["accuracy"].difference, crewai.versus["accuracy"].difference) == (-1.0, pytest.approx(-1 / 30))
    assert agno.versus["accuracy"].p_value < 0.001 and crewai.versus["accuracy"].p_value == 1
    assert one.smallest["accuracy"] == pytest.approx(0.11, abs=0.01)


def test_runs_without_a_verdict_of_an_older_version_or_ended_by_the_harness_do_not_count(
    found: Recorded, tmp_path: Path
) -> None:
    one = found(
        [
            ("baseline", "a", True),
            ("baseline", "b", None),
            ("baseline", "c", True, {"version": "0"}),
            ("baseline", "d", False, {"ended": "timeout", "error": "no answer after 60 s"}),
        ]
    )
    [row] = one.rows
    assert (one.unjudged, one.left_out, one.version) == (1, 1, "1")
    assert (row.rates["accuracy"][""].runs, row.unanswered) == (2, 1)


def test_of_frameworks_that_were_not_asked_for_nothing_counts(found: Recorded) -> None:
    runs = [("baseline", "a", True), ("baseline", "b", True), ("agno", "a", False)]
    one = found(runs, frameworks={"baseline"})
    assert ([row.framework for row in one.rows], one.cases, one.left_out) == (["baseline"], {"simple": 2}, 0)


def test_packed_runs_count_and_those_that_are_kept_out_do_not(found: Recorded, tmp_path: Path) -> None:
    assert found([("baseline", "a", True), ("baseline", "b", True)], keep="a".__eq__).cases == {"simple": 1}
    pack(tmp_path, "scripted")
    assert [one.cases for one in gather(tmp_path, "scripted", ["bfcl", "other"])] == [{"simple": 2}]


def test_all_models_are_found_below_the_folder_of_suites(tmp_path: Path) -> None:
    for model in ("scripted", "ollama/qwen3:8b"):
        record(tmp_path / SUITES_FOLDER, "baseline", "a", True, model=model)
        pack(tmp_path / SUITES_FOLDER, model)
    assert [one.model for one in gather_all(tmp_path, ["bfcl"])] == ["ollama/qwen3:8b", "scripted"]
    assert list(gather_all(tmp_path, ["agentdojo"])) == []


def test_over_several_processes_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for framework, passed in (("baseline", True), ("agno", False)):
        for case in ("a", "b"):
            record(tmp_path / SUITES_FOLDER, framework, case, passed)
    monkeypatch.setattr(suites, "_WORTH_PROCESSES", 0)
    with Workers(2) as workers:
        assert list(gather_all(tmp_path, ["bfcl"], workers)) == list(gather_all(tmp_path, ["bfcl"]))
