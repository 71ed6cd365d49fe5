"""What a model's server answered when it failed: which kind of failure it was, and one line for people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from evaluator.text import duration, shortened
from evaluator.trace import ModelCall
from evaluator.wire.messages import completion_of

_LONGEST = 300
"""Characters of a server's own message that are shown."""

KEY_REFUSED, NO_MODEL, NO_CREDIT = "key refused", "no such model", "no credit left"
NO_ADDRESS = "no such address: is the base URL right?"
"""Kinds of failure, as `Refusal.kind` has them; for the others a status will do."""

_SAME_FOR_ALL = (KEY_REFUSED, NO_MODEL, NO_CREDIT)
"""Kinds of failure that every other run would meet as well."""

_OF_THE_REQUEST = ("context length exceeded", "request refused")
"""Kinds of failure that another request would not have met: what was asked is the framework's, and so is this."""

_LONG_WAIT_S = 120.0
"""Seconds. A server that says to come back later than that is as good as gone: no run waits so long."""

WAITING_HELPS = (429, 503, 529)
"""Statuses of a server that has too much to do: it may say when to come back."""

_MONTH_S = 30 * 24 * 3600.0

_CONTEXT = re.compile(
    r"context[ _](length|window|size)|maximum context|(prompt|input|request) (is )?too (long|large)|too many tokens"
)
_UNKNOWN_MODEL = re.compile(
    r"model\S* (\S+ )?(does )?not (exist|found)|(invalid|unknown|no such|no) model|not a valid model"
    r"|model identifier is invalid"
)
_OUT_OF_CREDIT = re.compile(r"insufficient[ _](quota|balance|credits)|out of credits|credit balance is too low")
_KEY = re.compile(
    r"api[ _-]?key|access[ _-]?token|bearer|credential|authenticat|unauthori[sz]ed|not authori[sz]ed"
    r"|account (is|has been) |(permission|access)\S* to (this |the )?(model|organi[sz]ation|project)"
)
_NO_PAGE = re.compile(
    r"^(404:? ?)?(page |url |path |route |endpoint |resource )?not[ _]found\W*$|^$|<html|<!doctype|cannot (post|get) /"
    r"|no (such )?(route|endpoint|handler|path)\b|(unknown|invalid) (url|route|endpoint|path|request url)"
    r"|url .*not found"
)


@dataclass(frozen=True)
class Refusal:
    """A reply of the model's server with a status that is no success; `retry_after` is that header."""

    status: int
    response: Any
    retry_after: str | None = None

    def __str__(self) -> str:
        message, wait = message_of(self.response), f", Retry-After: {self.retry_after}" if self.retry_after else ""
        return f"the model's server answered {self.status} ({self.kind}{wait})" + (f": {message}" if message else "")

    @property
    def kind(self) -> str:
        """What the status is about, by what the reply says: a status alone is no cause."""
        status, said = self.status, message_of(self.response, code=True).lower()
        if status in (400, 403, 404, 422) and _UNKNOWN_MODEL.search(said):
            return NO_MODEL
        if status in (400, 413, 422, 500) and _CONTEXT.search(said):
            return "context length exceeded"
        if status == 402 or (status in (400, 403, 429) and _OUT_OF_CREDIT.search(said)):
            return NO_CREDIT
        if status == 401 or (status in (400, 403) and _KEY.search(said)):
            return KEY_REFUSED
        if status in (404, 405):
            return NO_ADDRESS if _NO_PAGE.search(said) else "request refused"
        kinds = {403: "refused by the server", 408: "time-out", 429: "rate limit", 504: "time-out"}
        return kinds.get(status, "server error" if status >= 500 else "request refused")

    @property
    def wait_s(self) -> float | None:
        """The seconds after which the server says to come back: a number or a date, as HTTP has them; None without."""
        if self.status not in WAITING_HELPS or not self.retry_after:
            return None
        try:
            return max(float(self.retry_after), 0.0)
        except ValueError:
            pass
        try:
            return max((parsedate_to_datetime(self.retry_after) - datetime.now(UTC)).total_seconds(), 0.0)
        except (ValueError, TypeError):
            return None

    @property
    def come_back(self) -> str | None:
        """When to come back, where that is later than any run can wait for, whatever it asks."""
        wait_s = self.wait_s
        return f"{self}. Come back {_when(wait_s)}" if wait_s is not None and wait_s > _LONG_WAIT_S else None

    @property
    def is_of_all(self) -> bool:
        """Whether the reply says itself that it refuses the key or the model, or that there is no credit left."""
        return self.kind in _SAME_FOR_ALL


def failure(call: ModelCall) -> str | None:
    """In one line what went wrong upstream with this call; None where it was answered, or the run itself ended it."""
    if call.answered:
        return _malformed(call)
    refusal = _refusal(call)
    return None if refusal is None else str(refusal)


def same_for_all(chats: Sequence[ModelCall]) -> str | None:
    """Why any other run would fail like the one with these calls, in one line; None where that cannot be said.

    That is so where the server answered none of its calls and its last reply `is_of_all`; and whenever it says to come
    back in more than `_LONG_WAIT_S`. A refusal of `responses` may concern that API alone.
    """
    if not chats or (last := chats[-1]).api != "chat_completions" or (refusal := _refusal(last)) is None:
        return None
    if refusal.come_back:
        return refusal.come_back
    return None if any(call.answered for call in chats) or not refusal.is_of_all else str(refusal)


def is_the_servers(call: ModelCall) -> bool:
    """Whether a failed call failed by the server's own account or state, not for what was asked."""
    if call.answered:
        return _malformed(call) is not None
    refusal = _refusal(call)
    return refusal is not None and refusal.kind not in _OF_THE_REQUEST


def _refusal(call: ModelCall) -> Refusal | None:
    """What the server answered a failed call with; None where the gateway spoke itself: the run had ended, or there
    was no server."""
    is_servers = call.error == f"status {call.status}"
    return Refusal(call.status, call.response, call.retry_after) if is_servers else None


def _when(wait_s: float) -> str:
    if wait_s > _MONTH_S:
        return "in more than a month"
    return f"in {duration(wait_s)}, at {datetime.now().astimezone() + timedelta(seconds=wait_s):%Y-%m-%d %H:%M}"


def message_of(response: Any, code: bool = False) -> str:
    """What a server's error says, in the forms that are in use, on one line; with its code in front if asked for.

    Where it has none of these forms, that is the beginning of the body.
    """
    parts = response if isinstance(response, list) else [response]
    errors = [part["error"] for part in parts if isinstance(part, dict) and part.get("error")]
    said = errors[0] if errors else parts[0] if parts else None
    codes: list[Any] = []
    if isinstance(said, dict):
        codes = [said.get("code"), said.get("type")] if code else []
        said = next((said[name] for name in ("message", "detail") if name in said), said)
    text = said if isinstance(said, str) else orjson.dumps(said).decode() if said else ""
    return shortened(" ".join(str(part) for part in [*codes, text] if part), _LONGEST).removesuffix(".")


def _malformed(call: ModelCall) -> str | None:
    """Why an answer with a good status is none, if it is none."""
    answered = f"the model's server answered {call.status}"
    parts = call.response if isinstance(call.response, list) else [call.response]
    objects = [part for part in parts if isinstance(part, dict)]
    if any(part.get("error") for part in objects):
        return f"{answered} with an error: {message_of(objects)}"
    if call.api == "responses":
        whole = any("output" in part or "response" in part for part in objects)
        return None if whole else f"{answered} with a body that is no response"
    completion = completion_of(call.response)
    if completion.message is None or (isinstance(call.response, list) and not call.stream):
        return f"{answered} with a body that is no chat completion"
    if call.stream and not isinstance(call.response, list):
        return f"{answered} without the stream that it was asked for"
    if isinstance(call.response, list) and completion.finish_reason is None:
        return f"{answered}, and ended the stream in the middle"
    return None
