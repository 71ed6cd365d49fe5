"""What an implementation receives: three rules, on the question, on calls of tools, and on the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tasks.base import Prepared, Step, Tool, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Setting
from tasks.cases import load_cases

INSTRUCTIONS = (
    "You look after customers' accounts at a bank. Do what they ask with the tools, then answer in one sentence."
)

MOST = 1000.0
INPUT_REASON = "Messages that ask to ignore instructions are not handled."
CALL_REASON = "Transfers of more than 1000 EUR are not made here."
OUTPUT_REASON = "The answer held an account number, and was kept back."


def check_input(question: str) -> str | None:
    """Why a question is not let in; None where it is."""
    return INPUT_REASON if "ignore your instructions" in question.lower() else None


def check_call(tool: str, arguments: dict[str, Any]) -> str | None:
    """Why a call of a tool is not made; None where it is."""
    return CALL_REASON if tool == "transfer" and float(arguments["amount"]) > MOST else None


def check_output(answer: str) -> str | None:
    """Why an answer is not let out; None where it is."""
    return OUTPUT_REASON if "DE89" in answer else None


@dataclass(frozen=True)
class GuardrailBrief:
    """What an implementation receives. Each rule gives the reason for which it blocks, or None.

    Blocked by `check_input` or `check_output`, a run's answer has the reason. A call that `check_call` blocks is not
    made, and the model, or the user, is told the reason.
    """

    instructions: str
    question: str
    tools: list[Tool]
    check_input: Callable[[str], str | None]
    check_call: Callable[[str, dict[str, Any]], str | None]
    check_output: Callable[[str], str | None]


class GuardrailCase(CapabilityCase):
    """A question, the calls that the model makes of it, its answer, and which rule blocks, if any."""

    blocks: Literal["input", "call", "output"] | None = None
    turns: list[list[Step]] = Field(default=[])
    answer: str


CASE_TYPE = GuardrailCase


def transfer(to: str, amount: float) -> dict[str, Any]:
    """Transfer money from the customer's account.

    Args:
        to: Who gets it.
        amount: The amount in EUR.
    """
    return {"transferred": amount, "to": to}


def load() -> list[GuardrailCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), GuardrailCase)


def prepare(case: GuardrailCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a run."""
    tools = [wrap(transfer, None)]
    return Prepared(
        brief=GuardrailBrief(INSTRUCTIONS, case.question, tools, check_input, check_call, check_output),
        final_state=dict,
    )


def play(case: GuardrailCase) -> Play:
    """How the scripted model plays the case."""
    return Play(turns=case.turns, answer=case.answer)
