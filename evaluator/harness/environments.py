"""The environment of each framework: made from its own lock, only when missing or changed; and what is in it."""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import Distribution
from pathlib import Path
from typing import Protocol

import platformdirs
from rich.console import Console

from evaluator import files
from evaluator.catalog.digests import lock_digest
from evaluator.catalog.frameworks import Framework
from evaluator.errors import Mistake
from evaluator.harness.progress import UnderWay
from evaluator.harness.stopping import all_of


class Locked(Hashable, Protocol):
    """What has packages of its own: a framework, or an outside suite."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def package(self) -> str:
        """The name of the package that it is about."""

    @property
    def version(self) -> str:
        """The locked version of that package."""

    @property
    def environment(self) -> Path:
        """The folder with its lock and its packages."""

    @property
    def at(self) -> str | None:
        """The release or the day that the lock is of; None for what is locked today."""


_STAMP = "bakeoff-lock-digest"
_NOTE = "bakeoff-installed.json"
_AT_ONCE = 4  # uv's lock on its cache makes more useless


def find_uv() -> str:
    """The path of `uv`. Raises `Mistake` where there is none."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise Mistake("uv was not found: `pip install uv`, then run the command again")
    return uv


def uv_environment(*, mirror: bool = False) -> dict[str, str]:
    """The environment variables for `uv`: what it needs to run and to reach a network, and nobody's keys.

    None of those that change which packages it takes is among them, since that is what a lock is for. With `mirror`,
    there are also those that name another index, and its credentials.
    """
    wanted = (*_FOR_UV, *(_MIRRORS if mirror else ()))
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() in wanted or (mirror and name.startswith("UV_INDEX_"))
    }


_FOR_UV = frozenset(
    (
        *("PATH", "HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "TMPDIR", "LANG", "LC_ALL"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_BIN_HOME"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT"),
        *("UV_CACHE_DIR", "UV_LINK_MODE", "UV_OFFLINE", "UV_NO_CACHE", "UV_INSECURE_HOST", "UV_NATIVE_TLS"),
        *("UV_SYSTEM_CERTS", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_REQUEST_TIMEOUT"),
        *("UV_CONCURRENT_DOWNLOADS", "UV_CONCURRENT_INSTALLS", "UV_CONCURRENT_BUILDS", "UV_KEYRING_PROVIDER"),
        *("UV_PYTHON_INSTALL_DIR", "UV_PYTHON_DOWNLOADS", "UV_PYTHON_PREFERENCE", "UV_PYTHON_INSTALL_MIRROR"),
    )
)
_MIRRORS = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY")


def names_a_mirror() -> bool:
    """Whether the user's environment, or uv's configuration on this machine, names another index of packages."""
    if any(os.environ.get(name) for name in _MIRRORS):
        return True
    if os.environ.get("UV_NO_CONFIG"):
        return False
    own = os.environ.get("UV_CONFIG_FILE")
    users = platformdirs.user_config_path("uv", appauthor=False) / "uv.toml"
    for path in [Path(own)] if own else [users, _SYSTEM_CONFIG]:
        with contextlib.suppress(OSError, ValueError):
            read = files.toml_in(files.read_text(path))
            pip = read.get("pip")
            if {"index", "index-url", "extra-index-url"} & {*read, *(pip if isinstance(pip, dict) else ())}:
                return True
    return False


_SYSTEM_CONFIG = Path("/etc/uv/uv.toml")


def first_error(said: str) -> str | None:
    """The first error in what `uv` said, if it named any."""
    return next((line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")), None)


def _reason(said: str) -> str | None:
    """The first error in what `uv` said, and its causes, in a line."""
    if (error := first_error(said)) is None:
        return None
    causes = [line.strip().removeprefix("cause: ") for line in said.splitlines() if line.startswith("  cause: ")]
    return ": ".join([error.rstrip(":"), *causes])


def python_of(framework: Locked) -> Path:
    """The interpreter inside the framework's environment."""
    return framework.environment / ".venv" / "bin" / "python"


def is_current(framework: Locked) -> bool:
    """Whether the environment was made from today's lock by this Python version."""
    stamp = framework.environment / ".venv" / _STAMP
    try:
        return python_of(framework).exists() and files.read_text(stamp) == _wanted(framework)
    except (OSError, UnicodeDecodeError):  # none is there, or it is damaged
        return False


def _wanted(framework: Locked) -> str:
    project = files.read_text(framework.environment / "pyproject.toml")
    requirements = project.split("[tool.bakeoff")[0]
    return f"{lock_digest(framework.environment)} {sys.version.split()[0]}\n{requirements}"


@dataclass(frozen=True)
class Installed:
    """What is in an environment: how many packages, and the size of their files in MB (10^6 bytes)."""

    packages: int
    installed_mb: float


@cache
def installed(framework: Locked) -> Installed | None:
    """What is in the framework's environment, looked up once; None where it has no packages.

    It is kept in the environment until a package comes, goes or changes.
    """
    environment = framework.environment / ".venv"
    folders = sorted(environment.glob("lib/python*/site-packages/*.dist-info"))
    if not folders:
        return None
    note, of = environment / _NOTE, _lists_digest(folders)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        known = json.loads(files.read_text(note))
        if known["of"] == of:
            return Installed(int(known["packages"]), float(known["installed_mb"]))
    found = _looked_up(folders)
    with contextlib.suppress(OSError):  # then it is looked up again the next time
        files.write_whole(note, json.dumps({"of": of, **asdict(found)}))
    return found


def versions(framework: Locked) -> dict[str, str]:
    """The packages in the framework's environment with their versions, by name."""
    folders = (framework.environment / ".venv").glob("lib/python*/site-packages/*.dist-info")
    packages = [Distribution.at(folder) for folder in folders]
    return dict(sorted((str(one.metadata["Name"]).lower(), one.version) for one in packages))


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


async def provision_all(
    frameworks: Sequence[Framework],
    console: Console,
    report: Callable[[str], None],
    *,
    with_extras: bool = False,
) -> None:
    """Make the environments that are missing or out of date, some side by side; `console` shows the progress.

    With `with_extras`, also the folders with the packages for capabilities. Raises `Mistake` for the first that cannot
    be made, and gives up the others.
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
                    if with_extras:
                        await provision_extras(framework, report)
            ready += 1
            under_way.about = so_far()

        await all_of(map(one, frameworks))


async def provision(framework: Locked, report: Callable[[str], None]) -> None:
    """Make the framework's environment if it is missing or out of date, and look at what is in it.

    `report` receives a line for each step. Raises `Mistake`.
    """
    if not is_current(framework):
        await _make(framework, report)
    await asyncio.to_thread(installed, framework)  # now, so that it takes no time away from a run


async def _make(framework: Locked, report: Callable[[str], None]) -> None:
    report(f"{framework.title}: installing {framework.package} {framework.version} and what it needs")
    folder, environment = framework.environment, framework.environment / ".venv"
    stamp = environment / _STAMP
    stamp.unlink(missing_ok=True)  # killed half-way, what is left does not pass for current
    # Compiled once here, so that no import is timed while it compiles.
    settings = {"UV_COMPILE_BYTECODE": "1", "UV_PROJECT_ENVIRONMENT": str(environment)}
    version = ("--python", f"{sys.version_info[0]}.{sys.version_info[1]}")
    locked = ("--no-dev", "--no-config", "--project", str(folder))
    held = "--frozen" if framework.at else "--locked"  # the lock of a release knows a day that its project does not
    made = False
    if names_a_mirror():  # `uv sync` would want the lock to name it; but what has a locked hash may come from anywhere
        with tempfile.TemporaryDirectory(prefix="bakeoff-uv-") as scratch:
            wanted = str(Path(scratch) / "requirements.txt")
            await run_uv(framework, settings, "export", held, "--no-emit-project", "--quiet", "-o", wanted, *locked)
            await run_uv(framework, settings, "venv", "--no-config", "--clear", "--quiet", *version, str(environment))
            options = ("--require-hashes", "--no-progress", "--exclude-newer", _NEVER)
            into = settings | {"VIRTUAL_ENV": str(environment)}
            try:
                await run_uv(framework, into, "pip", "sync", *options, wanted, mirror=True)
                made = True
            except Mistake as mistake:
                report(f"{framework.title}: not from the mirror ({mistake}); from where its lock says")
    if not made:
        await run_uv(framework, settings, "sync", held, "--no-progress", *locked, *version)
    stamp.write_text(_wanted(framework), encoding="utf-8")
    report(f"{framework.title}: ready")


EXTRAS_GROUP = "capabilities"
"""The dependency group of a framework's project with what its capability modules need beyond its own packages."""


def extras_of(framework: Framework) -> Path:
    """The folder with the packages for capabilities, beside those of the environment; it may not exist.

    They are apart, so that what the other tasks import, and what the framework's own packages weigh, stays as it is.
    """
    return framework.environment / ".venv" / EXTRAS_GROUP


def extra_packages(framework: Framework) -> list[Distribution]:
    """The packages for capabilities that are installed."""
    return [Distribution.at(folder) for folder in sorted(extras_of(framework).glob("*.dist-info"))]


async def provision_extras(framework: Framework, report: Callable[[str], None]) -> None:
    """Install what the framework's lock has for capabilities, and its environment has not. Raises `Mistake`."""
    target = extras_of(framework)
    project = files.toml_in(files.read_text(framework.environment / "pyproject.toml"))
    if EXTRAS_GROUP not in project.get("dependency-groups", {}):
        return
    stamp = target / _STAMP
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if files.read_text(stamp) == _wanted(framework):
            return
    report(f"{framework.title}: installing what its capabilities need besides")
    shutil.rmtree(target, ignore_errors=True)
    locked = ("--locked", "--no-emit-project", "--no-header", "--quiet", "--no-config", "--project")
    with tempfile.TemporaryDirectory(prefix="bakeoff-uv-") as scratch:
        own, group, extra = (Path(scratch) / name for name in ("own.txt", "group.txt", "extra.txt"))
        await run_uv(framework, {}, "export", "--no-dev", *locked, str(framework.environment), "-o", str(own))
        only = ("--only-group", EXTRAS_GROUP)
        await run_uv(framework, {}, "export", *only, *locked, str(framework.environment), "-o", str(group))
        there = {_name_of(block) for block in _requirements(files.read_text(own))}
        wanted = [block for block in _requirements(files.read_text(group)) if _name_of(block) not in there]
        extra.write_text("".join(wanted), encoding="utf-8")
        options = ("--no-deps", "--require-hashes", "--no-config", "--quiet", "--exclude-newer", _NEVER)
        where = ("--target", str(target), "--python", str(python_of(framework)))
        compiled = {"UV_COMPILE_BYTECODE": "1"}
        await run_uv(framework, compiled, "pip", "install", *options, *where, "-r", str(extra), mirror=True)
    stamp.write_text(_wanted(framework), encoding="utf-8")


def _requirements(text: str) -> list[str]:
    """The requirements of a file as uv writes it, each with its hashes."""
    blocks: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.startswith((" ", "#")):
            blocks.append(line)
        elif blocks and not line.strip().startswith("#"):
            blocks[-1] += line
    return blocks


def _name_of(requirement: str) -> str:
    return re.split(r"[=<>~! ;\[]", requirement, maxsplit=1)[0]


_NEVER = "2999-01-01"
"""A date after which nothing is left out."""


async def run_uv(framework: Locked, settings: Mapping[str, str], *command: str, mirror: bool = False) -> None:
    """Run uv for an environment. Raises `Mistake` with what it said."""
    uv = find_uv()
    try:
        process = await asyncio.create_subprocess_exec(
            *(uv, *command),
            cwd=framework.environment,
            env={**uv_environment(mirror=mirror), **settings},
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
        outdated = "its uv.lock does not fit its pyproject.toml: undo the change of either, or lock anew, after which "
        reason = _reason(said) or (said.splitlines()[-1] if said else f"exit code {process.returncode}")
        hint = f"; {outdated}all its traces are out of date" if "--locked" in said else ""
        raise Mistake(f"{framework.environment}: uv {command[0]} failed: {reason}{hint}")
