"""Takes the user's secrets out of what is recorded: some servers show a key in an error, and any could.

What a framework receives is never changed. Values are cleaned after JSON was read, so that it does not matter how a
secret was spelled there.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

SHORTEST = 8
"""Characters of a key. What is shorter is a placeholder such as `EMPTY`, and may well be a word of an answer."""

PLACEHOLDERS = frozenset(
    (
        *("api-key", "apikey", "changeme", "dummy-key", "fake-key", "no-key", "no-key-required", "none-needed"),
        *("not-needed", "not-required", "sk-dummy", "sk-none", "sk-no-key-required", "sk-placeholder", "your-api-key"),
        *("anything", "llama.cpp", "lm-studio", "lmstudio", "localai", "placeholder", "token-abc123", "unneeded"),
    )
)
"""What people write where a server wants no key; of the shorter ones `SHORTEST` takes care."""

_SHOWN = "***"

_TELL_APART = ("index", "output_index", "content_index", "type")
"""Fields of a piece of a stream that say which text it is a piece of."""


def secrets_of(key: str | None, user: str | None, password: str | None) -> list[str]:
    """What must not be recorded of a key and of the credentials in a URL."""
    secrets = [key] if key and len(key) >= SHORTEST and key.lower() not in PLACEHOLDERS else []
    if password:
        secrets += [basic(user, password), f"{user or ''}:{password}"]
        secrets += [password] if len(password) >= SHORTEST else []
    return secrets


def basic(user: str | None, password: str | None) -> str:
    """Credentials as HTTP's Basic authentication writes them."""
    return base64.b64encode(f"{user or ''}:{password or ''}".encode()).decode()


class Redactor:
    """Replaces secrets. Without any it changes nothing."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, self._secrets)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def clean(self, value: Any) -> Any:
        """JSON data without the secrets, in texts and in names; of a list also where one lies across several items,
        as it may in the pieces of a stream."""
        if not self._secrets:
            return value
        cleaned = self._clean(value)
        return self._across(cleaned) if isinstance(cleaned, list) else cleaned

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._any.sub(_SHOWN, value)
        if isinstance(value, dict):
            return {self._clean(name): self._clean(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        return value

    def _across(self, items: list[Any]) -> list[Any]:
        """The items, which are changed, without what is a secret once their texts of the same place are joined."""
        places: dict[tuple[Any, ...], list[tuple[Any, Any]]] = {}
        for item in items:
            for place, holder, name in _texts(item, ()):
                places.setdefault(place, []).append((holder, name))
        for held in places.values():
            pieces = [holder[name] for holder, name in held]
            if spans := [match.span() for match in self._any.finditer("".join(pieces))]:
                for (holder, name), piece in zip(held, _without(spans, pieces), strict=True):
                    holder[name] = piece
        return items


def _without(spans: Sequence[tuple[int, int]], pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a text without the spans of its secrets; what is shown for one stands where it began."""
    start, number = 0, 0
    for piece in pieces:
        end, kept, at = start + len(piece), "", start
        while number < len(spans) and spans[number][0] < end:
            first, last = spans[number]
            kept += piece[at - start : max(first, start) - start] + (_SHOWN if first >= start else "")
            at = min(last, end)
            if last > end:
                break
            number += 1
        yield kept + piece[at - start :]
        start = end


def _texts(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Where texts stand in an item, and what holds them under which name; pieces of one text have the same place."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
        place = (*place, *(value[name] for name in _TELL_APART if isinstance(value.get(name), int | str)))
    elif isinstance(value, list):
        inner = enumerate(value)
    for name, item in inner:
        numbered = isinstance(item, dict) and isinstance(item.get("index"), int) and isinstance(value, list)
        at = (*place, "" if numbered else name)
        if isinstance(item, str):
            yield at, value, name
        else:
            yield from _texts(item, at)


class CleanedBytes:
    """Takes the secrets out of bytes that come in pieces, also where one lies across two."""

    def __init__(self, redactor: Redactor) -> None:
        self._secrets = [secret.encode() for secret in redactor]
        self._longest = max(map(len, self._secrets), default=1)
        self._held = b""

    def add(self, piece: bytes) -> bytes:
        """What is clean for sure; an end that may be the beginning of a secret is held back."""
        self._held += piece
        for secret in self._secrets:
            self._held = self._held.replace(secret, _SHOWN.encode())
        sure = max(len(self._held) - self._longest + 1, 0)
        clean, self._held = self._held[:sure], self._held[sure:]
        return clean

    def rest(self) -> bytes:
        """What was held back, once nothing comes any more."""
        return self._held
