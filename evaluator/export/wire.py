"""The messages of one model call, read off the wire."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field, ValidationError

from evaluator.trace import ModelCall
from evaluator.wire.messages import completion_of
from evaluator.wire.tokens import text_of

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Call:
    """A tool call that the model asked for. `arguments` are data; None where `text`, as it was written, is no JSON."""

    id: str
    name: str
    arguments: Any
    text: str = field(compare=False)


@dataclass(frozen=True)
class Message:
    """One message. An assistant's may have `calls`; a tool's is the result of the call with the id `answers`."""

    role: Role
    text: str
    calls: tuple[Call, ...] = ()
    answers: str = ""

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not self.text and not self.calls


@dataclass(frozen=True)
class Exchange:
    """One request and the reply to it. `tools` are those that were offered, as they were sent."""

    tools: tuple[dict[str, Any], ...]
    parallel_tool_calls: bool
    sent: list[Message]
    reply: Message


class UnreadableError(ValueError):
    """The request or the reply is no chat completion."""


def as_json(value: Any) -> str:
    """JSON text with blanks after commas and colons, as chat templates write it."""
    return json.dumps(value, ensure_ascii=False)


class _Function(BaseModel):
    name: str
    arguments: str | None = None


class _Call(BaseModel):
    id: str | None = None
    function: _Function


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"] = "assistant"
    content: Any = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Request(BaseModel):
    messages: list[_Message] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    parallel_tool_calls: bool | None = None


def read(call: ModelCall) -> Exchange:
    """What an answered chat call sent and got. Raises `UnreadableError`."""
    try:
        request = _Request.model_validate(call.request)
        reply = _Message.model_validate(completion_of(call.response).message)
    except ValidationError:
        raise UnreadableError from None
    return Exchange(
        tools=tuple(request.tools or ()),
        # The protocol takes true where a request says nothing.
        parallel_tool_calls=request.parallel_tool_calls is not False,
        sent=[_message(message) for message in request.messages],
        reply=_message(reply),
    )


def _message(message: _Message) -> Message:
    return Message(
        role="system" if message.role == "developer" else message.role,
        text=text_of(message.content),
        calls=tuple(_call(call, number) for number, call in enumerate(message.tool_calls or (), start=1)),
        answers=message.tool_call_id or "",
    )


def _call(call: _Call, number: int) -> Call:
    text = call.function.arguments or "{}"
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError:
        arguments = None
    return Call(call.id or f"call_{number}", call.function.name, arguments, text)
