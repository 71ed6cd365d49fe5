"""What is said of frameworks where they are compared, beside what was seen: a table in the docs."""

from evaluator.providers.names import SCRIPTED
from evaluator.scorecard.content import Scorecard
from evaluator.text import escape, table

PAGE = "docs/capabilities.md"
CLAIMS_BEGIN = "<!-- claims:begin -->"
CLAIMS_END = "<!-- claims:end -->"

_NOT_COVERED = "not covered by any task yet"


def claims_section(scorecard: Scorecard) -> str:
    """A row a claim: what is said, the task that shows it, and what was seen there."""
    found = scorecard.capabilities
    if found is None or not found.claims:
        return "There are no runs that show anything."
    rows = [
        [
            escape(scorecard.titles.get(framework, framework)),
            escape(feature),
            escape(task) if task else "–",
            _seen(scorecard, framework, task),
        ]
        for framework, feature, task in found.claims
    ]
    header = ["framework", "what is said of it", "task", "what was seen"]
    return table(header, rows, text_columns=len(header) - 1)


def _seen(scorecard: Scorecard, framework: str, task: str | None) -> str:
    """What was seen of a claim, in a few words."""
    found = scorecard.capabilities
    if task is None or found is None:
        return _NOT_COVERED
    if task in found.titles:
        cell = found.of(framework, task)
        failing = "; ".join(f"not when {run.title}" for run in cell.failing)
        return escape(f"{cell.words}: {failing}" if failing else cell.words, limit=2000)
    for graded in scorecard.cells:
        if (graded.model, graded.framework, graded.task) == (SCRIPTED, framework, task):
            return f"{graded.metrics['passed']} of {graded.metrics['runs']} runs passed, with the model {SCRIPTED}"
    return "no runs"
