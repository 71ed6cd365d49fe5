"""What must be known of the runs and the implementations."""

from collections.abc import Sequence
from typing import Any

from evaluator.scorecard.content import SETUP_FIELDS, Scorecard
from evaluator.text import bullets, escape, table


def deviations(scorecard: Scorecard) -> list[str]:
    """The numbered notes on what a framework forces to be different."""
    lines = [
        f"{number}. {escape(notes.title)}, {escape(task or 'all tasks')}: {escape(note, limit=2000)}"
        for notes in scorecard.frameworks.values()
        for number, task, note in notes.deviations
    ]
    return ["## Deviations", "\n".join(lines) if lines else "None."]


def recorded_on(scorecard: Scorecard) -> list[str]:
    """The machines and versions, a line a model: every value that occurs in its traces."""
    if not scorecard.setups:
        return []
    fields = {
        name: label for name, label in SETUP_FIELDS.items() if any(name in setup for setup in scorecard.setups.values())
    }
    rows = [
        [
            escape(model),
            *(_values(setup.get(name, [None])) for name in fields),
            " to ".join(dict.fromkeys((setup["dates"][0], setup["dates"][-1]))),
        ]
        for model, setup in scorecard.setups.items()
    ]
    header = ["model", *fields.values(), "dates"]
    return ["## Recorded on", table(header, rows, text_columns=len(header) - 1)]


_COMMIT_DIGITS = 12


def _values(values: Sequence[Any]) -> str:
    words = {None: "unknown", True: "yes", False: "no"}
    return ", ".join(
        words[value] if value is None or isinstance(value, bool) else escape(_short(str(value))) for value in values
    )


def _short(value: str) -> str:
    """As many digits of a commit as tell it apart."""
    return value[:_COMMIT_DIGITS] if len(value) == 40 and set(value) <= set("0123456789abcdef") else value


def notes(scorecard: Scorecard) -> list[str]:
    """What is to be said of the traces."""
    return ["## Notes", bullets(escape(note, limit=2000) for note in scorecard.notes)] if scorecard.notes else []


def traces_left_out(scorecard: Scorecard) -> list[str]:
    """The files that could not be scored."""
    if not scorecard.damaged:
        return []
    lines = (f"{escape(damaged.path)}: {escape(damaged.reason)}" for damaged in scorecard.damaged)
    return ["## Traces left out", f"{len(scorecard.damaged)} files are not scored:", bullets(lines)]
