"""Files and folders that appear whole or not at all, whatever happens meanwhile, or that one process has for itself;
files that are read whole."""

import contextlib
import errno
import glob
import io
import os
import re
import shutil
import stat
import threading
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import psutil
from filelock import FileLock, Timeout

LARGEST_FILE = 512_000_000
"""Bytes of a file that is read whole."""


def read_bytes(path: Path) -> bytes:
    """All of a file. Raises `OSError`, also for a pipe or a device, which may never end, and for what is too large."""
    status = path.stat()
    _must_be_regular(path, status)
    if status.st_size > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"is larger than {LARGEST_FILE // 10**6} MB", str(path))
    return path.read_bytes()


def _must_be_regular(path: Path, status: os.stat_result) -> None:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # of a folder reading says so
        raise OSError(errno.EINVAL, "is no regular file", str(path))


def read_text(path: Path, encoding: str = "utf-8-sig", errors: str = "strict") -> str:
    """All of a text in UTF-8, with line breaks of any kind as they are in Python, without a byte-order mark.

    Raises `OSError` as `read_bytes` does, `UnicodeDecodeError`.
    """
    return io.TextIOWrapper(io.BytesIO(read_bytes(path)), encoding, errors).read()


def toml_in(text: str) -> dict[str, Any]:
    """What TOML says. Raises `ValueError` for what is none: `tomllib.TOMLDecodeError`, which names the line, where that
    is known."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path`, whose folder is made. The file that was written there takes the place of `path` at the end.

    After an error `path` is as it was. What is complete and cannot take its place, and what a killed process was
    writing, stays as a hidden file with the number of the process in its name. Raises `OSError`, also for a pipe or a
    device: nothing takes its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        _must_be_regular(path, path.stat())
    temporary = _beside(path, "tmp")
    try:
        yield temporary
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a write that fails does not know what it wrote to
            error.filename = str(path)
        raise
    temporary.replace(path)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, as `replacing` makes it."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file


def write_whole(path: Path, content: bytes | str) -> None:
    """Write the file whole or not at all; text in UTF-8, with its line ends as they are. Raises `OSError`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def create_whole(path: Path, content: bytes) -> bool:
    """Write the file whole unless there is one: of several that do so at once, in any process, one is told `True`.

    Raises `OSError`, also where files cannot have two names, as on some shared folders: see `CANNOT_LINK`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, "tmp")
    try:
        temporary.write_bytes(content)
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    return True


CANNOT_LINK = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK)
"""What a system says where files cannot have two names."""


def write_all_whole(contents: Mapping[Path, str]) -> None:
    """Write all of the files or none: each is whole on the disk before the first takes its place. Raises `OSError`."""
    with contextlib.ExitStack() as opened:
        for path, content in contents.items():
            opened.enter_context(replacing(path)).write_bytes(content.encode())


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, which takes its place at the end, with all that is in there. Raises `OSError`.

    What processes that were killed have left of theirs is removed.
    """
    place = Path(os.path.realpath(path))
    made, old = _beside(place, "tmp"), _beside(place, "old")
    try:
        made.mkdir(parents=True)
        yield made
        if place.exists():
            place.rename(old)
        made.rename(place)
        sweep(place.parent.glob(f".{glob.escape(place.name)}.*"))
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """The folder; while another process has it so, one in it that is named by the number of this process.

    Those of processes that are gone are removed. Raises `OSError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    own = folder
    try:
        lock.acquire(timeout=0)
    except Timeout:
        own = folder / str(os.getpid())
        own.mkdir(exist_ok=True)
    sweep((path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()), _OWN)
    try:
        yield own
    finally:
        if lock.is_locked:
            lock.release()


_BESIDE = re.compile(r"\..+\.(?P<pid>\d{1,9})\.(tmp|old)")
_OWN = re.compile(r"(?P<pid>\d{1,9})")


def sweep(paths: Iterable[Path], named: re.Pattern[str] = _BESIDE) -> None:
    """Of these remove what is of a process that is gone, by the `pid` that such names have in them.

    Without `named` that is what was being written with this module, or had been replaced.
    """
    for path in paths:
        match = named.fullmatch(path.name)
        if match is None or psutil.pid_exists(int(match["pid"])):
            continue
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{threading.get_native_id()}.{os.getpid()}.{what}")
