"""The scripted model for conversations of outside suites: it plays what the user has said so far.

It plays only from what it was sent: each message of the user must stand in the request, in order, and so must what was
called for earlier ones, with what came of it. Where a framework loses that on the way, it says that it does not know.
"""

import hashlib
from pathlib import Path
from typing import Any

from evaluator.models.upstreams.scripted import ScriptedSession
from evaluator.models.upstreams.suites import SuiteSession, SuiteUpstream, suites_digest
from evaluator.wire.tokens import text_of
from tasks.cases import Script
from tasks.conversation import ConversationScript


def conversing_digest() -> str:
    """Digest of the way in which it plays."""
    return hashlib.sha256(suites_digest().encode() + Path(__file__).read_bytes()).hexdigest()[:16]


class ConversingUpstream(SuiteUpstream):
    """Answers chat completions, plain and streamed, from the script of the run."""

    def session(self, script: Script) -> ScriptedSession:
        """What has been played so far in a run that is about to start."""
        return ConversingSession(script) if isinstance(script, ConversationScript) else SuiteSession(script)


class ConversingSession(SuiteSession):
    """The scripted model in one conversation. The calls for a message are made one after another."""

    def __init__(self, script: ConversationScript) -> None:
        super().__init__(script)
        self._conversation = script
        self._there: set[int] = set()

    def _reply(
        self, messages: list[dict[str, Any]], tools: dict[str, dict[str, Any]], one_at_a_time: bool
    ) -> dict[str, Any]:
        turns = self._conversation.turns[: self._said(messages)]
        self._steps = [step for turn in turns for step in turn]
        self._turn_of = list(range(len(self._steps)))
        reply = super()._reply(messages, tools, one_at_a_time)
        earlier = [step for turn in turns[:-1] for step in turn]
        lost = next((step.tool for number, step in enumerate(earlier) if number not in self._there), None)
        return reply if lost is None else self._unknown(f"what {lost} gave", "")

    def _answered(self, messages: list[dict[str, Any]]) -> set[int]:
        self._there = super()._answered(messages)
        return self._there

    def _said(self, messages: list[dict[str, Any]]) -> int:
        """How many of the user's messages stand in what was sent, in order."""
        sent, at = _in_one_line("\n".join(text_of(message.get("content")) for message in messages)), 0
        for number, message in enumerate(map(_in_one_line, self._conversation.messages)):
            found = sent.find(message, at)
            if found < 0:
                return number
            at = found + len(message)
        return len(self._conversation.messages)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
