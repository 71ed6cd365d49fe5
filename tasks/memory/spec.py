"""What an implementation receives: a user, a conversation of theirs, and what they say in it."""

from dataclasses import dataclass
from pathlib import Path

from tasks.base import Prepared, Wrap, unwrapped
from tasks.capability import NOWHERE, CapabilityCase, Play, Setting
from tasks.cases import load_cases

INSTRUCTIONS = (
    "You plan trips for travellers. Remember what they tell you about themselves, and answer in one sentence."
)

MOST_TOKENS = 1500
"""What a request of a long conversation should keep below, in tokens of its prompt."""


@dataclass(frozen=True)
class MemoryBrief:
    """What an implementation receives.

    The `messages` are what `user` says, one after the other, in the conversation named `conversation`. `store` is a
    folder that outlives the process: later conversations, in other processes, are given the same. What a user said
    about themselves must be known in their later conversations, and in nobody else's.

    Where the messages are many, requests keep below `most_tokens`.
    """

    instructions: str
    user: str
    conversation: str
    messages: tuple[str, ...]
    store: Path
    most_tokens: int


class MemoryCase(CapabilityCase):
    """Conversations, each in a process of its own, of these users; the last question asks for the fact.

    `known` says whether the fact may be known then. `chatter` is how many messages of small talk come in between.
    """

    users: list[str]
    fact: str
    known: bool
    chatter: int = 0
    answer: str


CASE_TYPE = MemoryCase


def load() -> list[MemoryCase]:
    """The cases of this task. Raises `CasesError`."""
    return load_cases(Path(__file__).with_name("cases.jsonl"), MemoryCase)


def messages_of(case: MemoryCase, part: int) -> tuple[str, ...]:
    """What the user of a process says."""
    told = _told(case)
    if len(case.users) == 1:
        return (told, *(_chatter(number) for number in range(1, case.chatter + 1)), case.question)
    return (told,) if part == 1 else (case.question,)


def _told(case: MemoryCase) -> str:
    return f"Hello, please remember about me: {case.fact}"


def _chatter(number: int) -> str:
    line = f"Note {number} of my travel diary: the train was on time and the landscape went by, field after field."
    return " ".join([line] * 8) + f" What do you think of note {number}?"


def prepare(case: MemoryCase, setting: Setting = NOWHERE, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of one process of a run."""
    brief = MemoryBrief(
        instructions=INSTRUCTIONS,
        user=case.users[setting.part - 1],
        conversation=f"conversation-{setting.part}",
        messages=messages_of(case, setting.part),
        store=setting.store,
        most_tokens=MOST_TOKENS,
    )
    return Prepared(brief=brief, final_state=dict)


def play(case: MemoryCase) -> Play:
    """How the scripted model plays the case: it answers the question if the fact stands in what it is sent."""
    return Play(answer=case.answer, known={case.question: case.fact}, told=_told(case), parts=len(case.users))
