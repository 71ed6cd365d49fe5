"""What an implementation receives: three agents to be asked at the same time, and one that joins their answers."""

from dataclasses import dataclass
from pathlib import Path

from tasks.base import Prepared, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Refusal, Setting
from tasks.cases import load_cases


@dataclass(frozen=True)
class AgentSpec:
    """One agent, without tools."""

    name: str
    instructions: str


BRANCHES = (
    AgentSpec("price", "You are the price analyst. Say in one sentence what a train ticket for the trip costs."),
    AgentSpec("time", "You are the time analyst. Say in one sentence how long the trip takes by train."),
    AgentSpec("comfort", "You are the comfort analyst. Say in one sentence how comfortable the trip is by train."),
)
JOIN = AgentSpec(
    "editor",
    "You are the editor. You are given what the analysts found. Write one sentence with all of it, "
    "and say so where an analyst could not answer.",
)
FOUND = {
    "price": "The ticket costs 49 EUR.",
    "time": "The trip takes 3 hours and 12 minutes.",
    "comfort": "There is a quiet coach with tables.",
}


@dataclass(frozen=True)
class ParallelBrief:
    """What an implementation receives.

    Each of `branches` answers the question, all at the same time; then `join` is given the question and what they
    found. A branch that fails must not be lost without a word: either the join, or the error, says which it was.
    """

    question: str
    branches: tuple[AgentSpec, ...]
    join: AgentSpec


class ParallelCase(CapabilityCase):
    """A question; `fails` is the branch whose call to the model the server refuses, if any."""

    fails: str | None = None
    answer: str


CASE_TYPE = ParallelCase


def load() -> list[ParallelCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), ParallelCase)


def prepare(case: ParallelCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a run."""
    return Prepared(brief=ParallelBrief(case.question, BRANCHES, JOIN), final_state=dict)


def play(case: ParallelCase) -> Play:
    """How the scripted model plays the case. Nobody is answered before all three branches have asked."""
    voices = {JOIN.instructions: case.answer}
    voices |= {branch.instructions: FOUND[branch.name] for branch in BRANCHES}
    refusals = [
        Refusal(status=400, voice=branch.instructions, says=f"The request of the {branch.name} analyst is refused.")
        for branch in BRANCHES
        if branch.name == case.fails
    ]
    return Play(answer=case.answer, voices=voices, together=len(BRANCHES), refusals=refusals)
