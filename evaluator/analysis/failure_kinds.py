"""Why runs fail, by kind: the reasons of the graders and of the runner, sorted by how they are worded."""

import re

KINDS = (
    ("ended with an error", r"ended with an error"),
    ("ended by the time-out", r"ended by the time-out"),
    ("ended by the limit on model calls", r"ended by the limit on model calls"),
    ("the answer is empty", r"the answer is empty"),
    ("the answer lacks a fact", r"the answer lacks the fact "),
    ("the answer states something forbidden", r"the answer states the forbidden "),
    ("gives up although the documents answer", r"abstains, although "),
    ("answers although the documents do not", r"does not abstain, although "),
    ("a citation is missing", r"does not cite "),
    ("a citation is wrong", r"cites "),
    ("the final state differs", r"the final state differs"),
    ("a tool call is missing", r"the call .* is missing$"),
    ("a tool call has a wrong argument", r".* was called with a wrong argument: "),
    ("a tool call came too early", r".* was called too early$"),
    ("a tool call was not needed", r".* was called, but no such call was needed$"),
    ("a tool call did harm", r".* is a side effect that was not asked for$"),
    ("a tool call failed or should have", r".* (failed: |should have been refused$)"),
)
"""(kind, how a reason of this kind reads), the first that fits counts."""

OTHER = "other"

_PATTERNS = [(kind, re.compile(pattern, re.DOTALL)) for kind, pattern in KINDS]


def kind_of(reason: str) -> str:
    """The kind of one reason, or `OTHER`."""
    return next((kind for kind, pattern in _PATTERNS if pattern.match(reason)), OTHER)
