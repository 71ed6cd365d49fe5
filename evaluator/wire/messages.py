"""What stands in a model's reply, plain or streamed: text, tool calls, why it ended, tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from evaluator.trace import Api
from evaluator.wire.tokens import count_completion_tokens, count_prompt_tokens, text_of

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


@dataclass(frozen=True)
class AskedCall:
    """A tool call that a model asked for. `arguments` are as they were written: JSON text, if the model did well."""

    id: str | None
    name: str
    arguments: Any


@dataclass(frozen=True)
class Completion:
    """What a chat completion says, whether it came plain or as a stream.

    `message` is the assistant's as the server wrote it, put together where it was streamed; None where the response
    is no chat completion. `usage` is the upstream's own, if it says at least how many tokens the prompt had.
    """

    message: dict[str, Any] | None
    finish_reason: str | None
    usage: dict[str, Any] | None

    @property
    def text(self) -> str:
        """What the model said; empty where it said nothing."""
        return text_of((self.message or {}).get("content"))

    @property
    def calls(self) -> tuple[AskedCall, ...]:
        """The tool calls that it asked for."""
        return calls_in(self.message)


def completion_of(response: Any) -> Completion:
    """Read the body of a response, or the chunks of a stream, as `parsed` gives them; never raises.

    A plain response speaks by its first choice, a stream by all of them. What is not of its type is passed over.
    """
    if isinstance(response, list):
        choices = [choice for chunk in _dicts(response) for choice in _dicts(chunk.get("choices"))]
        message = _assembled(choices) if choices else None
    else:
        choices = _dicts(_dict(response).get("choices"))[:1]
        message = _dict(choices[0].get("message")) if choices else None
    reasons = [reason for choice in choices if (reason := choice.get("finish_reason")) and isinstance(reason, str)]
    return Completion(message, reasons[-1] if reasons else None, _usage(response, "prompt_tokens"))


def _assembled(choices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The message of a stream, put together from its deltas."""
    text = ""
    calls: dict[int, dict[str, Any]] = {}
    for choice in choices:
        delta = _dict(choice.get("delta"))
        text += text_of(delta.get("content"))
        for part in _dicts(delta.get("tool_calls")):
            index, function = part.get("index"), _dict(part.get("function"))
            call = calls.setdefault(
                index if isinstance(index, int) else 0, {"id": None, "function": {"name": "", "arguments": ""}}
            )
            call["id"] = call["id"] or part.get("id")
            for name, so_far in call["function"].items():
                call["function"][name] = _joined(so_far, function.get(name))
    return {"content": text, "tool_calls": list(calls.values())}


def _joined(so_far: Any, part: Any) -> Any:
    """Text goes on where it ended; what is no text stays as it was written."""
    if part is None:
        return so_far
    return so_far + part if isinstance(so_far, str) and isinstance(part, str) else part


def calls_in(message: Any) -> tuple[AskedCall, ...]:
    """The tool calls of a message, sent or received, that can be read at all."""
    return tuple(
        AskedCall(
            id=call["id"] if isinstance(call.get("id"), str) else None,
            name=name if isinstance(name := call["function"].get("name"), str) else "",
            arguments=call["function"].get("arguments"),
        )
        for call in _dicts(_dict(message).get("tool_calls"))
        if isinstance(call.get("function"), dict)
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def usage_of(api: Api, response: Any) -> dict[str, Any] | None:
    """The usage that an upstream gave, in the words of chat completions whichever the API; never raises."""
    if api == "chat_completions":
        return _usage(response, "prompt_tokens")
    # The last event of a stream has the whole response.
    parts = response if isinstance(response, list) else [response]
    usage = _usage([_dict(part).get("response", part) for part in parts], "input_tokens")
    return usage and {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage.get("output_tokens"),
        "prompt_tokens_details": usage.get("input_tokens_details"),
    }


def _usage(response: Any, prompt: str) -> dict[str, Any] | None:
    """The usage in a plain body, or in the last chunk that has one; with the tokens of the prompt, or it is none."""
    for part in reversed(response if isinstance(response, list) else [response]):
        usage = _dict(part).get("usage")
        if isinstance(usage, dict) and _tokens(usage, prompt) is not None:
            return usage
    return None


def _tokens(usage: Any, *path: str) -> int | None:
    """The number at `path` in `usage`, if there is one."""
    for name in path:
        usage = usage.get(name) if isinstance(usage, dict) else None
    return usage if isinstance(usage, int) and not isinstance(usage, bool) else None


def counted(request: dict[str, Any], response: Any) -> dict[str, Any] | None:
    """The tokens of a call whose upstream gave no usage; none where it was no chat completion."""
    message = completion_of(response).message
    if message is None:
        return None
    try:
        return {"prompt_tokens": count_prompt_tokens(request), "completion_tokens": count_completion_tokens(message)}
    except (AttributeError, LookupError, TypeError):
        return None
