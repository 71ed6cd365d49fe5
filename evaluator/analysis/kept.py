"""Results that are kept from one call of a command to the next, by a digest of all that they depend on.

The folder is the checkout's own, and is trusted as compiled Python is. Whatever is damaged or cannot be read there is
made again.
"""

import contextlib
import hashlib
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions
from itertools import compress
from pathlib import Path
from typing import Any, TypeVar

from evaluator import ROOT, files

T = TypeVar("T")
R = TypeVar("R")

_CHECKED = 32
"""Bytes at the start of a file: the SHA-256 of the rest."""


@cache
def code_digest() -> bytes:
    """A digest of the evaluator, the tasks, their templates and data, Python and all that is installed beside it."""
    digest = hashlib.sha256(sys.version.encode())
    for folder in (ROOT / "evaluator", ROOT / "tasks"):
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            _add(digest, path.relative_to(ROOT).as_posix().encode(), path.read_bytes())
    for name, version in sorted((str(one.metadata["Name"]), one.version) for one in distributions()):
        _add(digest, name.encode(), version.encode())
    return digest.digest()


def _add(digest: Any, *parts: bytes) -> None:
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)


@dataclass
class Kept:
    """What is kept in `folder`. At the end of its use, what was not asked for is deleted with `forget_others`."""

    folder: Path
    _asked: set[str] = field(default_factory=set)

    def name(self, parts: Iterable[bytes]) -> str:
        """What a result is called that depends on `parts` and the code. What it is made of must differ in them."""
        digest = hashlib.sha256(code_digest())
        _add(digest, *parts)
        self._asked.add(digest.hexdigest())
        return digest.hexdigest()

    def has(self, name: str) -> bool:
        """Whether something of this name is there, which may be damaged."""
        return (self.folder / name).is_file()

    def get(self, name: str) -> Any:
        """The result of this name; None where there is none, or it is damaged."""
        try:
            content = files.read_bytes(self.folder / name)
        except OSError:
            return None
        if hashlib.sha256(content[_CHECKED:]).digest() != content[:_CHECKED]:
            return None
        return pickle.loads(content[_CHECKED:])

    def put(self, name: str, result: Any) -> None:
        """Keep a result, which is not None; where that cannot be done, it is made again the next time."""
        packed = pickle.dumps(result)
        with contextlib.suppress(OSError):
            files.write_whole(self.folder / name, hashlib.sha256(packed).digest() + packed)

    def forget_others(self) -> None:
        """Delete whatever was not asked for."""
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.name not in self._asked:
                    path.unlink()


def kept_or_made(
    kept: Kept | None,
    things: Sequence[T],
    depends_on: Callable[[T], Iterable[bytes]],
    make: Callable[[Sequence[T]], Iterator[R]],
) -> Iterator[R]:
    """What each of the things gives, in their order: as it is kept, or else made and then kept. It is never None.

    `make`, which is called at once, gives it for some of them, in their order. Without `kept` it is made for all.
    """
    if kept is None:
        return make(things)
    names = [kept.name(depends_on(thing)) for thing in things]
    missing = [not kept.has(name) for name in names]
    return _kept_and_made(kept, things, names, missing, make, make(list(compress(things, missing))))


def _kept_and_made(
    kept: Kept,
    things: Sequence[T],
    names: Sequence[str],
    missing: Sequence[bool],
    make: Callable[[Sequence[T]], Iterator[R]],
    fresh: Iterator[R],
) -> Iterator[R]:
    for thing, name, is_missing in zip(things, names, missing, strict=True):
        result: R | None = next(fresh) if is_missing else kept.get(name)
        if is_missing or result is None:
            result = next(make([thing])) if result is None else result
            kept.put(name, result)
        yield result
