"""Where traces are: in a folder, or in a store at any URL that fsspec knows, of which readers read a copy.

All readers read files. So a store elsewhere, a bucket say, has a copy below `.bakeoff/stores`: `refresh` brings it up
to what the store has, and what is written goes into both. The store alone says what is recorded. What could not be
sent, because the network failed or the process was killed, is noted in the copy's index and sent by the next `send`.

A plain folder needs no fsspec, and imports none.
"""

import contextlib
import errno
import hashlib
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import orjson
from filelock import FileLock

from evaluator import WORK, files
from evaluator.errors import Failure, Mistake
from evaluator.text import path_here, shortened, show_copy_as
from evaluator.trace import LARGEST_TRACE, Key, Trace, content_of, model_folder, read_trace, trace_in, trace_path

FOLDER = WORK / "stores"
"""Where the copies are, each in a folder of its own."""

EXTRA = "store"
"""The optional extra that has fsspec, and s3fs for buckets."""

SUFFIXES = (".json", ".jsonl", ".jsonl.xz")
"""Of what is in a store, files that end so are read."""

_LOCAL = ("file", "local")
_TRACE = ".json"
_TRIES = 10
_AT_ONCE = 256
"""Files that are fetched before the index takes note of them."""

_REFUSED = ("PreconditionFailed", "ConditionalRequestConflict", "412")
"""What S3 says where something else is there than a writer took to be there."""

_NO_ACCESS = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError")


class Store:
    """Where traces are: a plain folder.

    `url` is what the user gave, for messages; `folder` is where its files are read. `elsewhere` says that the folder is
    a copy.
    """

    elsewhere = False

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def below(self, name: str) -> "Store":
        """The part of the store in a folder of it."""
        return Store(f"{self.url}/{name}", self.folder / name)

    def refresh(self, models: Sequence[str] | None = None) -> None:
        """Bring the copy up to what the store has, of some models or of all; a folder has none. Raises `Mistake`,
        `Failure`."""

    def send(self) -> int:
        """Send what the copy has and the store lacks, and say how many files that were. Raises `Mistake`, `Failure`."""
        return 0

    def write(self, trace: Trace) -> bool:
        """Write the trace whole, once, under its key, in place of one of another sitting.

        `False` where another writer of the same sitting has written this run: then what is there stays. Raises
        `OSError`, `Failure`.
        """
        path, content = trace_path(self.folder, trace.key), content_of(trace)
        with contextlib.suppress(_CannotLinkError), _linking():
            if files.create_whole(path, content):
                return True
        with FileLock(self.folder / ".replacing.lock"):
            if path.exists() and _Written.of(files.read_bytes(path)).is_of(trace.setup.sitting):
                return False
            files.write_whole(path, content)
        return True

    def read(self, key: Key) -> Trace | None:
        """The trace that is there now under a key, single and not packed; None where there is none that can be used.

        Raises `Mistake`, `Failure`.
        """
        found = read_trace(trace_path(self.folder, key))
        return found if isinstance(found, Trace) else None

    def update(self, trace: Trace) -> None:
        """Write the trace in place of what is there, whoever wrote that. Raises `OSError`, `Failure`."""
        files.write_whole(trace_path(self.folder, trace.key), content_of(trace))


Traces = Path | Store
"""Where traces are written: a folder, or a store."""


def store_of(traces: Traces) -> Store:
    """The store itself; that of a folder."""
    return traces if isinstance(traces, Store) else Store(str(traces), traces)


def store_at(where: str) -> Store:
    """The store at a URL, or of a folder that is named by its path or a URL such as `file:///tmp/traces`.

    Raises `Mistake` for an unknown protocol, credentials in the URL, a package that is missing, and where there is no
    access.
    """
    protocol, found, rest = where.partition("://")
    if not found:
        return Store(where, Path(where))
    if protocol in _LOCAL:
        return Store(where, Path(rest))
    url = where.rstrip("/")
    _check(url)
    try:
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations
    except ImportError:
        raise Mistake(f"--traces {url}: needs the extra, as in `uv run --extra {EXTRA} bakeoff …`") from None
    with _in_words(url):
        try:
            system, root = url_to_fs(url)
        except ImportError:
            package = known_implementations[protocol]["class"].partition(".")[0]
            how = f"--extra {EXTRA}" if package == "s3fs" else f"--extra {EXTRA} --with {package}"
            raise Mistake(f"--traces {url}: needs the package {package}, as in `uv run {how} bakeoff …`") from None
        except ValueError as error:
            known = "s3://BUCKET/FOLDER and gs://BUCKET/FOLDER are some that are"
            raise Mistake(f"--traces {url}: {_said(error)}; {known}") from None
        with contextlib.suppress(FileNotFoundError):
            system.ls(root, detail=False)
        endpoint = system.s3.meta.endpoint_url if _is_s3(system) else ""
    copy = FOLDER / hashlib.sha256(f"{endpoint} {url}".encode()).hexdigest()[:16]
    show_copy_as(copy / _Copy.FILES, url)
    return _Elsewhere(url, system, root.rstrip("/"), _Copy(copy))


def _check(url: str) -> None:
    """Raise `Mistake` for a URL that says more than where a folder is."""
    try:
        parts = urlsplit(url)
        secret = parts.password is not None
    except ValueError as error:
        raise Mistake(f"--traces: this is no URL: {error}") from None
    if secret or "@" in url or parts.query or parts.fragment:
        raise Mistake(
            f"--traces {parts.scheme}://…: credentials and queries do not belong into the URL, which is shown and "
            "recorded; give them as the store's own client takes them, by environment variables or its files"
        )
    if "::" in url:
        raise Mistake(f"--traces {url}: must be one store, and not a chain of them")


# --- a store elsewhere -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Written:
    """What is known of a trace that is there: its sitting and when it was made, if it can be read; and all of it."""

    content: bytes
    sitting: str | None = None
    started_at: str = ""

    @staticmethod
    def of(content: bytes) -> "_Written":
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            setup = orjson.loads(content)["setup"]
            return _Written(content, setup.get("sitting"), str(setup["started_at"]))
        return _Written(content)

    def is_of(self, sitting: str | None) -> bool:
        """Whether it is of this sitting; what has none is of no other's."""
        return sitting is not None and self.sitting == sitting


@dataclass(frozen=True)
class _Row:
    """What the index knows of a file: which state of the store's it is, None for one that was not sent yet; and how
    the file was then. The state is empty where the store did not say which one it became."""

    state: str | None
    size: int
    changed_ns: int

    def is_as_it_was(self, path: Path) -> bool:
        """Whether the file is there and was not changed since."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.changed_ns)


class _Copy:
    """The files of a store as they are here, and an index of which states these are. Several processes may use it."""

    FILES = "traces"

    def __init__(self, folder: Path) -> None:
        self.files = folder / self.FILES
        self._index = folder / "index.sqlite"
        folder.mkdir(parents=True, exist_ok=True)
        with self._open() as index:
            index.execute(
                "CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, state TEXT, size INTEGER, changed_ns INTEGER)"
            )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self._index, timeout=60)) as index, index:
                yield index
        except sqlite3.Error as error:
            raise Failure(f"{path_here(self._index)}: {error}; delete its folder, once all in it is sent") from None

    def rows(self) -> dict[str, _Row]:
        """All that the index has, by name."""
        with self._open() as index:
            return {name: _Row(*row) for name, *row in index.execute("SELECT name, state, size, changed_ns FROM files")}

    def note(self, states: Mapping[str, str | None]) -> None:
        """Note which states the files are that are here now."""
        rows = []
        for name, state in states.items():
            with contextlib.suppress(FileNotFoundError):
                status = (self.files / name).stat()
                rows.append((name, state, status.st_size, status.st_mtime_ns))
        with self._open() as index:
            index.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)

    def note_unsent(self, name: str) -> None:
        """Note that this file, which may be about to be written, is to be sent."""
        with self._open() as index:
            index.execute("INSERT OR REPLACE INTO files VALUES (?, NULL, 0, 0)", (name,))

    def forget(self, names: Iterable[str]) -> None:
        """Remove the names from the index."""
        with self._open() as index:
            index.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in names])

    def unsent(self, rows: Mapping[str, _Row]) -> list[str]:
        """The names of what was not sent yet: traces that are noted so, and other files that are not as they came."""
        noted = [name for name, row in rows.items() if row.state is None and (self.files / name).exists()]
        others = [
            name
            for path in self.files.rglob("*")
            if _is_read(name := path.relative_to(self.files).as_posix()) and not name.endswith(_TRACE)
            if name not in rows or (rows[name].state is not None and not rows[name].is_as_it_was(path))
        ]
        return sorted({*noted, *others})


class _Elsewhere(Store):
    """A store that fsspec reaches: `root` is what it calls the place, `at` a folder of it that this is."""

    elsewhere = True

    def __init__(self, url: str, system: Any, root: str, copy: _Copy, at: str = "") -> None:
        super().__init__(f"{url}/{at}" if at else url, copy.files / at)
        self._of = (url, system, root, copy)
        self._whole_url, self._system, self._root, self._copy = self._of
        self._at = at
        self._is_s3 = _is_s3(system)

    def below(self, name: str) -> Store:
        return _Elsewhere(*self._of, at=f"{self._at}/{name}" if self._at else name)

    def refresh(self, models: Sequence[str] | None = None) -> None:
        folders = [self.folder] if models is None else [model_folder(self.folder, model) for model in models]
        places = [folder.relative_to(self._copy.files).as_posix() for folder in folders]
        with _in_words(self.url):
            for _ in range(_TRIES):
                with contextlib.suppress(_GoneError):
                    self._bring_up(["" if place == "." else place for place in places])
                    return
        raise Failure(f"{self.url}: what is there is being removed meanwhile; try again")

    def _bring_up(self, places: Sequence[str]) -> None:
        """Raises `_GoneError` where what was listed was gone when it was to be fetched."""
        before = self._copy.rows()
        listed = {name: state for place in places for name, state in self._listed(place)}
        rows = self._copy.rows()
        unsent = {*self._copy.unsent(rows)}
        changed = [
            name
            for name, state in listed.items()
            if name not in unsent and (name not in rows or rows[name].state != state or not self._here(name).exists())
        ]
        for start in range(0, len(changed), _AT_ONCE):
            self._fetch({name: listed[name] for name in changed[start : start + _AT_ONCE]})
        # What came into the copy since it was listed is not gone.
        gone = [name for name in before if any(_is_in(name, place) for place in places) and name not in listed]
        gone = [name for name in gone if name not in unsent]
        for name in gone:
            self._here(name).unlink(missing_ok=True)
        self._copy.forget(gone)

    def _listed(self, place: str) -> Iterator[tuple[str, str]]:
        """The names of the files in a folder of the store, and which state each is."""
        at = f"{self._root}/{place}" if place else self._root
        self._system.invalidate_cache()
        for path, info in self._system.find(at, detail=True).items():
            name = path.removeprefix(f"{self._root}/")
            if info.get("type") == "file" and name != path and _is_read(name):
                yield name, _state(info)

    def _fetch(self, states: Mapping[str, str]) -> None:
        with tempfile.TemporaryDirectory(dir=self._copy.files.parent, prefix="fetched-") as scratch:
            fetched = {name: Path(scratch) / str(number) for number, name in enumerate(states)}
            try:
                self._system.get([self._there(name) for name in fetched], [str(path) for path in fetched.values()])
            except FileNotFoundError:
                raise _GoneError from None
            for name, path in fetched.items():
                self._here(name).parent.mkdir(parents=True, exist_ok=True)
                path.replace(self._here(name))
        self._copy.note(states)

    def send(self) -> int:
        names = [name for name in self._copy.unsent(self._copy.rows()) if _is_in(name, self._at)]
        for sent, name in enumerate(names):
            with self._kept(f"{len(names) - sent} files"):
                content = files.read_bytes(self._here(name))
                if name.endswith(_TRACE):
                    self._put(name, content, partial(_stays_before, _Written.of(content)))
                else:
                    self._copy.note({name: _state_after(self._system.pipe_file(self._there(name), content))})
        return len(names)

    def write(self, trace: Trace) -> bool:
        return self._write(trace, lambda there: there.is_of(trace.setup.sitting))

    def read(self, key: Key) -> Trace | None:
        path = trace_path(self.folder, key)
        with _in_words(self._whole_url):
            there, _ = self._present(path.relative_to(self._copy.files).as_posix())
        found = None if there is None else trace_in(there.content, path)
        return found if isinstance(found, Trace) else None

    def update(self, trace: Trace) -> None:
        self._write(trace, lambda there: False)

    def _write(self, trace: Trace, stays: Callable[[_Written], bool]) -> bool:
        path, content = trace_path(self.folder, trace.key), content_of(trace)
        name = path.relative_to(self._copy.files).as_posix()
        self._copy.note_unsent(name)
        files.write_whole(path, content)
        with self._kept("this run"):
            return self._put(name, content, stays)

    def _put(self, name: str, content: bytes, stays: Callable[[_Written], bool]) -> bool:
        """Have the store keep what stands in the copy, unless what it has stays: then the copy takes that.

        What is replaced is what was looked at: where the store can say so (S3), by its state.
        """
        turn = contextlib.nullcontext() if self._is_s3 else _TURN
        with turn:
            for attempt in range(_TRIES):
                there, state = self._present(name) if attempt or not self._is_s3 else (None, "")
                if there is not None and there.content != content and stays(there):
                    files.write_whole(self._here(name), there.content)
                    self._copy.note({name: state})
                    return False
                if there is None or there.content != content:
                    try:
                        state = self._place(name, content, state if there is not None else None)
                    except _RefusedError:
                        continue
                if files.read_bytes(self._here(name)) == content:
                    self._copy.note({name: state})
                else:  # another process has fetched what was there before
                    self._copy.forget([name])
                return True
        raise OSError(errno.EBUSY, "others keep writing there", self._there(name))

    def _present(self, name: str) -> tuple[_Written | None, str]:
        """What is there under this name, and which state that is."""
        path = self._there(name)
        self._system.invalidate_cache(path)
        try:
            info = self._system.info(path)
            return _Written.of(self._system.cat_file(path)), _state(info)
        except FileNotFoundError:
            return None, ""

    def _place(self, name: str, content: bytes, state: str | None) -> str:
        """Write a file where there is none, or in place of one in this state; gives the new one.

        Raises `_RefusedError` where that is not so any more.
        """
        path = self._there(name)
        how: dict[str, Any] = {"mode": "create"} if state is None else {}
        if self._is_s3:
            how |= {"chunksize": LARGEST_TRACE} | ({} if state is None else {"IfMatch": state})
        try:
            return _state_after(self._system.pipe_file(path, content, **how))
        except FileExistsError:
            raise _RefusedError from None
        except NotImplementedError:
            return _state_after(self._system.pipe_file(path, content))
        except OSError as error:
            code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
            if code in _REFUSED or (code == "NoSuchKey" and state is not None):
                raise _RefusedError from None
            if code == "NotImplemented":
                return _state_after(self._system.pipe_file(path, content))
            raise

    @contextlib.contextmanager
    def _kept(self, what: str) -> Iterator[None]:
        """Say of what goes wrong in here that it is not lost."""
        try:
            with _in_words(self._whole_url):
                yield
        except (Mistake, Failure) as error:
            raise Failure(
                f"{str(error).removeprefix('--traces ')}; nothing is lost: what is not sent yet ({what}) is in "
                f"{path_here(self._copy.files)}, and the same command sends it and goes on"
            ) from None

    def _here(self, name: str) -> Path:
        return self._copy.files / name

    def _there(self, name: str) -> str:
        return f"{self._root}/{name}"


class _GoneError(Exception):
    """What was to be fetched is gone."""


class _RefusedError(Exception):
    """Something else is there than was taken to be there."""


class _CannotLinkError(Exception):
    """Files cannot have two names here."""


_TURN = threading.Lock()
"""Where a store cannot say what is to be replaced, the writers of one process take turns."""


@contextlib.contextmanager
def _linking() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in files.CANNOT_LINK:
            raise
        raise _CannotLinkError from None


@contextlib.contextmanager
def _in_words(url: str) -> Iterator[None]:
    """Raise what goes wrong in a store as `Mistake` or `Failure`: its clients have errors of many kinds."""
    try:
        yield
    except (Mistake, Failure, _GoneError, _RefusedError):
        raise
    except FileNotFoundError as error:
        raise Mistake(f"--traces {url}: there is no such bucket or folder: {_said(error)}") from None
    except Exception as error:
        if isinstance(error, PermissionError) or type(error).__name__ in _NO_ACCESS:
            raise Mistake(f"--traces {url}: no access: {_said(error)}") from None
        raise Failure(f"{url}: {_said(error)}") from None


def _said(error: Exception) -> str:
    return shortened(str(error), 300) or type(error).__name__


def _is_s3(system: Any) -> bool:
    return "s3" in system.protocol


def _is_read(name: str) -> bool:
    """Whether a file is one of ours, by its name; one that leads out of its folder is none."""
    parts = PurePosixPath(name).parts
    usable = "/".join(parts) == name and not any(part.startswith(".") for part in parts)
    return usable and name.endswith(SUFFIXES) and "\0" not in name


def _is_in(name: str, place: str) -> bool:
    return not place or name.startswith(f"{place}/")


def _state(info: Mapping[str, Any]) -> str:
    """Which state of a file this is: what the store calls it, else its size and its time."""
    for name in ("ETag", "etag"):
        if info.get(name):
            return str(info[name])
    times = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")
    return " ".join(str(info.get(name)) for name in ("size", *times))


def _state_after(said: Any) -> str:
    """Which state a store says that it has written; empty where it does not say."""
    return str(said.get("ETag", "")) if isinstance(said, dict) else ""


def _stays_before(ours: _Written, there: _Written) -> bool:
    """Whether what is there stays although ours, from an earlier command, was never sent: it is of the same sitting, or
    newer."""
    return there.is_of(ours.sitting) or there.started_at >= ours.started_at
