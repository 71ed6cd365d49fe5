"""What an implementation receives: a type, of which the answer is to be a value."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic_core import to_jsonable_python

from tasks.base import Model, Prepared, Step, Tool, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Setting, Tell
from tasks.cases import load_cases

INSTRUCTIONS = "You turn messages of customers into records. Use the tools for what a message does not say."


class Position(BaseModel):
    """One line of an order."""

    article: str
    quantity: int = Field(ge=1)
    price: float = Field(description="In EUR, of one piece.")


class Address(BaseModel):
    """Where an order goes."""

    street: str
    city: str


class Order(BaseModel):
    """An order of a customer."""

    order_id: str
    positions: list[Position]
    ship_to: Address


class Priority(enum.StrEnum):
    """How urgent a ticket is."""

    low = "low"
    high = "high"


class Ticket(BaseModel):
    """A request to the help desk."""

    subject: str
    priority: Priority
    category: Literal["billing", "delivery", "other"]
    order_id: str | None = None
    due: str | None = Field(default=None, description="A date, such as 2026-12-01.")


TYPES: dict[str, type[BaseModel]] = {"Order": Order, "Ticket": Ticket}


@dataclass(frozen=True)
class StructuredOutputBrief:
    """What an implementation receives. The answer is an instance of `output_type`."""

    instructions: str
    question: str
    tools: list[Tool]
    output_type: type[BaseModel]


class StructuredOutputCase(CapabilityCase):
    """A message, the calls that come before the answer, and the value that the answer is.

    The model gives `spoiled` first, if there is one: `wrong` is the field of it that its type does not allow.
    """

    type: Literal["Order", "Ticket"]
    turns: list[list[Step]] = Field(default=[])
    output: dict[str, Any]
    spoiled: dict[str, Any] | None = None
    wrong: str = ""


CASE_TYPE = StructuredOutputCase


def find_address(customer: str) -> dict[str, str]:
    """Find where orders of a customer go.

    Args:
        customer: The customer's name.
    """
    return {"customer": customer, "street": "Hafenstr. 7", "city": "Kiel"}


def load() -> list[StructuredOutputCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), StructuredOutputCase)


def prepare(case: StructuredOutputCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a run. Only cases with calls have tools."""
    tools = [wrap(find_address, None)] if case.turns else []
    return Prepared(brief=StructuredOutputBrief(INSTRUCTIONS, case.question, tools, TYPES[case.type]), final_state=dict)


def play(case: StructuredOutputCase) -> Play:
    """How the scripted model plays the case: a typed value by whatever way a request asks for one."""
    return Play(turns=case.turns, answer="", output=case.output, spoiled=case.spoiled)


async def drive(
    implementation: Any,
    case: StructuredOutputCase,
    brief: StructuredOutputBrief,
    model: Model,
    setting: Setting,
    tell: Tell,
) -> str:
    """The value that `run` gives is told, with its type."""
    value = await implementation.run(brief, model)
    tell(
        "value",
        {
            "type": type(value).__name__,
            "typed": isinstance(value, brief.output_type),
            "value": to_jsonable_python(value, fallback=repr),
        },
    )
    return ""
