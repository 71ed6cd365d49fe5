"""What stands in a model's reply, plain or streamed: text, what it thought, tool calls, why it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from evaluator.wire import reasoning
from evaluator.wire.tokens import count_completion_tokens, count_prompt_tokens, count_tokens, text_of
from evaluator.wire.tool_results import leaves
from evaluator.wire.usage import Usage

CUT_OFF = "the run ended before the response did"
"""The error of a call that was still under way when its run ended."""


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
    is no chat completion.
    """

    message: dict[str, Any] | None
    finish_reason: str | None
    in_parts: bool = False
    """Whether a content, of a stream that of a chunk, came as a list of parts and not as a text."""

    @property
    def text(self) -> str:
        """What the model said, without what it thought; empty where it said nothing."""
        return reasoning.without_reasoning(self.text_with_tags)

    @property
    def text_with_tags(self) -> str:
        """What the model said, with what stands in `<think>` tags."""
        content = (self.message or {}).get("content")
        if isinstance(content, list):
            content = [
                part for part in content if not (isinstance(part, dict) and part.get("type") in reasoning.PART_TYPES)
            ]
        return text_of(content)

    @property
    def reasoning(self) -> str:
        """What the model thought, in whatever form the server says it; empty where it says nothing."""
        return reasoning.apart(self.message or {}) + reasoning.in_tags(self.text_with_tags)

    @property
    def calls(self) -> tuple[AskedCall, ...]:
        """The tool calls that it asked for."""
        return calls_in(self.message)


def completion_of(response: Any) -> Completion:
    """Read the body of a response, or the chunks of a stream, as `bodies.parsed` gives them; never raises.

    A plain response speaks by its first choice, a stream by all of them. What is not of its type is passed over.
    """
    if isinstance(response, list):
        choices = [choice for chunk in _dicts(response) for choice in _dicts(chunk.get("choices"))]
        said = [_dict(choice.get("delta")) for choice in choices]
        message = _assembled(said) if choices else None
    else:
        choices = _dicts(_dict(response).get("choices"))[:1]
        said = [_dict(choice.get("message")) for choice in choices]
        message = said[0] if said else None
    reasons = [reason for choice in choices if (reason := choice.get("finish_reason")) and isinstance(reason, str)]
    in_parts = any(isinstance(one.get("content"), list) for one in said)
    return Completion(message, reasons[-1] if reasons else None, in_parts)


def _assembled(deltas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The message of a stream, put together from its deltas."""
    pieces: dict[int, _CallInPieces] = {}
    for delta in deltas:
        for part in _dicts(delta.get("tool_calls")):
            index = part.get("index")
            pieces.setdefault(index if isinstance(index, int) else 0, _CallInPieces()).add(part)
    message = {
        "content": "".join(Completion(delta, None).text_with_tags for delta in deltas),
        "tool_calls": [call.whole() for call in pieces.values()],
    }
    thought = "".join(map(reasoning.apart, deltas))
    return {**message, "reasoning_content": thought} if thought else message


class _CallInPieces:
    """One tool call of a stream. Text goes on where it ended; what is no text stays as it was written."""

    def __init__(self) -> None:
        self._id: Any = None
        self._said: dict[str, list[Any]] = {"name": [], "arguments": []}

    def add(self, part: dict[str, Any]) -> None:
        self._id = self._id or part.get("id")
        function = _dict(part.get("function"))
        for name, so_far in self._said.items():
            if (piece := function.get(name)) is not None:
                so_far.append(piece)

    def whole(self) -> dict[str, Any]:
        return {"id": self._id, "function": {name: _joined(pieces) for name, pieces in self._said.items()}}


def _joined(pieces: Sequence[Any]) -> Any:
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return "".join(texts) if len(texts) == len(pieces) else next(p for p in reversed(pieces) if not isinstance(p, str))


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


def messages_in(request: Any) -> list[dict[str, Any]]:
    """The messages of a request that can be read at all."""
    return _dicts(_dict(request).get("messages"))


def all_text(request: Any) -> str:
    """All that the messages of a request say, with the arguments of their calls, as it is and as it reads without
    escapes where it is JSON."""
    parts: list[str] = []
    for message in messages_in(request):
        parts.append(text_of(message.get("content")))
        parts += [call.arguments for call in calls_in(message) if isinstance(call.arguments, str)]
    return "\n".join(text for part in parts for text in (part, *_strings_of(part)))


def _strings_of(text: str) -> list[str]:
    """The texts in JSON, if it is that."""
    try:
        return [leaf for leaf in leaves(orjson.loads(text)) if isinstance(leaf, str)]
    except (orjson.JSONDecodeError, RecursionError):
        return []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def counted(request: dict[str, Any], response: Any) -> Usage | None:
    """The tokens of a call whose upstream gave no usage; none where it was no chat completion."""
    completion = completion_of(response)
    if completion.message is None:
        return None
    message = {**completion.message, "content": completion.text_with_tags}
    try:
        said = count_completion_tokens(message) + count_tokens(reasoning.apart(completion.message))
        return Usage(count_prompt_tokens(request), said)
    except (AttributeError, LookupError, TypeError):
        return None
