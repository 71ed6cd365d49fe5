"""A trace as conversations that a model can be trained on.

**One conversation** is all that one agent was sent and replied while it had its turn. Each answered chat call shows
the whole history, so the last call of a turn, with the reply to it, is the conversation. A call goes on with an earlier
one where it offers the same tools and its messages begin with all that was sent then, followed by the reply. Where it
goes on with none (another agent has its turn, with other instructions or tools), it begins a conversation of its own.

**What is learned** are the replies that the model gave in this conversation. What the assistant had said before its
first request, as another agent or under other tools, is context.

A reply with neither text nor tool calls teaches nothing, and is passed over.
"""

from dataclasses import dataclass
from itertools import dropwhile
from typing import Any

from evaluator.export.wire import Exchange, Message, UnreadableError, read
from evaluator.trace import Trace


@dataclass(frozen=True)
class Conversation:
    """Ends with a reply of the model. The first `context` messages were there before it; later replies are learned."""

    last: Exchange
    context: int

    @property
    def messages(self) -> list[Message]:
        """All that was sent, and the last reply."""
        return [*self.last.sent, self.last.reply]

    @property
    def learned(self) -> list[bool]:
        """For each message, whether it is to be learned."""
        return [
            place >= self.context and message.role == "assistant" and not message.empty
            for place, message in enumerate(self.messages)
        ]

    @property
    def functions(self) -> list[Any]:
        """The tools, each without the wrapping that the chat protocol puts around a function."""
        return [tool.get("function", tool) for tool in self.last.tools]

    def split(self) -> tuple[str, list[Message]]:
        """The text of the system messages at the beginning, and all other messages."""
        rest = list(dropwhile(lambda message: message.role == "system", self.messages))
        return "\n\n".join(message.text for message in self.messages[: -len(rest)]), rest


class LeftOutError(ValueError):
    """A run or a conversation that cannot be exported. The message says what it has, after "with"."""


def conversations(trace: Trace) -> list[Conversation]:
    """The conversations of a run, in the order in which they began. Raises `LeftOutError`."""
    made: list[Conversation] = []
    calls = [call for call in trace.chats if call.answered]
    for call in sorted(calls, key=lambda call: call.start_s):
        try:
            exchange = read(call)
        except UnreadableError:
            raise LeftOutError("a request or a reply that is no chat completion") from None
        if any(not isinstance(one.arguments, dict) for one in exchange.reply.calls):
            raise LeftOutError("a tool call whose arguments are no JSON object")
        if exchange.reply.empty:
            continue
        place = next((n for n, one in reversed(list(enumerate(made))) if _goes_on(exchange, one.last)), None)
        if place is None:
            made.append(Conversation(exchange, context=len(exchange.sent)))
        else:
            made[place] = Conversation(exchange, made[place].context)
    return made


def _goes_on(exchange: Exchange, earlier: Exchange) -> bool:
    so_far = len(earlier.sent)
    return (
        exchange.tools == earlier.tools
        and len(exchange.sent) > so_far
        and exchange.sent[:so_far] == earlier.sent
        and _shows(exchange.sent[so_far], earlier.reply)
    )


def _shows(shown: Message, reply: Message) -> bool:
    """Whether a history shows the reply. Some frameworks leave out the text beside a tool call, or change its id."""
    if shown.role != "assistant":
        return False
    if reply.calls:
        return [(call.name, call.arguments) for call in shown.calls] == [
            (call.name, call.arguments) for call in reply.calls
        ]
    return shown.text.strip() == reply.text.strip()
