"""Fills the published documents from a scorecard, and dumps them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from evaluator.analysis.capabilities import as_data as as_cell_data
from evaluator.analysis.faults.rows import Total
from evaluator.analysis.faults.rows import as_data as as_fault_data
from evaluator.analysis.history import Changed, HistoryOf, Measured
from evaluator.analysis.metrics import METRICS, rounded
from evaluator.analysis.models import as_data as as_comparison_data
from evaluator.analysis.pairs import COMPARED
from evaluator.analysis.parity.report import as_data as as_parity_data
from evaluator.analysis.repricing import as_data as as_repricing_data
from evaluator.analysis.suites import Row as SuiteFrameworkRow
from evaluator.analysis.suites import SuiteFound
from evaluator.catalog.suites import Suite
from evaluator.faults.table import FAULTS
from evaluator.scorecard.content import (
    CAPABILITIES_NAME,
    COMMAND,
    FAILURES_NAME,
    FAULTS_NAME,
    HISTORY_NAME,
    JSON_NAME,
    PAIRS_NAME,
    SUITES_NAME,
    Capabilities,
    Cell,
    Faults,
    ReferenceRow,
    Scorecard,
)
from evaluator.scorecard.document import (
    SCHEMA_VERSION,
    CapabilitiesDocument,
    Companion,
    Companions,
    Document,
    FailedRun,
    FailuresDocument,
    FaultsDocument,
    HistoryDocument,
    PairRow,
    PairsDocument,
    ScorecardDocument,
    SuitesDocument,
)

_BEGIN: dict[str, Any] = {"generated_by": COMMAND, "schema": SCHEMA_VERSION}


def documents(scorecard: Scorecard) -> dict[str, str]:
    """All documents, by the name of their file. `scorecard.json` names the others, with their digests."""
    pairs = PairsDocument(
        **_BEGIN,
        columns=list(PairRow._fields),
        rows=[PairRow(**asdict(pair)) for pair in scorecard.pairs],
    )
    failures = FailuresDocument(
        **_BEGIN,
        failures=[FailedRun(**one.key.model_dump(), reasons=list(one.reasons)) for one in scorecard.failures],
    )
    beside = {
        PAIRS_NAME: _dumped(pairs, "rows"),
        FAILURES_NAME: _dumped(failures),
        FAULTS_NAME: _dumped(_faults(scorecard.faults)),
        CAPABILITIES_NAME: _dumped(_capabilities(scorecard.capabilities)),
        HISTORY_NAME: _dumped(_history(scorecard.history)),
        SUITES_NAME: _dumped(_suites(scorecard.suites)),
    }
    companions = {name: Companion(file=name, sha256=_digest(content)) for name, content in beside.items()}
    files = Companions(
        pairs=companions[PAIRS_NAME],
        failures=companions[FAILURES_NAME],
        faults=companions[FAULTS_NAME],
        capabilities=companions[CAPABILITIES_NAME],
        history=companions[HISTORY_NAME],
        suites=companions[SUITES_NAME],
    )
    return {JSON_NAME: _dumped(_main(scorecard, files)), **beside}


def _main(scorecard: Scorecard, files: Companions) -> ScorecardDocument:
    return ScorecardDocument.model_validate(
        {
            **_BEGIN,
            "cells": [
                {"task": cell.task, **_of_cell(cell), "components": _of_components(cell)} for cell in scorecard.cells
            ],
            "totals": [_of_cell(cell) for cell in scorecard.totals],
            "references": [
                {
                    **asdict(row.reference),
                    "model": row.model,
                    "task": row.task,
                    **row.metrics,
                    "pass_rate_by_level": _of_levels(row),
                    "components": _of_components(row),
                }
                for row in scorecard.references
            ],
            "models": as_comparison_data(scorecard.comparison) if scorecard.comparison else None,
            "other_models": as_repricing_data(scorecard.repricing) if scorecard.repricing else None,
            "metrics": METRICS,
            "compared": COMPARED,
            "parity": [as_parity_data(one) for one in scorecard.parities],
            "behaviours": scorecard.behaviours,
            "damaged": scorecard.damaged,
            "unsound": [{**one.key.model_dump(), "fault": one.fault, "error": one.error} for one in scorecard.unsound],
            "setups": scorecard.setups,
            "frameworks": [
                {
                    "name": name,
                    "title": notes.title,
                    "homepage": notes.homepage,
                    "by_hand": notes.by_hand,
                    "deviations": [{"number": i, "task": task, "note": note} for i, task, note in notes.deviations],
                    "not_implemented": dict(notes.not_implemented),
                }
                for name, notes in scorecard.frameworks.items()
            ],
            "price_list": scorecard.price_list,
            "notes": scorecard.notes,
            "files": files,
        }
    )


def _faults(faults: Faults | None) -> FaultsDocument:
    found = faults or Faults((), (), (), {})
    shown = {row.fault for row in found.rows}
    return FaultsDocument.model_validate(
        {
            **_BEGIN,
            "faults": [fault for fault in FAULTS if fault.name in shown],
            "totals": [_of_total(total, found.lines) for total in found.totals],
            "rows": as_fault_data(found.rows),
            "pairs": found.pairs,
            "notes": found.notes,
        }
    )


def _history(history: Sequence[HistoryOf]) -> HistoryDocument:
    return HistoryDocument.model_validate(
        {
            **_BEGIN,
            "frameworks": [
                {
                    "framework": one.framework,
                    "runs_back_to": one.runs_back_to and one.runs_back_to.at,
                    "breaks_at": one.breaks_at and one.breaks_at.at,
                    "tasks": {task: (at := one.task_runs_back_to(task)) and at.at for task in one.tasks},
                    "code_back_to": one.code_back_to,
                }
                for one in history
            ],
            "cells": [_of_release(cell) for one in history for cell in one.cells],
            "changes": [
                _of_change(of_framework.framework, one) for of_framework in history for one in of_framework.changes
            ],
        }
    )


def _suites(suites: Sequence[tuple[Suite, SuiteFound]]) -> SuitesDocument:
    return SuitesDocument.model_validate(
        {
            **_BEGIN,
            "suites": [
                {
                    **{"suite": suite.name, "title": suite.title, "package": suite.package, "licence": suite.licence},
                    **{name: getattr(found, name) for name in ("version", "data", "model", "cases", "left_out")},
                    "smallest_difference": found.smallest,
                    "frameworks": [_of_suite(row) for row in found.rows],
                }
                for suite, found in suites
            ],
        }
    )


def _of_suite(row: SuiteFrameworkRow) -> dict[str, Any]:
    figures = ("unanswered", "calls", "prompt_tokens", "completion_tokens", "wall_s", "overhead_s")
    return {
        "framework": row.framework,
        "versions": row.versions,
        "rates": [
            {"metric": metric, "category": category or None, **asdict(rate)}
            for metric, rates in row.rates.items()
            for category, rate in rates.items()
        ],
        "versus_baseline": [{"metric": metric, **asdict(versus)} for metric, versus in row.versus.items()],
        **{name: getattr(row, name) for name in figures},
        "reasons": dict(row.reasons),
        "reached": row.reached,
        "around": dict(row.around),
    }


def _of_release(cell: Measured) -> dict[str, Any]:
    return {
        **{name: getattr(cell, name) for name in ("framework", "at", "day", "version", "standing")},
        "not_installed": cell.not_installed and f"{cell.not_installed.step}: {cell.not_installed.reason}",
        "tasks": [{"task": task, **asdict(one)} for task, one in cell.tasks.items()],
        **{name: getattr(cell, name) for name in ("packages", "installed_mb", "import_s", "import_times")},
        "figures": [{"task": task, **asdict(one)} for task, one in cell.figures.items()],
    }


def _of_change(framework: str, changed: Changed) -> dict[str, Any]:
    drifted = changed.drift
    return {
        "framework": framework,
        "before": changed.before.at,
        "after": changed.after.at,
        "packages": changed.packages,
        "runs": sum(drifted.runs.values()),
        "tokens_a_call_before": rounded(drifted.before.a_call),
        "tokens_a_call_after": rounded(drifted.after.a_call),
        "changes": [
            {
                "part": one.part,
                "what": one.what,
                "runs": dict(one.runs),
                "calls": one.calls,
                "tokens": None if one.tokens is None else rounded(one.tokens),
                "tools": one.tools,
                "diff": one.example.lines,
            }
            for one in drifted.changes
        ],
    }


def _capabilities(capabilities: Capabilities | None) -> CapabilitiesDocument:
    found = capabilities or Capabilities({}, ())
    return CapabilitiesDocument.model_validate(
        {
            **_BEGIN,
            "capabilities": found.titles,
            "cells": [as_cell_data(cell) for cell in found.cells],
            "notes": [
                {"number": number, "framework": framework, "capability": capability, "note": note}
                for number, framework, capability, note in found.notes
            ],
        }
    )


def _of_total(total: Total, lines: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    own, beside = lines.get(total.framework, (None, None)) if total.hardened else (None, None)
    return {
        **asdict(total.figures),
        "framework": total.framework,
        "hardened": total.hardened,
        "layers": total.layers,
        "beside": total.beside,
        "lines": own,
        "lines_beside": beside,
    }


def _of_cell(cell: Cell) -> dict[str, Any]:
    return {
        "framework": cell.framework,
        "model": cell.model,
        "framework_versions": cell.framework_versions,
        **cell.metrics,
        "pass_hat": cell.pass_hat,
        "failure_kinds": cell.failure_kinds,
        "judges": cell.judges,
        "pass_rate_by_level": _of_levels(cell),
    }


def _of_levels(row: Cell | ReferenceRow) -> list[dict[str, Any]]:
    return [{**asdict(one), "pass_rate": rounded(one.rate)} for one in row.levels]


def _of_components(row: Cell | ReferenceRow) -> list[dict[str, Any]]:
    return [{**asdict(one), "share": rounded(one.share)} for one in row.components]


def _dumped(document: Document, each_on_a_line: str | None = None) -> str:
    """The file of a document: indented, but for each entry of the list `each_on_a_line`."""
    content = document.model_dump(mode="json", by_alias=True)
    if each_on_a_line is not None:
        content[each_on_a_line] = [orjson.Fragment(orjson.dumps(entry)) for entry in content[each_on_a_line]]
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
