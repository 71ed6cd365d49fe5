"""`scorecard.json`."""

from dataclasses import asdict, astuple, fields
from typing import Any

import orjson

from evaluator.analysis.metrics import METRICS
from evaluator.analysis.models import as_data as as_comparison_data
from evaluator.analysis.pairs import COMPARED, Pair
from evaluator.analysis.parity.report import as_data
from evaluator.analysis.repricing import as_data as as_repricing_data
from evaluator.scorecard.content import COMMAND, SCHEMA_VERSION, Cell, Scorecard


def to_json(scorecard: Scorecard) -> str:
    """`scorecard.json`: every cell with every metric by name, and what explains them."""
    content = {
        "generated_by": COMMAND,
        "schema": SCHEMA_VERSION,
        "cells": [_flat(cell) for cell in scorecard.cells],
        "totals": [_flat(cell) for cell in scorecard.totals],
        "models": as_comparison_data(scorecard.comparison) if scorecard.comparison else None,
        "other_models": as_repricing_data(scorecard.repricing) if scorecard.repricing else None,
        "metrics": [{"name": m.name, "meaning": m.meaning, "unit": m.unit, "better": m.better} for m in METRICS],
        "pairs": {
            "columns": [field.name for field in fields(Pair)],
            "rows": [orjson.Fragment(orjson.dumps(astuple(pair))) for pair in scorecard.pairs],  # each on one line
        },
        "compared": [{"name": c.name, "title": c.title, "relative": c.relative, "better": c.better} for c in COMPARED],
        "parity": [as_data(one) for one in scorecard.parities],
        "behaviours": [asdict(behaviour) for behaviour in scorecard.behaviours],
        "failures": [{**failure.key.model_dump(), "reasons": failure.reasons} for failure in scorecard.failures],
        "damaged": [asdict(damaged) for damaged in scorecard.damaged],
        "setups": scorecard.setups,
        "frameworks": [
            {
                "name": name,
                "title": notes.title,
                "homepage": notes.homepage,
                "by_hand": notes.by_hand,
                "deviations": [{"number": i, "task": task, "note": note} for i, task, note in notes.deviations],
                **({"not_implemented": dict(notes.not_implemented)} if notes.not_implemented else {}),
            }
            for name, notes in scorecard.frameworks.items()
        ],
        "price_list": scorecard.price_list,
        "notes": scorecard.notes,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _flat(cell: Cell) -> dict[str, Any]:
    names: dict[str, Any] = {"framework": cell.framework, "task": cell.task, "model": cell.model}
    if cell.task is None:
        del names["task"]
    more = {"pass_hat": cell.pass_hat, "failure_kinds": cell.failure_kinds}
    return names | {"framework_versions": cell.framework_versions} | cell.metrics | more
