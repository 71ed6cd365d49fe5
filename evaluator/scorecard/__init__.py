"""The scorecard: computed from traces alone, written as JSON and Markdown, printed in the terminal.

The same traces give the same bytes: nothing here asks the clock or the machine.
"""

from evaluator.scorecard.as_json import documents
from evaluator.scorecard.build import build
from evaluator.scorecard.content import (
    COMMAND,
    DOCUMENT_NAMES,
    FAILURES_NAME,
    JSON_NAME,
    MARKDOWN_NAME,
    PAIRS_NAME,
    Cell,
    Damaged,
    Failure,
    Faults,
    FrameworkNotes,
    ReferenceRow,
    Scorecard,
)
from evaluator.scorecard.files import score
from evaluator.scorecard.markdown import to_markdown
from evaluator.scorecard.readme import readme_section, splice
from evaluator.scorecard.terminal import print_scorecard
from evaluator.scorecard.words import count, discrepancy, pass_rate, seconds
from evaluator.text import escape

__all__ = [
    "COMMAND",
    "DOCUMENT_NAMES",
    "FAILURES_NAME",
    "JSON_NAME",
    "MARKDOWN_NAME",
    "PAIRS_NAME",
    "Cell",
    "Damaged",
    "Failure",
    "Faults",
    "FrameworkNotes",
    "ReferenceRow",
    "Scorecard",
    "build",
    "count",
    "discrepancy",
    "documents",
    "escape",
    "pass_rate",
    "print_scorecard",
    "readme_section",
    "score",
    "seconds",
    "splice",
    "to_markdown",
]
