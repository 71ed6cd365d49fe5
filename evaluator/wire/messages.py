"""What stands in a model's reply: the body as data, the assistant's message, the tokens. Plain and streamed alike."""

from collections.abc import Callable
from typing import Any

import orjson

from evaluator.trace import Api
from evaluator.wire.tokens import count_completion_tokens, count_prompt_tokens

CUT_OFF = "the run ended before the response did"
"""The error of a call that was still under way when its run ended."""


def parsed(body: bytes | bytearray) -> Any:
    """A JSON body, the chunks of a stream, or the text that it is; never raises."""
    try:
        response = orjson.loads(body) if body else None
        return response if _can_be_written(response) else body.decode(errors="replace")
    except orjson.JSONDecodeError:
        pass
    chunks = []
    for line in body.decode(errors="replace").split("\n"):  # no other character ends a line of JSON text
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data != "[DONE]":
            try:
                chunk = orjson.loads(data)
                chunks.append(chunk if _can_be_written(chunk) else data)
            except orjson.JSONDecodeError:
                chunks.append(data)
    return chunks or body.decode(errors="replace")


def _can_be_written(value: Any) -> bool:
    """Whether the writer of traces, which has a limit, can nest `value` a few levels down."""
    try:
        orjson.dumps([[[[[[[[value]]]]]]]])
    except TypeError:
        return False
    return True


def usage_of(response: Any) -> dict[str, Any] | None:
    """The usage that an upstream gave, in a plain body or in the last chunk that has one."""
    for part in reversed(response) if isinstance(response, list) else [response]:
        usage = part.get("usage") if isinstance(part, dict) else None
        if isinstance(usage, dict) and _tokens(usage, "prompt_tokens") is not None:
            return usage
    return None


def usage_of_response(response: Any) -> dict[str, Any] | None:
    """The same for `responses`, in the words of chat completions; in a stream the last event has the whole response."""
    for part in reversed(response) if isinstance(response, list) else [response]:
        whole = part.get("response", part) if isinstance(part, dict) else None
        usage = whole.get("usage") if isinstance(whole, dict) else None
        if isinstance(usage, dict) and _tokens(usage, "input_tokens") is not None:
            return {
                "prompt_tokens": usage["input_tokens"],
                "completion_tokens": usage.get("output_tokens"),
                "prompt_tokens_details": usage.get("input_tokens_details"),
            }
    return None


USAGE_OF: dict[Api, Callable[[Any], dict[str, Any] | None]] = {
    "chat_completions": usage_of,
    "responses": usage_of_response,
}


def _tokens(usage: Any, *path: str) -> int | None:
    """The number at `path` in `usage`, if there is one."""
    for name in path:
        usage = usage.get(name) if isinstance(usage, dict) else None
    return usage if isinstance(usage, int) and not isinstance(usage, bool) else None


def assembled_message(response: Any) -> dict[str, Any]:
    """The assistant's message in a plain response, or put together from the chunks of a stream.

    Raises `AttributeError`, `LookupError` or `TypeError` where the response is none of these.
    """
    if not isinstance(response, list):
        message: dict[str, Any] = (response["choices"][0].get("message") if response.get("choices") else None) or {}
        return message
    text = ""
    calls: dict[int, dict[str, Any]] = {}
    for chunk in response:
        for choice in (chunk.get("choices") or []) if isinstance(chunk, dict) else []:
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part.get("index", 0), {"id": None, "function": {"name": "", "arguments": ""}})
                call["id"] = call["id"] or part.get("id")
                function = part.get("function") or {}
                call["function"]["name"] += function.get("name") or ""
                call["function"]["arguments"] += function.get("arguments") or ""
    return {"content": text, "tool_calls": list(calls.values())}


def counted(request: dict[str, Any], response: Any) -> dict[str, Any] | None:
    """The tokens of a call whose upstream gave no usage; none where it was no chat completion."""
    try:
        return {
            "prompt_tokens": count_prompt_tokens(request),
            "completion_tokens": count_completion_tokens(assembled_message(response)),
        }
    except (AttributeError, LookupError, TypeError):
        return None
