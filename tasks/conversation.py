"""The contract of the modules `conversation`: a user says several things, each once the last one is answered."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from tasks.base import Tool
from tasks.cases import Script

MODULE = "conversation"
"""What the modules are called."""


@dataclass(frozen=True)
class ConversationBrief:
    """What an implementation gets.

    `messages` are taken one at a time, the next when the last one is answered: what is called until then was called for
    that one. The `tools` give texts for the model, those that say what went wrong included.
    """

    instructions: str
    messages: Iterable[str]
    tools: list[Tool]


class ConversationScript(Script):
    """The script of a conversation: for each of the user's `messages`, `turns` has the calls that it takes, in order.

    See `evaluator/models/upstreams/conversing.py`.
    """

    messages: list[str] = Field(min_length=1)
