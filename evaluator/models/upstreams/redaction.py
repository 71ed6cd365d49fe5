"""Takes the user's secrets out of what is recorded: some servers show a key in an error, and any could.

What a framework receives is never changed. Values are cleaned after JSON was read, so that it does not matter how a
secret was spelled there.
"""

import base64
from collections.abc import Iterable, Iterator
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

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def clean(self, value: Any) -> Any:
        """JSON data without the secrets, in texts and in names."""
        if not self._secrets:
            return value
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, _SHOWN)
            return value
        if isinstance(value, dict):
            return {self.clean(name): self.clean(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.clean(item) for item in value]
        return value


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
