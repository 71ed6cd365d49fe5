"""What an implementation receives: tools of which some need a person's approval, and the decision, a process later."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tasks.base import Data, Model, Prepared, Step, Tool, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Setting, Tell, as_text
from tasks.cases import load_cases

INSTRUCTIONS = (
    "You are the refund desk of a web shop. Look up orders and refund customers as they ask, "
    "then say in one sentence what was done, or why it was not."
)

GATED = frozenset({"refund"})


class Decision(Data):
    """What the person decides about the call that waits: it is made, made with other arguments, or not made."""

    verdict: Literal["approve", "edit", "deny"]
    arguments: dict[str, Any] = Field(default={})
    reason: str = ""


@dataclass(frozen=True)
class Waiting:
    """A call that waits for a decision, as a person would be shown it."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Paused:
    """The run waits for a decision. The process may end."""

    waiting: list[Waiting]


@dataclass(frozen=True)
class ApprovalBrief:
    """What an implementation receives.

    Tools named in `gated` need approval. `store` is a folder that outlives the process; `thread` names the
    conversation in it. It is the same in both processes.
    """

    instructions: str
    question: str
    tools: list[Tool]
    gated: frozenset[str]
    store: Path
    thread: str


class ApprovalCase(CapabilityCase):
    """A request, the calls of the one turn that it takes, and what the person decides about the gated one."""

    turn: list[Step]
    decision: Decision
    answer: str

    @model_validator(mode="after")
    def _one_call_is_gated(self) -> Self:
        if sum(step.tool in GATED for step in self.turn) != 1:
            raise ValueError("just one call of the turn must be gated")
        return self


CASE_TYPE = ApprovalCase


def lookup_order(order_id: str) -> dict[str, Any]:
    """Look up an order: its status and what was paid.

    Args:
        order_id: The order, such as A-100.
    """
    return {"order_id": order_id, "status": "delivered", "paid": 40.0}


def refund(order_id: str, amount: float) -> dict[str, Any]:
    """Refund an order.

    Args:
        order_id: The order, such as A-100.
        amount: The amount in EUR.
    """
    return {"refund": f"R-{order_id}", "amount": amount}


def load() -> list[ApprovalCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), ApprovalCase)


def prepare(case: ApprovalCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of one process of a run."""
    tools = [wrap(tool, None) for tool in (lookup_order, refund)]
    return Prepared(
        brief=ApprovalBrief(INSTRUCTIONS, case.question, tools, GATED, setting.store, thread="thread-1"),
        final_state=dict,
    )


def play(case: ApprovalCase) -> Play:
    """How the scripted model plays the case."""
    return Play(turns=[case.turn], answer=case.answer, parts=2)


async def drive(
    implementation: Any, case: ApprovalCase, brief: ApprovalBrief, model: Model, setting: Setting, tell: Tell
) -> str:
    """The first process starts the run and ends when it waits; the second, which knows the decision, resumes it."""
    if setting.part > 1:
        return as_text(await implementation.resume(brief, model, case.decision))
    outcome = await implementation.start(brief, model)
    if not isinstance(outcome, Paused):
        return as_text(outcome)
    tell("waiting", [{"tool": one.tool, "arguments": one.arguments} for one in outcome.waiting])
    return ""
