"""The layout of OpenAI's fine-tuning: the chat protocol itself, one conversation a line.

Assistant messages that are context have the weight 0, those to be learned the weight 1.
"""

from collections.abc import Iterator
from typing import Any

from evaluator.export.conversations import Conversation
from evaluator.export.wire import Message


def records(conversation: Conversation) -> Iterator[dict[str, Any]]:
    """The one line of a conversation."""
    marked = zip(conversation.messages, conversation.learned, strict=True)
    record: dict[str, Any] = {"messages": [_message(message, learned) for message, learned in marked]}
    if tools := conversation.last.tools:
        record |= {"tools": list(tools), "parallel_tool_calls": conversation.last.parallel_tool_calls}
    yield record


def _message(message: Message, learned: bool) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.text}}
            for call in message.calls
        ]
    if message.role == "tool":
        written["tool_call_id"] = message.answers
    if message.role == "assistant":
        written["weight"] = int(learned)
    return written
