"""The scripted model with a fault put in: it plays each case perfectly, but for what one row of `FAULTS` says.

Whatever comes in place of a sound reply, the model is a competent one. A call that was spoiled is still to be made:
told in any way of its mistake, or asked again, the model makes it; where it is told nothing, it is not asked.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from evaluator.faults import script as scripts
from evaluator.faults import table
from evaluator.faults.script import FaultScript
from evaluator.faults.table import BY_NAME, Around, Transport
from evaluator.models.upstreams import JSON_HEADERS, BrokenOff, Reply, Session
from evaluator.models.upstreams.scripted import PLAYED_BY, ScriptedSession, ScriptedUpstream
from evaluator.trace import ModelCall, Operation
from evaluator.wire.handoffs import is_handoff
from evaluator.wire.tokens import text_of
from tasks.cases import Script
from tasks.grading import states_fact

_NO_JSON = b"\n}}]"
"""Breaks any JSON that it is put into: also a string, which has no line break as it is."""

_SHORTEST_TELLING = 3
"""Characters of what a result says."""


def faults_digest() -> str:
    """Digest of the way in which faults are put in."""
    files = (__file__, table.__file__, scripts.__file__, *PLAYED_BY)
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]


class FaultSession(ScriptedSession):
    """The model in one run."""

    def __init__(self, script: FaultScript) -> None:
        super().__init__(script)
        self._plan = script
        self._fault = BY_NAME[script.fault] if script.fault else None
        self._times_left = script.times
        self._search_spoiled = False
        self.disturbance: Transport | None = None
        """What is to become of the reply that was given last, on its way."""
        self.met: dict[Operation, list[bool]] = {"chat": [], "embeddings": []}
        """Of each call so far, whether the fault met it."""

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """The chat completion for `request`, spoiled where that is due."""
        if request.get("tool_choice") == "none":
            request = {**request, "tools": None}
        if self._search_spoiled:
            self._search_again(request.get("messages") or [])
        completion, self.disturbance = super().complete(request), None
        if self._fault is None or not self._is_due(completion):
            return completion
        if self._fault.transport is not None:
            self._times_left -= 1
            self.disturbance = self._fault.transport
        if self._fault.spoil is None:
            return completion
        [choice] = completion["choices"]
        tools = {tool["function"]["name"]: tool["function"] for tool in request.get("tools") or []}
        spoiled = self._fault.spoil(choice["message"], Around(tools, self._ahead()))
        if spoiled is None:
            return completion
        self._times_left -= 1
        self._search_spoiled = not self._steps and self._fault.when == "call"
        usual = "tool_calls" if "tool_calls" in spoiled.message else "stop"
        changed = {**choice, "message": spoiled.message, "finish_reason": spoiled.finish_reason or usual}
        return {**completion, "choices": [changed]}

    def _ahead(self) -> tuple[str, dict[str, Any]] | None:
        """The tool and arguments of the next expected call."""
        pending = (step for number, step in enumerate(self._steps) if number not in self._done)
        return next(((step.tool, step.arguments) for step in pending), None)

    def _search_again(self, messages: list[dict[str, Any]]) -> None:
        """Have the search that was spoiled made once more, unless what it would have found is there."""
        assert self._fault is not None
        self._search_spoiled = False
        seen = "\n".join(text_of(message.get("content")) for message in messages)
        needs = self._plan.needs
        if not all(states_fact(seen, fact) for fact in needs) if needs else not self._fault.leaves_call:
            self._searched -= 1

    def _answered(self, messages: list[dict[str, Any]]) -> set[int]:
        """See `ScriptedSession`; a call whose result says nothing of what it gives has not worked.

        Only results of the same tool count: others, such as that of a handoff, may repeat what the call gives.
        """
        names = {call.get("id"): _name_of(call) for message in messages for call in message.get("tool_calls") or []}
        said: dict[str, str] = {}
        for message in messages:
            if message.get("role") == "tool":
                name = names.get(message.get("tool_call_id"), "")
                said[name] = f"{said.get(name, '')}\n{text_of(message.get('content'))}"
        answered = ((step, said.get(self._steps[step].tool, "")) for step in super()._answered(messages))
        return {step for step, text in answered if _states_most(text, self._plan.given[step])}

    def refuses_to_embed(self, texts: list[str]) -> bool:
        """Whether the embedding of a query fails now."""
        refused = self._refuses(texts)
        self.met["embeddings"].append(refused)
        return refused

    def annotated(self, calls: list[ModelCall]) -> list[ModelCall]:
        """See `Session.annotated`: which calls the fault met."""
        met = {operation: iter(each) for operation, each in self.met.items()}
        return [
            call.model_copy(update={"injected": True}) if next(met[call.operation], False) else call for call in calls
        ]

    def _refuses(self, texts: list[str]) -> bool:
        is_query = len(texts) == 1 and texts[0] in self._plan.searches
        if not is_query or self._fault is None or self._fault.retrieval != "fails" or self._times_left <= 0:
            return False
        if self._plan.searches.index(texts[0]) < self._plan.moment:
            return False
        self._times_left -= 1
        return True

    @property
    def faults_played(self) -> int | None:
        """See `Session.faults_played`."""
        is_own = self._fault is not None and (self._fault.tool is None and self._fault.retrieval in (None, "fails"))
        return self._plan.times - self._times_left if is_own else None

    def _is_due(self, completion: dict[str, Any]) -> bool:
        """Whether the fault comes now, in place of this sound reply."""
        assert self._fault is not None
        calls = completion["choices"][0]["message"].get("tool_calls") or []
        kind = "answer" if not calls else "handoff" if is_handoff(calls[0]["function"]["name"]) else "call"
        if self._times_left <= 0 or kind != self._fault.when:
            return False
        reached = len(self._done) if self._steps else self._searched - 1
        return kind == "answer" or reached >= self._plan.moment


def _name_of(call: dict[str, Any]) -> str:
    """The tool that is called."""
    return str((call.get("function") or {}).get("name") or "")


def _states_most(said: str, given: Sequence[str]) -> bool:
    """Whether results state at least half of what a call gives; what is short may stand there by chance."""
    telling = [text for text in given if len(text) >= _SHORTEST_TELLING] or given
    return sum(text in said for text in telling) * 2 >= len(telling)


class FaultUpstream(ScriptedUpstream):
    """Answers chat completions, plain and streamed, from the script of the run and with its fault."""

    def session(self, script: Script) -> FaultSession:
        """What has been played so far in a run that is about to start."""
        assert isinstance(script, FaultScript)
        return FaultSession(script)

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """See `Upstream.chat`. Raises `BrokenOff` where the connection is to be closed."""
        assert isinstance(session, FaultSession)
        played = session.faults_played
        sound = await super().chat(body, request, session, time_left_s)
        session.met["chat"].append(session.faults_played != played)
        return sound if session.disturbance is None else await _disturbed(session.disturbance, sound)


async def _disturbed(transport: Transport, sound: Reply) -> Reply:
    """What comes in place of a sound reply."""
    if transport.reset:
        raise BrokenOff("the connection was closed before the first byte")
    if transport.status is not None:
        headers = [(b"content-type", transport.content_type)]
        if transport.retry_after_s is not None:
            headers.append((b"retry-after", str(transport.retry_after_s).encode()))
        return Reply(transport.status, headers, transport.body)
    if not transport.halfway:
        await asyncio.sleep(transport.stall_s)
        return sound
    if not isinstance(sound.body, bytes):
        return Reply(200, sound.headers, _in_pieces(transport, [piece async for piece in sound.body]))
    half = len(sound.body) // 2
    first, second = sound.body[:half], sound.body[half:]
    if transport.malformed:
        return Reply(200, JSON_HEADERS, first + _NO_JSON + second)
    length = (b"content-length", b"%d" % len(sound.body))
    return Reply(200, [*sound.headers, length], _in_pieces(transport, [first, second]))


async def _in_pieces(transport: Transport, pieces: list[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a reply, with what happens in their middle."""
    for number, piece in enumerate(pieces):
        if number == max(len(pieces) // 2, 1):
            if transport.cut:
                raise BrokenOff("the reply was broken off")
            if transport.malformed:
                yield b'data: {"choices": [{"delta": {"content"\n\n'
            await asyncio.sleep(transport.stall_s)
        yield piece
