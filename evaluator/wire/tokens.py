"""Counting tokens without a network: for the scripted model, and for upstreams that give no usage."""

from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

import orjson

TOKENIZER = "o200k_base"

_LONGEST = 50_000
"""Characters; the tokenizer refuses a text of more than 200,000 tokens, and a character may be four."""

_LONGEST_KEPT = 10_000
"""Characters of a text whose count is remembered, with the text: thousands of longer ones would fill the memory."""


@cache
def _encoding() -> Any:
    """The tokenizer. It takes 70 MB, and most processes count nothing.

    It is the compiled part of its package alone, which holds the vocabulary: on import, the package around it reads
    two vocabularies in Python besides, for ten times as long.
    """
    package = find_spec("bpe_openai")
    assert package is not None
    spec = PathFinder.find_spec("_bindings", package.submodule_search_locations)
    assert spec is not None and spec.loader is not None
    bindings = module_from_spec(spec)
    spec.loader.exec_module(bindings)
    return bindings.tokenizer_for_encoding(TOKENIZER)


def count_tokens(text: str) -> int:
    """Number of `o200k_base` tokens of `text`; very long text is counted in pieces."""
    if len(text) <= _LONGEST_KEPT:
        return _kept_count(text)
    return sum(_count(text[start : start + _LONGEST]) for start in range(0, len(text), _LONGEST))


def _count(text: str) -> int:
    return int(_encoding().count(_sanitized(text))) if text else 0


_kept_count = lru_cache(maxsize=4096)(_count)


def _sanitized(text: str) -> str:
    """The text without lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def text_of(content: Any) -> str:
    """The text of a message's content, which may be a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text if isinstance(text, str) else "" for text in texts)
    return ""


def count_prompt_tokens(request: dict[str, Any]) -> int:
    """Tokens of the messages' text, their tool calls and the tool schemas.

    The few tokens with which a model's own chat template frames them are not included.
    """
    texts: list[str] = []
    for message in request.get("messages") or []:
        texts += [text_of(message.get("content")), *_of_calls(message)]
    if request.get("tools"):
        texts.append(orjson.dumps(request["tools"]).decode())
    return sum(count_tokens(text) for text in texts)


def count_completion_tokens(message: dict[str, Any]) -> int:
    """Tokens of an answer's text and tool calls."""
    return sum(count_tokens(text) for text in [text_of(message.get("content")), *_of_calls(message)])


def _of_calls(message: dict[str, Any]) -> Iterator[str]:
    """Names and arguments of the tool calls. Some servers write arguments as an object in place of its text."""
    for call in message.get("tool_calls") or []:
        yield written(call["function"].get("name"))
        yield written(call["function"].get("arguments"))


def written(value: Any) -> str:
    """A part of a call as text; JSON text of what should have been text, and nothing of nothing."""
    return value if isinstance(value, str) else orjson.dumps(value).decode() if value else ""
