"""A trace as conversations that a model can be trained on, read off the wire.

**One conversation** is all that one agent was sent and replied while it had its turn. Each answered chat call shows
the whole history, so the last call of a turn, with the reply to it, is the conversation. A call goes on with an earlier
one where it offers the same tools and its messages begin with all that was sent then, followed by the reply. Where it
goes on with none (another agent has its turn, with other instructions or tools), it begins a conversation of its own.

**What is learned** are the replies that the model gave in this conversation. What the assistant had said before its
first request, as another agent or under other tools, is context.

A reply with neither text nor tool calls teaches nothing, and is passed over.
"""

import json
from dataclasses import dataclass, field, replace
from itertools import dropwhile
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field, ValidationError

from evaluator.gateway import assembled_message
from evaluator.tokens import text_of
from evaluator.trace import ModelCall, Trace

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Call:
    """A tool call that the model asked for. `text` is its `arguments` as they were written on the wire."""

    id: str
    name: str
    arguments: dict[str, Any]
    text: str = field(compare=False)


@dataclass(frozen=True)
class Message:
    """One message. An assistant's may have `calls`; a tool's is the result of the call with the id `answers`."""

    role: Role
    text: str
    calls: tuple[Call, ...] = ()
    answers: str = ""
    learned: bool = field(default=False, compare=False)

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not self.text and not self.calls


@dataclass(frozen=True)
class Conversation:
    """Ends with a reply of the model. `tools` are those that were offered, as they were sent."""

    tools: tuple[dict[str, Any], ...]
    parallel_tool_calls: bool
    messages: tuple[Message, ...]

    def split(self) -> tuple[str, list[Message]]:
        """The text of the system messages at the beginning, and all other messages."""
        rest = list(dropwhile(lambda message: message.role == "system", self.messages))
        return "\n\n".join(message.text for message in self.messages[: -len(rest)]), rest

    def functions(self) -> list[Any]:
        """The tools, each without the wrapping that the chat protocol puts around a function."""
        return [tool.get("function", tool) for tool in self.tools]


class LeftOutError(ValueError):
    """A run or a conversation that cannot be exported. The message says what it has, after "with"."""


def as_json(value: Any) -> str:
    """JSON text with blanks after commas and colons, as chat templates write it."""
    return json.dumps(value, ensure_ascii=False)


def conversations(trace: Trace) -> list[Conversation]:
    """The conversations of a run, in the order in which they began. Raises `LeftOutError`."""
    made: list[_Conversation] = []
    calls = [call for call in trace.model_calls if call.operation == "chat" and call.status < 400 and not call.error]
    for call in sorted(calls, key=lambda call: call.start_s):
        request, sent, reply = _read(call)
        if reply.empty:
            continue
        begun = next((one for one in reversed(made) if one.goes_on_with(request, sent)), None)
        if begun is None:
            made.append(_Conversation(request, sent, reply, context=len(sent)))
        else:
            begun.sent, begun.reply = sent, reply
    return [one.finished() for one in made]


@dataclass
class _Conversation:
    """A conversation as far as it has come. The first `context` messages were there when it began."""

    request: "_Request"
    sent: list[Message]
    reply: Message
    context: int

    def goes_on_with(self, request: "_Request", sent: list[Message]) -> bool:
        so_far = len(self.sent)
        return (
            request.tools == self.request.tools
            and len(sent) > so_far
            and sent[:so_far] == self.sent
            and _same_reply(sent[so_far], self.reply)
        )

    def finished(self) -> Conversation:
        said = [
            replace(message, learned=message.role == "assistant" and not message.empty)
            for message in [*self.sent[self.context :], self.reply]
        ]
        tools = tuple(self.request.tools or ())
        # The protocol takes true where a request says nothing.
        return Conversation(tools, self.request.parallel_tool_calls is not False, (*self.sent[: self.context], *said))


def _same_reply(shown: Message, reply: Message) -> bool:
    """Whether a history shows the reply. Some frameworks leave out the text beside a tool call, or change its id."""
    if shown.role != "assistant":
        return False
    if reply.calls:
        return [(call.name, call.arguments) for call in shown.calls] == [
            (call.name, call.arguments) for call in reply.calls
        ]
    return shown.text.strip() == reply.text.strip()


# --- the wire --------------------------------------------------------------------------------


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


def _read(call: ModelCall) -> tuple[_Request, list[Message], Message]:
    """The request, its messages, and the reply to it."""
    try:
        request = _Request.model_validate(call.request)
        reply = _Message.model_validate(assembled_message(call.response))
    except (AttributeError, LookupError, TypeError, ValidationError):
        raise LeftOutError("a request or a reply that is no chat completion") from None
    return request, [_message(message) for message in request.messages], _message(reply)


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
    if not isinstance(arguments, dict):
        raise LeftOutError("a tool call whose arguments are no JSON object")
    return Call(call.id or f"call_{number}", call.function.name, arguments, text)
