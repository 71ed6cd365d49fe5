"""Takes the user's key out of what a server sends: some show it in an error, and any could."""

from collections.abc import AsyncIterator

SHORTEST = 8
"""Characters. What is shorter is a placeholder such as `EMPTY`, and may well be a word of an answer."""

_SHOWN = b"***"


class Redactor:
    """Replaces one key, also where JSON text spells it with `\\/`. Without a key it changes nothing."""

    def __init__(self, key: str | None) -> None:
        known = key if key and len(key) >= SHORTEST else None
        spellings = {known, known.replace("/", "\\/")} if known else set[str]()
        self._spellings = [spelling.encode() for spelling in spellings]

    def clean(self, data: bytes) -> bytes:
        """`data` without the key."""
        for spelling in self._spellings:
            data = data.replace(spelling, _SHOWN)
        return data

    def clean_stream(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces without the key, also where it lies across them.

        A piece goes on at once, but for an end that may be the beginning of the key.
        """
        return self._without_key(pieces) if self._spellings else pieces

    async def _without_key(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        held = b""
        async for piece in pieces:
            data = self.clean(held + piece)
            sure = len(data) - max(_begun(data, spelling) for spelling in self._spellings)
            held = data[sure:]
            if sure:
                yield data[:sure]
        if held:
            yield held


def _begun(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of `data` are the beginning of `secret`, but not all of it."""
    start = data.find(secret[:1], max(0, len(data) - len(secret) + 1))
    while start >= 0:
        if secret.startswith(data[start:]):
            return len(data) - start
        start = data.find(secret[:1], start + 1)
    return 0
