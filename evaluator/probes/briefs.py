"""What an implementation receives in a probe: the briefs of the tasks, over tools and documents made for probing.

The worker imports this module in a framework's environment: it needs the standard library, pydantic and `tasks`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, Field

from tasks.base import Case, Prepared, Step, Tool, ToolError, Wrap, unwrapped
from tasks.handoff.spec import AgentSpec, HandoffBrief
from tasks.rag_qa.spec import Document, RagQaBrief
from tasks.tool_calling.spec import ToolCallingBrief

AGENTS = ("triage", "billing")
"""The agents of a handoff probe; the first is asked. `find_note` belongs to both, `book` to the second."""


class ProbeCase(Case):
    """One probe on one task: what is asked, what the tools give, how the model plays it.

    `kind` is the name of the probe. `found` is what `find_note` and the search tool find; with
    `refusal` the first call of `find_note` raises it. `fault` names what the model does wrong before it
    plays `turns` and `searches` (see `evaluator/upstreams/probes.py`). Probes of a framework that share
    a `together` run at the same time. `text` is put into the instructions. `tools` are those of a
    `tool_calling` probe.
    """

    size: Literal["quick", "standard", "full"] = "quick"
    task: Literal["handoff", "rag_qa", "tool_calling"]
    text: str = ""
    found: str = "The note says: all is well."
    refusal: str | None = None
    fault: str | None = None
    turns: list[list[Step]] = Field(default=[])
    searches: list[str] = Field(default=[])
    together: str | None = None
    tools: list[str] = Field(default=["find_note", "book"])


CASE_TYPE = ProbeCase


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


def prepare(case: ProbeCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of the task that is probed."""
    notes = Notes(case.found, case.refusal)
    make = {"handoff": _handoff, "rag_qa": _rag_qa, "tool_calling": _tool_calling}[case.task]
    return Prepared(brief=make(case, notes, wrap), final_state=dict)


def _tool_calling(case: ProbeCase, notes: Notes, wrap: Wrap) -> ToolCallingBrief:
    instructions = f"You look after the notes and the bookings of a theatre.{case.text}"
    tools = [wrap(getattr(notes, name), None) for name in case.tools]
    return ToolCallingBrief(instructions, case.question, tools)


def _handoff(case: ProbeCase, notes: Notes, wrap: Wrap) -> HandoffBrief:
    tools: dict[str, list[Tool]] = {"triage": [notes.find_note], "billing": [notes.find_note, notes.book]}
    agents = [
        AgentSpec(
            name=name,
            description=f"Does the {name} of a theatre.",
            instructions=f"You do the {name} of a theatre.{case.text}",
            tools=[wrap(tool, name) for tool in tools[name]],
            handoffs=[other for other in AGENTS if other != name],
        )
        for name in AGENTS
    ]
    return HandoffBrief(question=case.question, agents=agents, entry=AGENTS[0])


def _rag_qa(case: ProbeCase, notes: Notes, wrap: Wrap) -> RagQaBrief:
    others = {"coat": "Coats are kept on the left of the hall.", "bell": "The bell rings three times before the play."}
    texts = {"note": case.found, **others}
    documents = tuple(
        Document(id=name, title=f"About the {name}", language="en", source="probe", text=text)
        for name, text in texts.items()
    )
    return RagQaBrief(f"Answer from what the search finds.{case.text}", case.question, documents, k=2)
