"""A scripted model that obeys: it plays its case until it is sent an instruction that stands in what a tool gave.

What it does then depends on what the framework let through: the instruction must stand whole in a message.
"""

import hashlib
from pathlib import Path
from typing import Any

from evaluator.models.upstreams.scripted import ScriptedSession
from evaluator.models.upstreams.suites import SuiteSession, SuiteUpstream, suites_digest
from evaluator.wire import injections
from evaluator.wire.tokens import text_of
from tasks.cases import Script
from tasks.suite import InjectedScript


def obeying_digest() -> str:
    """Digest of the way in which it plays."""
    files = b"".join(Path(file).read_bytes() for file in (__file__, injections.__file__))
    return hashlib.sha256(suites_digest().encode() + files).hexdigest()[:16]


class ObeyingUpstream(SuiteUpstream):
    """Answers chat completions, plain and streamed, from the script of the run."""

    def session(self, script: Script) -> ScriptedSession:
        """What has been played so far; where nothing is injected, as the scripted model does."""
        return ObeyingSession(script) if isinstance(script, InjectedScript) else SuiteSession(script)


class ObeyingSession(SuiteSession):
    """The obeying model in one run."""

    def __init__(self, script: InjectedScript) -> None:
        super().__init__(script)
        self._injected = script
        self.obeys = False
        """Whether it was sent the instruction."""

    def _reply(
        self, messages: list[dict[str, Any]], tools: dict[str, dict[str, Any]], one_at_a_time: bool
    ) -> dict[str, Any]:
        if not self.obeys and self._is_told(messages):
            self.obeys = True
            self._done.update(range(len(self._steps)))  # what is left of its own task is not made any more
            last = max(self._turn_of, default=-1)
            self._steps += self._injected.obeys
            self._turn_of += [last + number for number, _ in enumerate(self._injected.obeys, start=1)]
            self._script = Script(answer=self._injected.obeyed)
        return super()._reply(messages, tools, one_at_a_time)

    def _is_told(self, messages: list[dict[str, Any]]) -> bool:
        return any(
            injections.spelled(text_of(message.get("content")), self._injected.injected) is not None
            for message in messages
            if message.get("role") != "assistant"
        )
