"""Answers from the recorded trace of the same run, and from nothing else.

A request gets the response of the first recorded request that is the same (see `evaluator/wire/canonical.py`)
and was not played yet: the same body, or the same chunks, without waiting. Errors of the model's server
come again as recorded. A call that was cut off by the time limit is cut off at once, and the run ends so.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from evaluator.models.upstreams import JSON_HEADERS, STREAM_HEADERS, Reply, Session, UpstreamError
from evaluator.trace import ModelCall, RecordedTimes, Trace
from evaluator.wire.canonical import canonical, canonical_bytes, differences, stamps_given
from evaluator.wire.messages import CUT_OFF
from tasks.cases import Script

_MOST_DIFFERENCES = 3


class RecordedScript(Script):
    """The recording that a run is answered from. `given` is the text that its task gives to the framework."""

    recording: Trace
    given: str


def recorded_script(recording: Trace, given: str) -> RecordedScript:
    """What `ReplayUpstream.session` needs."""
    return RecordedScript.model_construct(answer=recording.outcome.answer, recording=recording, given=given)


def recorded_name(recording: Trace) -> str:
    """The name of the model that the framework was given in the recorded run, as it stands in its requests."""
    return next((call.request_model for call in recording.chats), recording.key.model)


def recording_digest(recording: Trace) -> str:
    """16 hex digits over all that was recorded of the model."""
    calls = [call.model_dump(by_alias=True) for call in recording.model_calls]
    return hashlib.sha256(orjson.dumps(calls)).hexdigest()[:16]


class ReplayUpstream:
    """Answers each run from its own recording."""

    def session(self, script: Script) -> "ReplaySession":
        """What has been played so far in a run that is about to start."""
        assert isinstance(script, RecordedScript)
        return ReplaySession(script)

    async def chat(self, body: bytes, request: dict[str, Any], session: Session, time_left_s: float) -> Reply:
        """See `Upstream.chat`."""
        assert isinstance(session, ReplaySession)
        call = session.recorded_call(request)
        if call is None:
            error = {"type": "invalid_request_error", "code": "not_recorded", "message": session.complaint()}
            return Reply(400, JSON_HEADERS, orjson.dumps({"error": error}))
        if call.stream and isinstance(call.response, list):
            return Reply(call.status, STREAM_HEADERS, _stream(call, session, time_left_s))
        await _as_it_ended(call, session, time_left_s)
        return Reply(call.status, JSON_HEADERS, _body(call.response))

    async def close(self) -> None:
        """Nothing to free."""


class ReplaySession(Session):
    """What has been played of one recording, and what went wrong."""

    def __init__(self, script: RecordedScript) -> None:
        trace = script.recording
        self._trace = trace
        self._calls = trace.chats
        self._given = stamps_given(trace, script.given)
        self._forms = [canonical_bytes(call.request, self._given) for call in self._calls]
        self._played: list[int | None] = []
        """For each request so far, which recorded call answered it."""
        self._complaint: str | None = None

    @property
    def timed_out(self) -> bool:
        """Whether the recorded run ended by its time limit."""
        return self._trace.outcome.ended == "timeout"

    def recorded_call(self, request: dict[str, Any]) -> ModelCall | None:
        """The recorded call that answers `request`; none once a request was not among the recorded ones."""
        position = None if self._complaint else self._found(request)
        self._played.append(position)
        return None if position is None else self._calls[position]

    def _found(self, request: dict[str, Any]) -> int | None:
        try:
            form = canonical_bytes(request, self._given)
        except (RecursionError, TypeError):
            self._complaint = f"request {len(self._played) + 1} was never recorded: it is nested too deep"
            return None
        same = [position for position, recorded in enumerate(self._forms) if recorded == form]
        position = next((position for position in same if position not in self._played), None)
        if position is None:
            self._complaint = self._why_not(request, same)
        elif self._is_lost(self._calls[position]):
            self._complaint = f"the response to recorded request {position + 1} was lost: record this run again"
            return None
        return position

    def _is_lost(self, call: ModelCall) -> bool:
        """Whether a response had begun of which nothing was recorded."""
        return call.error == CUT_OFF and call.status > 0 and call.response is None and not self.timed_out

    def _why_not(self, request: dict[str, Any], same: Sequence[int]) -> str:
        number = len(self._played) + 1
        if same:
            return f"request {number} is recorded request {same[-1] + 1} once more, and was recorded {_times(same)}"
        if not self._calls:
            return f"request {number} was never recorded: the recorded run made none"
        form = canonical(request, self._given)
        found = [list(differences(canonical(call.request, self._given), form)) for call in self._calls]
        nearest = min(range(len(found)), key=lambda i: (len(found[i]), abs(i + 1 - number)))
        shown, more = found[nearest][:_MOST_DIFFERENCES], len(found[nearest]) - _MOST_DIFFERENCES
        words = "; ".join([*shown, f"and {more} more differences"] if more > 0 else shown)
        return f"request {number} was never recorded; nearest recorded request {nearest + 1} differs: {words}"

    def complaint(self) -> str | None:
        """See `Session.complaint`. It is final once the run has ended."""
        unplayed = [position for position in range(len(self._calls)) if position not in self._played]
        if self._complaint or not unplayed:
            return self._complaint
        verb = "was" if len(unplayed) == 1 else "were"
        return f"{len(unplayed)} of {len(self._calls)} recorded model calls {verb} never asked for"

    def annotated(self, calls: list[ModelCall]) -> list[ModelCall]:
        """See `Session.annotated`: a call that was answered from the recording has the recorded times."""
        played = iter(self._played)
        return [
            call.model_copy(update={"recorded": self._times_of(position)})
            if call.operation == "chat" and (position := next(played)) is not None
            else call
            for call in calls
        ]

    def _times_of(self, position: int) -> RecordedTimes:
        """A call that its run left behind had the model only until that run ended."""
        call, wall_s = self._calls[position], self._trace.resources.wall_s
        moments = (call.sent_s, call.first_byte_s, call.received_s)
        sent_s, first_byte_s, received_s = (min(max(moment, 0.0), wall_s) for moment in moments)
        return RecordedTimes(sent_s=sent_s, first_byte_s=first_byte_s, received_s=received_s)


def _times(same: Sequence[int]) -> str:
    return "once only" if len(same) == 1 else f"{len(same)} times only"


async def _stream(call: ModelCall, session: ReplaySession, time_left_s: float) -> AsyncIterator[bytes]:
    for chunk in call.response:
        yield b"data: " + _body(chunk) + b"\n\n"
    await _as_it_ended(call, session, time_left_s)
    yield b"data: [DONE]\n\n"


async def _as_it_ended(call: ModelCall, session: ReplaySession, time_left_s: float) -> None:
    """Fail as the recorded call failed. Where its run did not wait for the end of it, nor does this one."""
    if call.error in (None, f"status {call.status}"):
        return
    if call.error == "timeout" or (call.error == CUT_OFF and session.timed_out):
        raise TimeoutError
    if call.error == CUT_OFF:
        await asyncio.sleep(time_left_s)
        raise TimeoutError
    raise UpstreamError(call.error)


def _body(response: Any) -> bytes:
    """A response, or a chunk, as it went over the wire: JSON, or the text that was none."""
    if response is None:
        return b""
    return response.encode() if isinstance(response, str) else orjson.dumps(response)
