"""Grading by rules about statements: what all graders share.

`checks` and the grade they make; `text`, `values` and `statements`, which read an answer; `stance`, what an answer
does; `answers`, the checks of an answer; `calls`, those of tool calls and of the final state; `floors`, what an agent
gets for doing nothing. Apart from `tasks.base`, because no run depends on it: after a change here, traces are graded
anew but need not be recorded anew.
"""

from tasks.grading.answers import Vocabulary, World, answer_checks
from tasks.grading.calls import Tools, call_checks, canonical, found_by_reads, matches, state_check, verbs_of
from tasks.grading.checks import KINDS, PARTS, Check, FailureKind, Grade, Part
from tasks.grading.floors import FLOORS, floor_outcomes, held_by_floors, per_case
from tasks.grading.text import as_read, normalise, states, states_fact

__all__ = [
    "FLOORS",
    "KINDS",
    "PARTS",
    "Check",
    "FailureKind",
    "Grade",
    "Part",
    "Tools",
    "Vocabulary",
    "World",
    "answer_checks",
    "as_read",
    "call_checks",
    "canonical",
    "floor_outcomes",
    "found_by_reads",
    "held_by_floors",
    "matches",
    "normalise",
    "per_case",
    "state_check",
    "states",
    "states_fact",
    "verbs_of",
]
