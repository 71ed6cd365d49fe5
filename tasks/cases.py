"""What a case is, read from a line of JSON: the question, what is expected, how the scripted model plays it.

A run depends on none of this but the case itself, which its trace holds; so this file is in no digest.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from tasks.base import Data, Step

Size = Literal["quick", "standard", "full"]
SIZES: tuple[Size, ...] = ("quick", "standard", "full")

Level = Literal[1, 2, 3, 4]
"""How hard a case is: 1 one step with few tools, 2 one step in the full setting, 3 two steps of which the second
depends on the first, conflicting sources or an error to recover from, 4 long chains and several demands at once."""

Stance = Literal["answer", "refuse", "abstain", "missing", "denied"]
"""What a right answer does: it answers; it refuses, because nobody here can do it; it abstains, because the documents
do not say; it says that there is no such thing; it reports that a tool refused."""


class CasesError(ValueError):
    """A cases file cannot be used. The message names the file, the line and the field."""


_QUANTITY = re.compile(
    r"[€$£]?\s?(?P<low>\d[\d,]*(?:\.\d+)?)(?:\s?(?:-|–|to)\s?(?P<high>\d+(?:\.\d+)?))?\s?(?P<unit>[^\W\d][^\d]*|%|)"
)
_RANGE_WORDS = ("-", " - ", "–", " to ", " and ", " 到 ", "到", " 至 ", "至")


class Fact(Data):
    """One thing that an answer must state: any of `says`. In JSON a string or a list may stand for it.

    `about` names the subject that the value belongs to, in any of its names; it is given where two values of an
    answer could be swapped. A value carries its unit ("69.90 EUR", "94 Mbit/s", "2026-04-08"): the graders read
    numbers, units, currencies and dates, so that `says` lists alternatives for words only. `derived` is true where
    the model works the value out itself, so that it stands in nothing that it is sent.
    """

    says: list[str] = Field(min_length=1)
    about: list[str] = []
    derived: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            value = {"says": value}
        single = {name: [value[name]] for name in ("says", "about") if isinstance(value.get(name), str)}
        return {**value, **single}

    def needed(self) -> list[str]:
        """What must stand in the messages, in any of these spellings, before a model can know the fact.

        Of a quantity that is the number, as tools give it ("69.90", "69.9"), bare or with the unit. Empty where the
        fact is `derived`.
        """
        if self.derived:
            return []
        return list(dict.fromkeys(spelling for phrase in self.says for spelling in _spellings(phrase)))


def _spellings(phrase: str) -> list[str]:
    quantity = _QUANTITY.fullmatch(phrase.strip())
    if quantity is None:
        return [phrase]
    low, high, unit = quantity["low"].replace(",", ""), quantity["high"], quantity["unit"].strip()
    value = float(low)
    numbers = [f"{low}{to}{high}" for to in _RANGE_WORDS] if high else [low, f"{value:.2f}", str(value), f"{value:g}"]
    return [spelling for number in numbers for spelling in (number, f"{number} {unit}".strip(), f"{number}{unit}")]


class Identified(Data):
    """A case of any kind of task, by its id."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")


class Case(Identified):
    """One question of a task and what is expected. Tasks add their own fields.

    `facts` must be stated by the answer, and stand in what the model was sent. `stance` says what a right answer
    does. An answer may state values of the question, of the facts, of what the expected calls give, and those
    `allowed`; any other id, amount, date or count fails it, and so does what is `forbidden`. `answer` is a right
    answer in full. What older traces hold as `must_say` is read as facts.
    """

    expectation: ClassVar[frozenset[str]] = frozenset(
        {"id", "kind", "level", "size", "facts", "stance", "allowed", "forbidden", "answer"}
    )
    """The fields that a run does not depend on, only its grade (and how the scripted model plays it)."""

    kind: str
    level: Level = 2
    size: Size
    question: str = Field(min_length=1)
    facts: list[Fact] = []
    stance: Stance = "answer"
    allowed: list[str] = []
    forbidden: list[str] = []
    answer: str = Field(min_length=1)

    def inputs(self) -> dict[str, Any]:
        """The fields that a run depends on: the question and the starting state."""
        return self.model_dump(exclude=set(self.expectation))

    def needs(self) -> list[list[str]]:
        """What must stand in the messages before the scripted model may give the answer, each in any spelling."""
        return [needed for fact in self.facts if (needed := fact.needed())]

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, value: Any) -> Any:
        if isinstance(value, dict) and "must_say" in value:
            phrases = [{"says": fact, "derived": True} for fact in value["must_say"]]
            rest = {name: field for name, field in value.items() if name != "must_say"}
            return {**rest, "facts": [*value.get("facts", []), *phrases]}
        return value


class Script(Data):
    """How the scripted model plays a case. See `evaluator/models/upstreams/scripted.py`.

    `turns` are groups of tool calls that may be made together; `searches` are queries for whatever
    search tool is offered. `needs` are what must stand in the messages, each in any of its spellings, before
    `answer` may be given.
    """

    turns: list[list[Step]] = []
    searches: list[str] = []
    needs: list[list[str]] = []
    answer: str

    @property
    def steps(self) -> list[Step]:
        """The calls of all turns, in order."""
        return [step for turn in self.turns for step in turn]


AnyCaseT = TypeVar("AnyCaseT", bound=Identified)


def load_cases(path: Path, case_type: type[AnyCaseT]) -> list[AnyCaseT]:
    """Read one case a line. Raises `CasesError` naming file, line and field of the first mistake."""
    cases: list[AnyCaseT] = []
    lines_of: dict[str, int] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a byte-order mark in front
    except (OSError, UnicodeDecodeError) as error:
        raise CasesError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            case = case_type.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the line"
            raise CasesError(f"{path}:{number}: {field}: {first['msg']}") from None
        if case.id in lines_of:
            raise CasesError(f"{path}:{number}: id: {case.id!r} is used in line {lines_of[case.id]} already")
        lines_of[case.id] = number
        cases.append(case)
    if not cases:
        raise CasesError(f"{path}: has no cases")
    return cases


CaseT = TypeVar("CaseT", bound=Case)


def of_size(cases: Iterable[CaseT], size: Size) -> list[CaseT]:
    """The cases that belong to `size`: quick is part of standard, standard of full."""
    return [case for case in cases if SIZES.index(case.size) <= SIZES.index(size)]
