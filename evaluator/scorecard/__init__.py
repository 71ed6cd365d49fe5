"""The scorecard: computed from traces alone, written as JSON and Markdown, printed in the terminal.

The same traces give the same bytes: nothing here asks the clock or the machine.
"""

from evaluator.scorecard.as_json import to_json
from evaluator.scorecard.build import build
from evaluator.scorecard.content import (
    COMMAND,
    JSON_NAME,
    MARKDOWN_NAME,
    Cell,
    Damaged,
    Failure,
    FrameworkNotes,
    Scorecard,
)
from evaluator.scorecard.files import score
from evaluator.scorecard.markdown import to_markdown
from evaluator.scorecard.readme import readme_section, splice
from evaluator.scorecard.show import count, discrepancy, pass_rate, seconds
from evaluator.scorecard.terminal import print_scorecard
from evaluator.text import escape

__all__ = [
    "COMMAND",
    "JSON_NAME",
    "MARKDOWN_NAME",
    "Cell",
    "Damaged",
    "Failure",
    "FrameworkNotes",
    "Scorecard",
    "build",
    "count",
    "discrepancy",
    "escape",
    "pass_rate",
    "print_scorecard",
    "readme_section",
    "score",
    "seconds",
    "splice",
    "to_json",
    "to_markdown",
]
