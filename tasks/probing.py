"""What the probes of all tasks share: a case, the tools of a small theatre, and the probes that each task has.

A task brings its probes in its own `probes.py`: `PROBES`, `CASE_TYPE`, and a `prepare` that puts the theatre's tools or
notes into the brief of the task. What each probe is about and who judges it: `evaluator/probes/table.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, Field

from tasks.base import Step, ToolError
from tasks.cases import Case


class ProbeCase(Case):
    """One probe on one task: what is asked, what the tools give, how the model plays it.

    `kind` is the name of the probe. `found` is what `find_note` and the search tool find; with
    `refusal` the first call of `find_note` raises it. `fault` names what the model does wrong before it
    plays `turns` and `searches` (see `evaluator/models/upstreams/probes.py`). Probes of a framework that
    share a `together` run at the same time. `text` is put into the instructions. `tools` are those that a
    task with tools of its own offers.
    """

    size: Literal["quick", "standard", "full"] = "quick"
    task: str
    text: str = ""
    found: str = "The note says: all is well."
    refusal: str | None = None
    fault: str | None = None
    turns: list[list[Step]] = Field(default=[])
    searches: list[str] = Field(default=[])
    together: str | None = None
    tools: list[str] = Field(default=["find_note", "book"])


# --- the theatre -----------------------------------------------------------------------------


class Mood(Enum):
    """How a guest feels."""

    CALM = "calm"
    CROSS = "cross"


class Seat(BaseModel):
    """A seat in the hall."""

    row: int
    letter: str


@dataclass
class Notes:
    """The tools of one run. `refusal` is raised once."""

    found: str
    refusal: str | None
    refused: list[str] = field(default_factory=list)

    def find_note(self, title: str) -> str:
        """Find a note by its title."""
        if self.refusal is not None and not self.refused:
            self.refused.append(title)
            raise ToolError(self.refusal)
        return self.found

    def book(self, day: date, seats: int) -> dict[str, Any]:
        """Book seats for a day."""
        return {"day": _type(day), "seats": _type(seats)}

    def describe(
        self,
        day: date,
        moment: datetime,
        mood: Mood,
        weight: float,
        seat: Seat,
        others: list[Seat],
        kind: Literal["guest", "staff"] = "guest",
        until: date | None = None,
    ) -> dict[str, Any]:
        """Describe a visit.

        Args:
            until: Last day of the visit.
        """
        return {name: _type(value) for name, value in locals().items() if name != "self"}


def _type(value: Any) -> Any:
    """The name of a value's type; of a list those of what it holds."""
    if isinstance(value, list):
        return [_type(item) for item in value]
    return type(value).__name__


DESCRIBED = {
    "day": "date",
    "moment": "datetime",
    "mood": "Mood",
    "weight": "float",
    "seat": "Seat",
    "others": ["Seat", "Seat"],
    "kind": "str",
    "until": "NoneType",
}
"""What `Notes.describe` gives where each argument comes as annotated."""

_VISIT = {
    "day": "2026-05-01",
    "moment": "2026-05-01T19:30:00",
    "mood": "cross",
    "weight": 61.5,
    "seat": {"row": 3, "letter": "C"},
    "others": [{"row": 3, "letter": "D"}, {"row": 3, "letter": "E"}],
}


def find(title: str = "the plan", agent: str | None = None) -> Step:
    """A call of `find_note`."""
    return Step(tool="find_note", arguments={"title": title}, agent=agent)


def book(agent: str | None = None) -> Step:
    """A call of `book`."""
    return Step(tool="book", arguments={"day": "2026-05-01", "seats": 3}, agent=agent)


# --- the cases -------------------------------------------------------------------------------

MARKERS = ("amberfield", "birchwater", "coralstone", "dellhaven")
"""Words that tell runs at the same time apart, one for each run."""

REFUSAL = "The note is locked away until the 7th of May."

LONG = " ".join(f"Line {number:04} of a long report." for number in range(1, 646))

_AWKWARD = (
    "Grüße, 你好, مرحبا, שלום, ไทย, e\u0301, 👩‍👩‍👧‍👦🏳️‍🌈 “curly” \"straight\" 'single' back\\slash "
    "{placeholder} {{double}} {0} %s ${dollar} {% tag %} <b>&amp;</b> [brackets]\nsecond line\ttab\n\nlast"
)

Play = Callable[[str], dict[str, Any]]
"""How a sensible run goes that looks up one thing by its title: the fields `turns` or `searches` of its case."""


def probe(task: str, kind: str, **fields: Any) -> ProbeCase:
    """A case of the probe `kind`, asked a question and answered; `fields` say the rest."""
    common = {"id": kind, "kind": kind, "task": task, "question": "What does the note say?", "answer": "It is done."}
    return ProbeCase.model_validate({**common, **fields})


def of_any_task(task: str, play: Play) -> tuple[ProbeCase, ...]:
    """The probes that each task has."""
    once = play("the plan")
    awkward = {name: f"{name}: {_AWKWARD}" for name in ("question", "text", "found", "answer")}
    return (
        probe(task, "slow_model", fault="silence", **once),
        probe(task, "temperature", **once),
        probe(task, "unicode", **play(f"title: {_AWKWARD}"), **awkward),
        probe(task, "empty_content", fault="empty_content", **once),
        probe(task, "unknown_tool", fault="unknown_tool", **once),
        probe(task, "malformed_arguments", fault="malformed_arguments", **once),
        *(
            probe(
                task,
                "concurrency",
                id=f"concurrency-{number}",
                question=f"What does the note for {marker} say?",
                found=f"The note for {marker}.",
                facts=[f"The note for {marker}"],
                together=f"concurrency {task}",
                **play(f"the plan for {marker}"),
            )
            for number, marker in enumerate(MARKERS, start=1)
        ),
    )


def of_one_agent_with_tools(task: str) -> tuple[ProbeCase, ...]:
    """The probes of a task in which one agent has tools; its brief is to offer those that the case names."""
    found = {"turns": [[find()]]}
    described = {"tools": ["describe"], "turns": [[Step(tool="describe", arguments=_VISIT)]]}
    return (
        *of_any_task(task, lambda title: {"turns": [[find(title)]]}),
        probe(task, "endless_calls", fault="endless_calls"),
        probe(task, "tool_error", refusal=REFUSAL, **found),
        probe(task, "typed_values", **described),
        probe(task, "wrong_type", fault="wrong_type", **found),
        probe(task, "long_input", question=f"Question: {LONG}", found=f"Note: {LONG}", **found),
        probe(task, "two_calls", turns=[[find("first"), find("second")]]),
    )
