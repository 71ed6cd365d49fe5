"""A model that misbehaves in one set way, then goes on sensibly: it shows what a framework does about it.

After its fault it plays the script of the probe as the scripted model does, only from what it was sent.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluator.models.upstreams import Reply, Session
from evaluator.models.upstreams.scripted import PLAYED_BY, ScriptedSession, ScriptedUpstream, search_arguments
from evaluator.probes.script import SILENCE, ProbeScript
from evaluator.wire.handoffs import is_handoff
from tasks.cases import Script

MEETING_PATIENCE_S = 3.0
"""How long a run that belongs to others waits for them."""

Message = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """What a request holds, and whether it asks for one call at a time."""

    messages: list[Message]
    tools: dict[str, Message]
    one_at_a_time: bool


def probes_digest() -> str:
    """Digest of the way in which probes are played; what a task brings to them is in its own digest."""
    files = (__file__, *PLAYED_BY)
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]


class ProbeSession(ScriptedSession):
    """The misbehaving model in one run. `turn` counts the requests so far."""

    def __init__(self, script: ProbeScript) -> None:
        super().__init__(script)
        self.script = script
        self.turn = 0
        self.at_once: int | None = None

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """See `ScriptedSession.complete`; the same request may get another reply the second time."""
        self.turn += 1
        if request.get("tool_choice") == "none":
            request = {**request, "tools": None}
        completion = super().complete(request)
        _, message = self._replies.popitem()  # else it would be given again for the same request
        self._replies[b"turn %d" % self.turn] = message
        return completion

    def _reply(self, messages: list[Message], tools: dict[str, Message], one_at_a_time: bool) -> Message:
        fault = FAULTS[self.script.fault] if self.script.fault else None
        reply = fault(self, Sent(messages, tools, one_at_a_time)) if fault else None
        if reply is None:
            reply = super()._reply(messages, tools, one_at_a_time)
        if self.at_once is not None and "tool_calls" not in reply:
            reply = {**reply, "content": f"{reply['content']} Runs at once: {self.at_once}."}
        return reply

    def call(self, name: str, arguments: dict[str, Any]) -> Message:
        """A call that belongs to no step."""
        return self._calls([(None, name, arguments)])

    def search_or_find(self, text: str, sent: Sent) -> Message | None:
        """A call of whatever finds something by a text, if it is offered."""
        likely = sorted(sent.tools.items(), key=lambda tool: not re.search("find|search", tool[0].lower()))
        for name, function in likely:
            arguments = search_arguments(function, text)
            if arguments is not None and not is_handoff(name):
                return self.call(name, arguments)
        return None

    def hand_over(self, step: int, sent: Sent) -> Message | None:
        """A call of the handoff tool that leads to the owner of `step`, as often as one likes."""
        self._handoffs.clear()
        return self._hand_over(step, sent.messages, sent.tools, "")


Fault = Callable[[ProbeSession, Sent], Message | None]
"""What the model does wrong; nothing where it plays its script."""


def _endless_calls(session: ProbeSession, sent: Sent) -> Message | None:
    """Calls a tool for ever; in a team after one handoff."""
    if session.script.turns and session.turn == 1:
        return session.hand_over(0, sent)
    return session.search_or_find(f"part {session.turn}", sent)


def _endless_handoffs(session: ProbeSession, sent: Sent) -> Message | None:
    """Hands over for ever: to the owner of the first step, of the second, of the first again."""
    return session.hand_over((session.turn - 1) % len(session.script.turns), sent)


def _empty_content(session: ProbeSession, sent: Sent) -> Message | None:
    """Says nothing twice: once without content, once with an empty one."""
    return {"role": "assistant", "content": {1: None, 2: ""}[session.turn]} if session.turn <= 2 else None


def _unknown_tool(session: ProbeSession, sent: Sent) -> Message | None:
    """Calls a tool that nobody offered."""
    return session.call("fetch_moon_phase", {"day": "2026-05-01"}) if session.turn == 1 else None


def _malformed_arguments(session: ProbeSession, sent: Sent) -> Message | None:
    """Breaks off in the middle of a call's arguments."""
    if session.turn > 1:
        return None
    sound = session.search_or_find("the plan", sent)
    assert sound is not None
    function = sound["tool_calls"][0]["function"]
    function["arguments"] = function["arguments"][:-2]
    return sound


def _wrong_type(session: ProbeSession, sent: Sent) -> Message | None:
    """Calls a tool with texts that are neither a date nor a number."""
    return session.call("book", {"day": "someday", "seats": "many"}) if session.turn == 1 else None


def _call_and_handoff(session: ProbeSession, sent: Sent) -> Message | None:
    """Calls a tool and hands over in the same turn, unless asked for one call at a time."""
    if session.turn > 1:
        return None
    call, handoff = session.search_or_find("the plan", sent), session.hand_over(0, sent)
    if call is None or handoff is None or sent.one_at_a_time:
        return call
    call["tool_calls"][0]["id"] += "_a"  # each was made as the only one
    return {**call, "tool_calls": [*call["tool_calls"], *handoff["tool_calls"]]}


FAULTS: dict[str, Fault] = {
    "endless_calls": _endless_calls,
    "endless_handoffs": _endless_handoffs,
    "empty_content": _empty_content,
    "unknown_tool": _unknown_tool,
    "malformed_arguments": _malformed_arguments,
    "wrong_type": _wrong_type,
    "call_and_handoff": _call_and_handoff,
}


class ProbeUpstream(ScriptedUpstream):
    """Answers chat completions, plain and streamed, from the probe of the run."""

    def __init__(self) -> None:
        self._meetings: dict[str, _Meeting] = {}

    def session(self, script: Script) -> ProbeSession:
        """What has been played so far in a run that is about to start."""
        assert isinstance(script, ProbeScript)
        return ProbeSession(script)

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """See `Upstream.chat`."""
        assert isinstance(session, ProbeSession)
        if session.script.fault == SILENCE:
            await asyncio.Event().wait()  # the gateway ends it with the run
        if session.script.meeting and session.at_once is None:
            meeting = self._meetings.setdefault(session.script.meeting, _Meeting())
            session.at_once = 0
            session.at_once = await meeting.join(session.script.parties)
            self._meetings.pop(session.script.meeting, None)
        return await super().chat(body, request, session, time_left_s)


class _Meeting:
    """Runs that wait until all have come, or no more come."""

    def __init__(self) -> None:
        self._here = 0
        self._full = asyncio.Event()

    async def join(self, parties: int) -> int:
        """Wait for the others; gives how many were there."""
        self._here += 1
        if self._here == parties:
            self._full.set()
        try:
            async with asyncio.timeout(MEETING_PATIENCE_S):
                await self._full.wait()
        except TimeoutError:
            self._full.set()
        return self._here
