"""Checks and the grade that they make."""

from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import Field

from tasks.base import Data

FailureKind = Literal[
    "ended with an error",
    "ended by the time-out",
    "ended by the limit on model calls",
    "the answer is empty",
    "the answer lacks a fact",
    "the answer denies or doubts a fact",
    "the answer gives a fact to another",
    "the answer states a foreign id",
    "the answer states a foreign amount",
    "the answer states a foreign date",
    "the answer states a foreign number",
    "the answer states a foreign word",
    "the answer states something forbidden",
    "gives up although there is an answer",
    "answers although the documents do not",
    "does not refuse",
    "does not say that there is none",
    "does not report the refusal",
    "claims what was not done",
    "says that it was not done",
    "a document was not retrieved",
    "a citation is missing",
    "a citation is wrong",
    "the final state differs",
    "a tool call is missing",
    "a tool call has a wrong argument",
    "a tool call came too early",
    "a tool call was not needed",
    "a tool call did harm",
    "a tool call failed or should have",
    "other",
]
"""Why a run fails, in a few words that can be counted. The first three are said of runs that did not end with an
answer; `other` is for a check that only one task has, and for an answer that is too long to be read."""

KINDS: tuple[FailureKind, ...] = get_args(FailureKind)

Part = Literal["retrieval", "facts", "citations", "abstention", "calls", "state"]
"""What a check is about. `abstention` is about answering, refusing or abstaining where that is right."""

PARTS: tuple[Part, ...] = get_args(Part)


class Check(Data):
    """One thing that grading looks at, and what to say if it does not hold: its kind, and the reason in full.

    `name` is the same for the same check of another run of the case.
    """

    name: str
    part: Part
    held: bool
    kind: FailureKind
    reason: str


class Grade(Data):
    """`passed` only if every check held. `score` is in [0, 1]: 0 for doing nothing, 1 for a run that passed.

    `score` is None where the case has nothing to earn. `reasons` and `kinds` are those of the checks that did not
    hold, in their order. `parts` says of each part that has a check whether all its checks held.
    """

    passed: bool
    score: float | None = Field(ge=0, le=1)
    reasons: list[str] = Field(default=[])
    kinds: list[FailureKind] = Field(default=[])
    parts: dict[Part, bool] = Field(default={})

    @classmethod
    def of(cls, checks: Sequence[Check], floor: frozenset[str] = frozenset()) -> "Grade":
        """The grade of at least one check.

        `floor` names the checks that hold for an agent that does nothing: they earn nothing and can only cost. The
        score is the held ones of all others, divided by these and the failed ones of the floor.
        """
        failed = [check for check in checks if not check.held]
        earning = [check for check in checks if check.name not in floor]
        earned = sum(check.held for check in earning)
        counted = len(earning) + sum(check.name in floor for check in failed)
        return cls(
            passed=not failed,
            score=earned / counted if earning else None,
            reasons=[check.reason for check in failed],
            kinds=[check.kind for check in failed],
            parts={
                part: all(check.held for check in checks if check.part == part)
                for part in PARTS
                if any(check.part == part for check in checks)
            },
        )
