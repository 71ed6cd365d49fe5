"""What an implementation receives: how often to ask, how long to wait, and whom to ask instead."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from tasks.base import Prepared, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Refusal, Setting
from tasks.cases import load_cases

INSTRUCTIONS = "You answer questions about trains in one sentence."

FALLBACK = "second-model"
ATTEMPTS = 3
REQUEST_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class ResilienceBrief:
    """What an implementation receives.

    A model is asked up to `attempts` times where its server refuses with 429 or 5xx, or does not answer within
    `request_timeout_s`; then the model named `fallback` is asked, at the same address.
    """

    instructions: str
    question: str
    fallback: str
    attempts: int
    request_timeout_s: float


class ResilienceCase(CapabilityCase):
    """A question, and what its server does. `asked` is how many calls it takes, `answers` who answers in the end."""

    refusals: list[Refusal] = Field(default=[])
    stalled_s: float = 0.0
    asked: int
    answers: str = ""
    answer: str


CASE_TYPE = ResilienceCase


def load() -> list[ResilienceCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), ResilienceCase)


def prepare(case: ResilienceCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a run."""
    return Prepared(
        brief=ResilienceBrief(INSTRUCTIONS, case.question, FALLBACK, ATTEMPTS, REQUEST_TIMEOUT_S), final_state=dict
    )


def play(case: ResilienceCase) -> Play:
    """How the scripted model and its server play the case."""
    return Play(answer=case.answer, refusals=case.refusals, stalled_s=case.stalled_s)
