"""What an implementation receives: a run that may be killed at any moment, and is gone on with in another process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.base import Model, Prepared, Step, Tool, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Setting, Tell, as_text
from tasks.cases import load_cases

INSTRUCTIONS = (
    "You book trips. Charge the customer's card and book the seat, each just once, "
    "then say in one sentence what was done."
)


@dataclass(frozen=True)
class DurableBrief:
    """What an implementation receives.

    `store` is a folder that outlives the process; `thread` names the conversation in it. It is the same in both
    processes.
    """

    instructions: str
    question: str
    tools: list[Tool]
    store: Path
    thread: str


class DurableCase(CapabilityCase):
    """A request, the calls that it takes, and when the process is killed.

    `withheld` is the answer of the model, from 0, that the process is killed while waiting for; `killed_on` the tool
    that it is killed at the beginning of.
    """

    turns: list[list[Step]]
    withheld: int | None = None
    killed_on: str | None = None
    answer: str


CASE_TYPE = DurableCase


def charge_card(customer: str, amount: float) -> dict[str, Any]:
    """Charge a customer's card.

    Args:
        customer: The customer, such as C-1.
        amount: The amount in EUR.
    """
    return {"charge": f"CH-{customer}", "amount": amount}


def book_seat(customer: str, train: str) -> dict[str, Any]:
    """Book a seat on a train.

    Args:
        customer: The customer, such as C-1.
        train: The train, such as ICE-592.
    """
    return {"booking": f"B-{customer}-{train}", "seat": "12A"}


def load() -> list[DurableCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), DurableCase)


def prepare(case: DurableCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of one process of a run."""
    tools = [wrap(tool, None) for tool in (charge_card, book_seat)]
    return Prepared(
        brief=DurableBrief(INSTRUCTIONS, case.question, tools, setting.store, thread="thread-1"), final_state=dict
    )


def play(case: DurableCase) -> Play:
    """How the scripted model plays the case."""
    return Play(turns=case.turns, answer=case.answer, parts=2, withheld=case.withheld, killed_on=case.killed_on)


async def drive(
    implementation: Any, case: DurableCase, brief: DurableBrief, model: Model, setting: Setting, tell: Tell
) -> str:
    """The first process starts the run and is killed; the second resumes it."""
    begin = implementation.start if setting.part == 1 else implementation.resume
    return as_text(await begin(brief, model))
