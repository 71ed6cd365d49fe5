"""Many runs in few files: all traces of a model, framework and task in one, a line each, compressed.

`<model>/<framework>/<task>.jsonl.xz` stands beside the folder `<task>/` with single traces. A run that is in both is
the one in the folder. Runs that share nearly all of what they say take a hundredth of their size so.
"""

import lzma
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
from pydantic import ValidationError

from evaluator import files
from evaluator.errors import Failure
from evaluator.text import shown_path
from evaluator.trace import (
    DamagedTrace,
    Key,
    Trace,
    model_folder,
    model_of_folder,
    read_trace,
    trace_files,
    trace_in,
    trace_path,
)

SUFFIX = ".jsonl.xz"
SUITES_FOLDER = "suites"
"""Where the runs of outside suites are, below a folder of traces: apart from those of our own tasks."""

LARGEST_PACK = 2_000_000_000
"""Bytes of what is in a pack that is read."""


class PackError(Exception):
    """A pack that cannot be read. The message says why, for people."""


def pack_path(root: Path, key: Key) -> Path:
    """The pack that a run belongs to."""
    return _of_folder(trace_path(root, key).parent)


def frameworks_in(root: Path, model: str) -> list[str]:
    """The frameworks that have runs of a model, packed or single."""
    return sorted({folder.parent.name for folder in _folders(model_folder(root, model))})


def models_in(root: Path) -> list[str]:
    """The models that have packed runs below a folder."""
    packs = root.rglob(f"*{SUFFIX}")
    return sorted({model_of_folder(path.relative_to(root).parts[:-2]) for path in packs})


def files_of(root: Path, model: str, framework: str) -> list[Path]:
    """The packs and single traces of a model and framework."""
    folder = model_folder(root, model) / framework
    return sorted([*folder.glob(f"*{SUFFIX}"), *trace_files(folder)])


def read_packed(root: Path, model: str, framework: str) -> Iterator[Trace | DamagedTrace]:
    """The traces of a model and framework, packed ones and single ones, by task and name."""
    for folder in _folders(model_folder(root, model)):
        if folder.parent.name != framework:
            continue
        try:
            packed = lines(_of_folder(folder))
        except PackError as error:
            yield DamagedTrace(_of_folder(folder), str(error))
            packed = {}
        single = {_name(path): path for path in trace_files(folder)}
        for name in sorted(packed.keys() | single):
            yield read_trace(single[name]) if name in single else trace_in(packed[name], _of_folder(folder))


def lines(path: Path) -> dict[str, bytes]:
    """The traces in a pack as JSON, by `<case>.<trial>`; none where there is no pack. Raises `PackError`."""
    if not path.exists():
        return {}
    found: dict[str, bytes] = {}
    for number, line in enumerate(unpacked(path).splitlines(), start=1):
        try:
            key = Key.model_validate(orjson.loads(line)["key"])
        except (KeyError, TypeError, orjson.JSONDecodeError, ValidationError):
            raise PackError(f"line {number}: holds no trace") from None
        found[f"{key.case}.{key.trial}"] = line
    return found


def unpacked(path: Path) -> bytes:
    """What is in a compressed file. Raises `PackError`, `FileNotFoundError`."""
    try:
        reader = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        content = reader.decompress(files.read_bytes(path), LARGEST_PACK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PackError(f"cannot be read: {error.strerror}") from None
    except lzma.LZMAError as error:
        raise PackError(f"is not in the format xz: {error}") from None
    if not reader.eof:
        raise PackError("breaks off, or is larger than 2 GB when unpacked")
    return content


def pack(root: Path, model: str, drop: Callable[[Path, str], bool] = lambda folder, name: False) -> None:
    """Put the single traces of a model into its packs, in place of those of the same name that are there.

    Packed runs of which `drop` says so, by the folder and the name of their single trace, go. What cannot be used stays
    where it is. Raises `Failure` for a pack that cannot be read, `OSError`.
    """
    for folder in _folders(model_folder(root, model)):
        path = _of_folder(folder)
        try:
            before = lines(path)
        except PackError as error:
            raise Failure(f"{shown_path(path)}: {error}; delete it, and make its runs again") from None
        after = {name: line for name, line in before.items() if not drop(folder, name)}
        taken: list[Path] = []
        for single in trace_files(folder):
            if isinstance(trace := read_trace(single), Trace) and trace_path(root, trace.key) == single:
                after[_name(single)] = orjson.dumps(trace.model_dump(by_alias=True))
                taken.append(single)
        if after != before:
            content = b"".join(after[name] + b"\n" for name in sorted(after))
            files.write_whole(path, lzma.compress(content))
        for single in taken:
            single.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _folders(root: Path) -> list[Path]:
    """The folders of a model's traces, by framework and task; one of which all runs are packed is not there."""
    packs = (path.with_name(path.name.removesuffix(SUFFIX)) for path in root.glob(f"*/*{SUFFIX}"))
    return sorted({*packs, *(path for path in root.glob("*/*") if path.is_dir())})


def _of_folder(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{SUFFIX}")


def _name(single: Path) -> str:
    """What the run of a single trace is called in a pack: `<case>.<trial>`."""
    return single.name.removesuffix(".json")
