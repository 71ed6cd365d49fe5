"""What a model thought before it answered: a part of its reply, and no part of its answer.

Servers send it in a field of its own, in parts of the content, or in `<think>` tags in the text, where frameworks often
leave it in the answer.
"""

import re
from typing import Any

from evaluator.wire.tokens import text_of

FIELDS = ("reasoning_content", "reasoning")
"""Fields of a message or a delta that hold it: of DeepSeek, vLLM and llama.cpp, and of OpenRouter and Ollama."""

PART_TYPES = ("thinking", "reasoning", "redacted_thinking")
"""Types of the parts of a content that hold it."""

_OPENING, _CLOSING = re.compile(r"<think(?:ing)?>"), re.compile(r"</think(?:ing)?>")

_IN_TAGS = re.compile(r"<(think(?:ing)?)>.*?(?:</\1>|\Z)", re.DOTALL)


def without_reasoning(text: str) -> str:
    """The text of an answer without what stands in `<think>` tags, also where the first or the last tag is missing."""
    said = _IN_TAGS.sub("", text[_begun_before(text) :])
    return text if said == text else said.strip()


def in_tags(text: str) -> str:
    """What stands in `<think>` tags, with the tags."""
    begun = _begun_before(text)
    return text[:begun] + "".join(match[0] for match in _IN_TAGS.finditer(text, begun))


def _begun_before(text: str) -> int:
    """The end of a closing tag that no opening one precedes, or 0: many templates open it in the prompt already."""
    closing = _CLOSING.search(text)
    return closing.end() if closing and not _OPENING.search(text, 0, closing.start()) else 0


def apart(message: dict[str, Any]) -> str:
    """What a message or a delta says beside its text that the model thought: in a field or in parts of the content."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    told = [value for name in FIELDS if isinstance(value := message.get(name), str)][:1]
    told += [_text_of_part(part) for part in parts if isinstance(part, dict) and part.get("type") in PART_TYPES]
    return "".join(told)


def _text_of_part(part: dict[str, Any]) -> str:
    thought = next((part[name] for name in ("thinking", "reasoning", "text") if name in part), "")
    return thought if isinstance(thought, str) else text_of(thought)
