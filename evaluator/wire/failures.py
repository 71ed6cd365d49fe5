"""What a model's server answered when it failed: which kind of failure it was, and one line for people."""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from evaluator.text import shortened
from evaluator.trace import ModelCall
from evaluator.wire.messages import completion_of

_LONGEST = 300
"""Characters of a server's own message that are shown."""

_KEY_REFUSED, _NO_MODEL, _NO_CREDIT = "key refused", "no such model", "no credit left"
_SAME_FOR_ALL = (_KEY_REFUSED, _NO_MODEL, _NO_CREDIT)
"""Kinds of failure that every other run would meet as well."""

_CONTEXT = re.compile(
    r"context[ _](length|window|size)|maximum context|(prompt|input|request) (is )?too (long|large)|too many tokens"
)
_UNKNOWN_MODEL = re.compile(
    r"model\S* (\S+ )?(does )?not (exist|found)|(invalid|unknown|no such) model|not a valid model"
    r"|model identifier is invalid"
)
_OUT_OF_CREDIT = re.compile(r"insufficient[ _](quota|balance|credits)")


def failure(call: ModelCall) -> str | None:
    """In one line what went wrong upstream with this call; None where it was answered, or the run itself ended it."""
    if call.answered:
        return _malformed(call)
    if call.error != f"status {call.status}":
        return None  # the gateway's own words: the run had ended, or there was no server
    kind, message = _kind(call), message_of(call.response)
    wait = f", Retry-After: {call.retry_after}" if call.retry_after else ""
    return f"the model's server answered {call.status} ({kind}{wait})" + (f": {message}" if message else "")


def same_for_all(chats: Sequence[ModelCall]) -> str | None:
    """Why any other run would fail like the one with these calls, in one line; None where that cannot be said.

    That is so where the server answered none of its calls but refused the last one for its key, its model or
    a lack of credit. A refusal of `responses` may concern that API alone.
    """
    if not chats or any(call.answered for call in chats):
        return None
    last = chats[-1]
    if last.api != "chat_completions" or last.error != f"status {last.status}" or _kind(last) not in _SAME_FOR_ALL:
        return None
    return failure(last)


def _kind(call: ModelCall) -> str:
    status, said = call.status, message_of(call.response, code=True).lower()
    if status in (400, 404, 422) and _UNKNOWN_MODEL.search(said):
        return _NO_MODEL
    if status in (400, 413, 422, 500) and _CONTEXT.search(said):
        return "context length exceeded"
    if status == 402 or (status == 429 and _OUT_OF_CREDIT.search(said)):
        return _NO_CREDIT
    kinds = {401: _KEY_REFUSED, 403: _KEY_REFUSED, 404: _NO_MODEL, 408: "time-out", 429: "rate limit", 504: "time-out"}
    return kinds.get(status, "server error" if status >= 500 else "request refused")


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
    if completion.message is None:
        return f"{answered} with a body that is no chat completion"
    if isinstance(call.response, list) and completion.finish_reason is None:
        return f"{answered}, and ended the stream in the middle"
    return None
