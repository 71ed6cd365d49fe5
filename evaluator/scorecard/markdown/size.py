"""What a framework takes before it does anything: code to write, packages to install, time to import, memory."""

from evaluator.analysis.history import HistoryOf
from evaluator.scorecard import tables
from evaluator.scorecard.content import Scorecard
from evaluator.scorecard.tables import quiet_model, whole_code
from evaluator.scorecard.words import count
from evaluator.text import escape, table


def size(scorecard: Scorecard) -> list[str]:
    """Code size and footprint, a line a framework."""
    if not scorecard.models:
        return []
    model, code = quiet_model(scorecard), whole_code(scorecard)
    weighed = {cell.framework: cell for cell in scorecard.totals if cell.model == model}
    history = {one.framework: one for one in scorecard.history}
    rows = []
    for name, notes in scorecard.frameworks.items():
        known = weighed.get(name) or code.get(name)
        versions = " / ".join(known.framework_versions) if known else ""
        lines = code[name].metrics if name in code else {}
        by_hand = f" ({escape(', '.join(notes.by_hand))})" if lines.get("lines_by_hand") else ""
        rows.append(
            [
                escape(notes.title if notes.title.endswith(f" {versions}") else f"{notes.title} {versions}".strip()),
                *(count(lines.get(column)) for column in _CODE),
                f"{count(lines.get('lines_by_hand'))}{by_hand}",
                *(column.show(weighed[name].metrics) if name in weighed else "–" for column in _FOOTPRINT),
                *([_back_to(history[name])] if name in history else ["–"] if history else []),
            ]
        )
    header = ["framework", *_CODE.values(), "lines by hand", *(column.title for column in _FOOTPRINT)]
    header += ["runs back to"] if history else []
    return ["## Size and footprint", _ABOUT.format(model=escape(model)), table(header, rows)]


def _back_to(one: HistoryOf) -> str:
    oldest = one.runs_back_to
    if oldest is None:
        return "none"
    return f"{escape(oldest.version or '')} ({'all that were tried' if one.breaks_at is None else oldest.day[:7]})"


_ABOUT = """\
**Source lines** are those of the implementations of all tasks that hold code; **branches** are places where it can go \
one way or another; **names used** come from the framework and other packages; **lines by hand** belong to tasks that \
the framework has no facility of its own for ([definitions](evaluator/catalog/code_size.py)). Packages, their size, \
the time to import them and the memory of a worker were seen in the runs with the model {model}; a dash \
is what was not looked at. **Runs back to** is the oldest release on which today's code runs unchanged, of those of \
the first of each month ([a year of releases](HISTORY.md))."""

_CODE = {"source_lines": "source lines", "branches": "branches", "framework_names": "names used"}

_FOOTPRINT = (*(tables.PACKAGES, tables.INSTALLED, tables.IMPORT, tables.IMPORTED_MEMORY, tables.PEAK_MEMORY),)
