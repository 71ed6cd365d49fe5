"""The Alpaca layout, for tools that read no tool calls: one line for each reply that is to be learned.

It has text only, so tools and calls become text, in the tags that Qwen and Hermes models use. A line holds all that the
model was sent in the three fields that every reader of this layout knows (`instruction`: the agent's instructions and
its tools; `input`: the conversation so far; `output`: the reply). The fields `system` and `history` of some readers are
not used: others would silently train without them.
"""

from collections.abc import Iterator
from typing import Any

from evaluator.export.conversations import Conversation
from evaluator.export.wire import Message, as_json

_SPEAKER = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


def records(conversation: Conversation) -> Iterator[dict[str, Any]]:
    """One line for each reply to be learned."""
    system, rest = conversation.split()
    instruction = "\n\n".join(filter(None, [system, _tools(conversation.functions)]))
    learned = conversation.learned[-len(rest) :]
    for place, message in enumerate(rest):
        if learned[place]:
            said = (f"{_SPEAKER[earlier.role]}: {_text(earlier)}" for earlier in rest[:place])
            yield {"instruction": instruction, "input": "\n\n".join(said), "output": _text(message)}


def _tools(functions: list[Any]) -> str:
    if not functions:
        return ""
    listed = "\n".join(as_json(function) for function in functions)
    shape = '<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>'
    return f"These tools can be called:\n<tools>\n{listed}\n</tools>\nA call is written as\n{shape}"


def _text(message: Message) -> str:
    if message.role == "tool":
        return f"<tool_response>\n{message.text}\n</tool_response>"
    calls = (as_json({"name": call.name, "arguments": call.arguments}) for call in message.calls)
    return "\n".join(filter(None, [message.text, *(f"<tool_call>\n{call}\n</tool_call>" for call in calls)]))
