"""What frameworks put on the wire beside the spec, and what they do when something unusual happens."""

from evaluator.analysis.parity import Finding
from evaluator.analysis.parity.report import parts_in_words, per_call
from evaluator.probes.behaviours import Shared
from evaluator.providers.names import PROBES_NAME, SCRIPTED
from evaluator.scorecard.content import Scorecard
from evaluator.scorecard.tables import by_probe, who
from evaluator.text import escape, table


def parity(scorecard: Scorecard) -> list[str]:
    """A line for each framework × task in which anything differs, or is injected."""
    shown = [one for one in scorecard.parities if one.model == SCRIPTED]
    if not shown:
        return []
    order = list(scorecard.frameworks)
    rows = [
        [
            escape(scorecard.frameworks[one.framework].title),
            escape(one.task),
            per_call(one.injected_per_call),
            f"{one.calls}/{one.made}",
            parts_in_words(one.parts_per_call),
            ", ".join(map(_difference, one.findings)) or "none",
        ]
        for one in sorted(shown, key=lambda one: order.index(one.framework))
        if one.findings or one.injected_per_call
    ]
    said = (
        "What each framework puts on the wire beside the task's canonical request, in its runs with the model "
        f"{SCRIPTED}: the injected tokens of a call, of how many of the calls made, and where they lie, and each kind "
        "of difference with the number of the [deviation](#deviations) that explains it; one without a number needs no "
        "explanation. In how many runs it is, and an example: `uv run bakeoff parity`."
    )
    header = ["framework", "task", "injected / call", "compared", "where", "differences"]
    return ["## What differs on the wire", said, table(header, rows, names=2, text_columns=2) if rows else "Nothing."]


def _difference(finding: Finding) -> str:
    numbers = f" ({', '.join(map(str, finding.deviations))})" if finding.deviations else ""
    return f"{escape(finding.name)}{numbers}" if finding.explained else f"**unexplained: {escape(finding.name)}**"


def behaviour(scorecard: Scorecard) -> list[str]:
    """A line for each probe in which frameworks differ: what most of them do, and which do otherwise; and what all
    do in the others."""
    if not scorecard.behaviours:
        return []
    probes = by_probe(scorecard)
    rows = [
        [
            f"{escape(probe[0].probe)}: {escape(probe[0].meaning)}",
            _words(probe[0]),
            "; ".join(f"{escape(who(scorecard, row), 1000)}: {_words(row)}" for row in probe[1:]),
        ]
        for probe in probes
        if len(probe) > 1
    ]
    alike = [f"{escape(probe[0].probe)} ({_words(probe[0])})" for probe in probes if len(probe) == 1]
    said = (
        "What the frameworks did when the model, a tool or the user did something unusual, read off the traces of "
        f"`bakeoff run -m {PROBES_NAME}`. Where more than one behaviour is reasonable, each will do; what will not is "
        "**in bold**. Tasks are named where a framework did not do the same in all of the probe's tasks."
    )
    parts = ["## What they do with what is unusual", said]
    if rows:
        parts.append(table(["probe", "most of them", "the others"], rows, text_columns=2))
    return [*parts, f"All do the same in {', '.join(alike)}."] if alike else parts


def _words(row: Shared) -> str:
    return escape(row.words) if row.acceptable else f"**{escape(row.words)}**"
