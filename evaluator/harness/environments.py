"""The environment of each framework: made from its own lock, only when missing or changed; and what is in it."""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import Distribution
from pathlib import Path

from rich.console import Console

from evaluator import files
from evaluator.catalog.digests import lock_digest
from evaluator.catalog.frameworks import Framework
from evaluator.errors import Mistake
from evaluator.harness.progress import UnderWay

_STAMP = "bakeoff-lock-digest"
_NOTE = "bakeoff-installed.json"
_AT_ONCE = 4  # uv's lock on its cache makes more useless


def find_uv() -> str:
    """The path of `uv`. Raises `Mistake` where there is none."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise Mistake("uv was not found: `pip install uv`, then run the command again")
    return uv


def uv_environment() -> dict[str, str]:
    """The environment variables for `uv`, without those that would point it to the harness's own project."""
    return {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PROJECT")}


def first_error(said: str) -> str | None:
    """The first error in what `uv` said, if it named any."""
    return next((line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")), None)


def python_of(framework: Framework) -> Path:
    """The interpreter inside the framework's environment."""
    return framework.folder / ".venv" / "bin" / "python"


def is_current(framework: Framework) -> bool:
    """Whether the environment was made from today's lock by this Python version."""
    stamp = framework.folder / ".venv" / _STAMP
    return python_of(framework).exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == _wanted(framework)


def _wanted(framework: Framework) -> str:
    project = (framework.folder / "pyproject.toml").read_text(encoding="utf-8")
    requirements = project.split("[tool.bakeoff")[0]
    return f"{lock_digest(framework)} {sys.version.split()[0]}\n{requirements}"


@dataclass(frozen=True)
class Installed:
    """What is in an environment: how many packages, and the size of their files in MB (10^6 bytes)."""

    packages: int
    installed_mb: float


@cache
def installed(framework: Framework) -> Installed | None:
    """What is in the framework's environment, looked up once; None where it has no packages.

    It is kept in the environment until a package comes, goes or changes.
    """
    environment = framework.folder / ".venv"
    folders = sorted(environment.glob("lib/python*/site-packages/*.dist-info"))
    if not folders:
        return None
    note, of = environment / _NOTE, _lists_digest(folders)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["of"] == of:
            return Installed(int(known["packages"]), float(known["installed_mb"]))
    found = _looked_up(folders)
    with contextlib.suppress(OSError):  # then it is looked up again the next time
        files.write_whole(note, json.dumps({"of": of, **asdict(found)}))
    return found


def _lists_digest(folders: Iterable[Path]) -> str:
    """Digest of what the answer depends on: when each package's list of files was written, and how it is read."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for folder in folders:
        lists = folder / "RECORD"
        status = (lists if lists.exists() else folder).stat()
        digest.update(f"{folder.name} {status.st_size} {status.st_mtime_ns} {status.st_ino}\n".encode())
    return digest.hexdigest()


def _looked_up(folders: Iterable[Path]) -> Installed:
    """What these packages hold.

    The files are those that the packages' own lists name, wherever in the environment they lie. Bytecode is left
    out, because how much of it there is depends on what was compiled; a file with several names counts once.
    """
    packages = [Distribution.at(folder) for folder in folders]
    sizes: dict[tuple[int, int], int] = {}
    for listed in (listed for package in packages for listed in package.files or ()):
        path = Path(str(listed.locate()))
        if "__pycache__" not in listed.parts and path.is_file():
            status = path.stat()
            sizes[status.st_dev, status.st_ino] = status.st_size
    return Installed(len(packages), round(sum(sizes.values()) / 1e6, 3))


async def provision_all(frameworks: Sequence[Framework], console: Console, report: Callable[[str], None]) -> None:
    """Make the environments that are missing or out of date, some side by side; `console` shows the progress.

    Raises `Mistake` for the first that cannot be made, and gives up the others.
    """
    free = asyncio.Semaphore(_AT_ONCE)
    ready = 0

    def so_far() -> str:
        return f"environments: {ready} of {len(frameworks)} are there"

    with UnderWay(console, so_far()) as under_way:

        async def one(framework: Framework) -> None:
            nonlocal ready
            async with free:
                with under_way.doing(framework.name):
                    await provision(framework, report)
            ready += 1
            under_way.about = so_far()

        making = [asyncio.create_task(one(framework)) for framework in frameworks]
        try:
            await asyncio.gather(*making)
        finally:
            for task in making:
                task.cancel()
            await asyncio.gather(*making, return_exceptions=True)


async def provision(framework: Framework, report: Callable[[str], None]) -> None:
    """Make the framework's environment if it is missing or out of date, and look at what is in it.

    `report` receives a line for each step. Raises `Mistake`.
    """
    if not is_current(framework):
        await _make(framework, report)
    await asyncio.to_thread(installed, framework)  # now, so that it takes no time away from a run


async def _make(framework: Framework, report: Callable[[str], None]) -> None:
    report(f"{framework.title}: installing {framework.package} {framework.version} and what it needs")
    stamp = framework.folder / ".venv" / _STAMP
    stamp.unlink(missing_ok=True)  # killed half-way, what is left does not pass for current
    # Compiled once here, so that no import is timed while it compiles.
    settings = {"UV_COMPILE_BYTECODE": "1", "UV_PROJECT_ENVIRONMENT": str(framework.folder / ".venv")}
    uv = find_uv()
    try:
        process = await asyncio.create_subprocess_exec(
            *(uv, "sync", "--locked", "--no-dev", "--no-progress", "--project", str(framework.folder)),
            *("--python", f"{sys.version_info[0]}.{sys.version_info[1]}"),
            cwd=framework.folder,
            env=uv_environment() | settings,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise Mistake(f"uv cannot be started as {uv!r}: {error.strerror}") from None
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = errors.decode(errors="replace").strip()
        hint = f" Run `uv lock --project {framework.folder}`" if "--locked" in said else ""
        reason = first_error(said) or (said.splitlines()[-1] if said else f"exit code {process.returncode}")
        raise Mistake(f"{framework.folder}: uv sync failed: {reason}{hint}")
    stamp.write_text(_wanted(framework), encoding="utf-8")
    report(f"{framework.title}: ready")
