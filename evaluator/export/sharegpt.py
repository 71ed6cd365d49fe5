"""The ShareGPT layout with tool calls, as LLaMA-Factory reads it: one conversation a line.

Turns alternate: `human` or `observation`, then `gpt` or `function_call`. So user messages in a row are joined, and so
are the results of all calls of a turn. A conversation that does not alternate even then has no place in this layout.

The calls of a turn are a JSON object, or a list of them. Where text stands before them, they are in `<tool_call>` tags,
by which LLaMA-Factory tells the two apart.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from evaluator.export.conversations import Conversation, LeftOutError
from evaluator.export.wire import Message, Role, as_json

_ASKING = ("human", "observation")


def records(conversation: Conversation) -> Iterator[dict[str, Any]]:
    """The one line of a conversation. Raises `LeftOutError`."""
    system, rest = conversation.split()
    turns = [_turn(role, list(messages)) for role, messages in groupby(rest, lambda message: message.role)]
    if any((turn["from"] in _ASKING) != (place % 2 == 0) for place, turn in enumerate(turns)):
        raise LeftOutError("turns that do not alternate")
    tools = as_json(conversation.functions) if conversation.functions else ""
    yield {"conversations": turns, "system": system, "tools": tools}


def _turn(role: Role, messages: Sequence[Message]) -> dict[str, str]:
    match role:
        case "user":
            return {"from": "human", "value": "\n\n".join(message.text for message in messages)}
        case "tool":
            return {"from": "observation", "value": "\n".join(message.text for message in messages)}
        case "system":
            raise LeftOutError("instructions in the middle")
    if len(messages) > 1:
        raise LeftOutError("two assistant messages in a row")
    message = messages[0]
    if not message.calls:
        return {"from": "gpt", "value": message.text}
    calls = [{"name": call.name, "arguments": call.arguments} for call in message.calls]
    value = as_json(calls[0] if len(calls) == 1 else calls)
    return {
        "from": "function_call",
        "value": f"{message.text}\n<tool_call>{value}</tool_call>" if message.text else value,
    }
