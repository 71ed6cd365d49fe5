"""How many tokens a call took, by the account of the server: wherever in its reply that stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evaluator.trace import Api

MOST_TOKENS = 10**9
"""Tokens. What is more is no count."""

_Paths = tuple[tuple[str, ...], ...]
_PROMPT: _Paths = (("prompt_tokens",), ("input_tokens",))
_COMPLETION: _Paths = (("completion_tokens",), ("output_tokens",))
_CACHED: _Paths = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
)
_REASONING: _Paths = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),
)


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. `cached` ones are part of the prompt, `reasoning` ones of the completion.

    What the server does not say, or says in a number that cannot be, is None.
    """

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    reasoning: int | None = None


def usage_of(api: Api, response: Any) -> Usage:
    """What a server says in a body, or in the chunks of a stream, as `bodies.parsed` gives them; never raises.

    A stream may say it in any chunk, or so far in every chunk: the last one that says it holds. No tokens
    at all are no count, and neither is a negative number or an absurd one.
    """
    for usage in usages_in(api, response):
        prompt, completion = _count(usage, _PROMPT), _count(usage, _COMPLETION)
        if prompt or completion:
            cached, reasoning = _count(usage, _CACHED), _count(usage, _REASONING)
            return Usage(
                prompt=prompt or None,
                completion=completion or None,
                cached=cached if cached is None or cached <= (prompt or 0) else None,
                reasoning=reasoning if reasoning is None or reasoning <= (completion or 0) else None,
            )
    return Usage()


def usages_in(api: Api, response: Any) -> Iterator[Mapping[str, Any]]:
    """Each object of a response that may be its usage, the last one first."""
    for part in reversed(response if isinstance(response, list) else [response]):
        if not isinstance(part, Mapping):
            continue
        choices = part.get("choices")
        holders = [part, part.get("x_groq"), *(choices if isinstance(choices, list) else [])]
        if api == "responses":  # the last event of a stream has the whole response
            holders.append(part.get("response"))
        for holder in holders:
            if isinstance(holder, Mapping) and isinstance(usage := holder.get("usage"), Mapping):
                yield usage


def _count(usage: Mapping[str, Any], paths: _Paths) -> int | None:
    """The first of some numbers that is a count."""
    for path in paths:
        value: Any = usage
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
            return value
    return None
