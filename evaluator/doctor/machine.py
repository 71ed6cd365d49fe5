"""The checks of `bakeoff doctor` alone: whether this machine has what runs need.

Nothing is installed, fetched or changed, and no check needs a network.
"""

import asyncio
import contextlib
import os
import platform
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from evaluator import ROOT, files
from evaluator.catalog.frameworks import IMPLEMENTATIONS, Framework
from evaluator.doctor.report import Begun, Finding, Result, Verdict
from evaluator.errors import Failure, Mistake
from evaluator.harness import environments
from evaluator.models import embedded, local, weights
from evaluator.models.upstreams.http import lacking_certificates
from evaluator.models.weights import MINILM, MINILM_TOKENIZER, WeightFile
from evaluator.providers.names import LOCAL

UNPACKED_TIMES = 4
"""How much bigger an environment is than the wheels named in its lock.

A lock has a wheel for each platform, and the biggest of them counts. Of the nine environments that
this was measured on, all together are 3.0 times as big, with their bytecode, and the one that
grows most 5.2 times.
"""

_SPARE_BYTES = 1 << 30
"""Left free for traces, logs and the scratch folders of runs."""

_UV_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Check:
    """One check: `look` finds out; `means` is what runs lack where it is not in order, `todo` what to do."""

    name: str
    title: str
    look: Callable[[], Awaitable[Finding]]
    means: str
    todo: str = ""
    needed: bool = True


def checks(frameworks: Sequence[Framework]) -> list[Check]:
    """The checks of this machine, those of each framework included."""
    return [
        Check(
            *("uv", "uv", _uv),
            means="The frameworks' environments cannot be made without it.",
            todo="pip install uv",
        ),
        Check(
            *("python", "Python", lambda: _in_thread(_python, frameworks)),
            means="Runs use this Python version in every framework's own environment, too.",
            todo="uv run --python 3.12 bakeoff …, with a version in every range that is named",
        ),
        Check(
            *("disk", "free disk", lambda: _in_thread(_disk, frameworks)),
            means="Environments or weights cannot be unpacked.",
            todo="Make room, or set BAKEOFF_CACHE (weights) and UV_CACHE_DIR (packages) to a folder on a bigger disk.",
        ),
        Check(
            *("certificates", "certificates of servers", lambda: _in_thread(certificates_finding)),
            means="Servers with https:// may be out of reach, of models and of packages; others are not concerned.",
            todo="Unset the variable, or have it name what is there.",
            needed=False,
        ),
        Check(
            *("engine", "engine of embedded models", _engine),
            means="Embedded models, such as 'local', cannot run here; others are not concerned.",
            todo="uv sync --reinstall-package xllamacpp; a processor without AVX2 needs a build of its own",
            needed=False,
        ),
        *(_weights_check(name) for name in embedded.EMBEDDED),
        Check(
            *("embeddings", "weights for embeddings", lambda: _in_thread(weights_finding, [MINILM, MINILM_TOKENIZER])),
            means="The first run of a task with documents fetches them.",
            needed=False,
        ),
        *(_environment_check(framework) for framework in frameworks),
        _lock_check("harness", ROOT),
        *(_lock_check(framework.name, framework.folder) for framework in frameworks),
    ]


async def examine(frameworks: Sequence[Framework], begun: Begun) -> AsyncIterator[Result]:
    """Make all checks at once; their results come in the order of the table."""
    table = checks(frameworks)
    found = [asyncio.ensure_future(check.look()) for check in table]
    for check, finding in zip(table, found, strict=True):
        begun(check.title)
        yield Result(check.name, check.title, await finding, check.means, check.todo, check.needed)


async def _in_thread(look: Callable[..., Finding], *arguments: object) -> Finding:
    """What a check finds; a file that it cannot use is a finding, too."""
    try:
        return await asyncio.to_thread(look, *arguments)
    except Mistake as mistake:
        return Finding(Verdict.FAILS, str(mistake))


async def _uv() -> Finding:
    try:
        uv = environments.find_uv()
        code, said = await _output(uv, "--version")
    except Mistake as error:
        return Finding(Verdict.FAILS, str(error))
    except OSError as error:  # a TimeoutError, too, which has no strerror
        return Finding(Verdict.FAILS, f"{uv} cannot be used: {error.strerror or 'it does not answer'}")
    if code:
        return Finding(Verdict.FAILS, f"{uv} --version ended with exit code {code}")
    version = said.removeprefix("uv").split()[0]
    return Finding(Verdict.OK, version, measured={"version": version})


def _python(frameworks: Sequence[Framework]) -> Finding:
    folders = {"the harness": ROOT, **{framework.name: framework.folder for framework in frameworks}}
    ranges = {name: _requires_python(folder) for name, folder in folders.items()}
    return python_finding(platform.python_version(), ranges)


def python_finding(version: str, ranges: dict[str, str]) -> Finding:
    """Judge a Python version by the ranges that the harness and the frameworks ask for."""
    refused = {name: wanted for name, wanted in ranges.items() if not SpecifierSet(wanted).contains(version)}
    measured = {"version": version}
    if refused:
        told = ", ".join(f"{name} needs {wanted}" for name, wanted in refused.items())
        return Finding(Verdict.FAILS, f"{version}, but {told}", measured=measured)
    return Finding(Verdict.OK, f"{version}, in the range of the harness and of every framework", measured=measured)


def _requires_python(folder: Path) -> str:
    """What the project's `pyproject.toml` asks for; an empty range, which is any, where it does not say."""
    path = folder / "pyproject.toml"
    project = _toml(path).get("project", {})
    wanted = str(project.get("requires-python", "")) if isinstance(project, dict) else ""
    try:
        SpecifierSet(wanted)
    except InvalidSpecifier:
        raise Mistake(f"{path}: project.requires-python: is no range of versions: {wanted!r}") from None
    return wanted


def _toml(path: Path) -> dict[str, Any]:
    """What a TOML file says. Raises `Mistake`."""
    try:
        return files.toml_in(files.read_text(path))
    except OSError as error:
        raise Mistake(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise Mistake(f"{path}: is not valid TOML: {error}") from None


def _disk(frameworks: Sequence[Framework]) -> Finding:
    missing = [framework for framework in frameworks if not environments.is_current(framework)]
    packages = sum(unpacked_bytes(framework.folder / "uv.lock") for framework in missing)
    files = [embedded.EMBEDDED[LOCAL].weights, MINILM, MINILM_TOKENIZER]
    models = sum(file.size_bytes for file in files if not file.path.exists())
    folders = {IMPLEMENTATIONS: packages, weights.cache_dir(): models}
    return disk_finding([(_disk_of(folder), need) for folder, need in folders.items()])


def _disk_of(folder: Path) -> tuple[int, int]:
    """The number of the disk that a folder lies on, and its free bytes."""
    return folder.stat().st_dev, shutil.disk_usage(folder).free


def disk_finding(needs: Iterable[tuple[tuple[int, int], int]]) -> Finding:
    """Judge the free space: pairs of a disk (its number and free bytes) and the bytes still to be put there."""
    wanted: dict[tuple[int, int], int] = {}
    for disk, need in needs:
        wanted[disk] = wanted.get(disk, 0) + need
    short = [free for (_, free), need in wanted.items() if free < need + _SPARE_BYTES]
    free, need = min(free for _, free in wanted), sum(wanted.values())
    told = f"{_size(free)} free; what is not there yet takes about {_size(need)}"
    verdict = Verdict.FAILS if short else Verdict.OK
    return Finding(verdict, told, measured={"free_bytes": free, "needed_bytes": need})


def unpacked_bytes(lock: Path) -> int:
    """About what an environment made from a lock takes: see `UNPACKED_TIMES`. Raises `Mistake`."""
    packages = _toml(lock).get("package", [])
    try:
        sizes = [[int(wheel.get("size", 0)) for wheel in package.get("wheels", [])] for package in packages]
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise Mistake(f"{lock}: package: must be tables, with the sizes of their wheels") from None
    return UNPACKED_TIMES * sum(max(of_one, default=0) for of_one in sizes)


def certificates_finding() -> Finding:
    """Whether the certificates that the environment names are there."""
    if lacking := lacking_certificates():
        return Finding(Verdict.FAILS, lacking)
    named = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    return Finding(Verdict.OK, f"those that {' and '.join(named)} names" if named else "those of the system")


async def _engine() -> Finding:
    code, said = await _output(sys.executable, "-c", "import xllamacpp")
    version = embedded.engine_version()
    if code:
        last = said.splitlines()[-1] if said else f"exit code {code}"
        return Finding(Verdict.FAILS, f"{version} cannot be loaded: {last}")
    return Finding(Verdict.OK, version, measured={"version": version})


def _weights_check(name: str) -> Check:
    return Check(
        *(f"weights {name}", f"weights of {name}", lambda: _in_thread(_local_weights, name)),
        means=f"The first run with -m {name} fetches them; other models do not need them.",
        needed=False,
    )


def _local_weights(name: str) -> Finding:
    try:
        own = local.own_weights(name)
    except Failure as error:
        return Finding(Verdict.FAILS, str(error), todo="Correct BAKEOFF_LOCAL_GGUF, or unset it for the default.")
    if own is not None:
        return Finding(Verdict.OK, f"{own.name}, your own, named by BAKEOFF_LOCAL_GGUF")
    return weights_finding([embedded.EMBEDDED[name].weights])


def weights_finding(files: Sequence[WeightFile]) -> Finding:
    """Whether the files are there and have the right digest."""
    damaged = {file.name: damage for file in files if file.path.exists() and (damage := weights.damage(file))}
    if damaged:
        told = "; ".join(f"{name}: {damage}" for name, damage in damaged.items())
        return Finding(Verdict.LIMITED, f"damaged, and will be deleted: {told}")
    missing = [file for file in files if not file.path.exists()]
    if missing:
        size = _size(sum(file.size_bytes for file in missing))
        return Finding(Verdict.LIMITED, f"not fetched yet: {', '.join(file.name for file in missing)} ({size})")
    return Finding(Verdict.OK, f"{', '.join(file.name for file in files)}; SHA-256 is right")


def _environment_check(framework: Framework) -> Check:
    return Check(
        *(f"environment {framework.name}", f"environment of {framework.name}"),
        lambda: _in_thread(environment_finding, framework),
        means="The framework's first run makes it, and takes longer.",
        needed=False,
    )


def environment_finding(framework: Framework) -> Finding:
    """Whether the framework's environment was made from today's lock by this Python version."""
    version = f"{framework.package} {framework.version}"
    if environments.is_current(framework):
        return Finding(Verdict.OK, version)
    state = "out of date" if environments.python_of(framework).exists() else "not made yet"
    size = unpacked_bytes(framework.folder / "uv.lock")
    return Finding(Verdict.LIMITED, f"{state} ({version}, about {_size(size)})")


def _lock_check(name: str, folder: Path) -> Check:
    command = "uv lock" if folder == ROOT else f"uv lock --project {folder.relative_to(ROOT).as_posix()}"
    return Check(
        *(f"lock {name}", f"lock of {name}", lambda: _lock(folder)),
        means="Its environment cannot be made: uv refuses a lock that does not fit the requirements.",
        todo=command,
    )


async def _lock(folder: Path) -> Finding:
    try:
        uv = environments.find_uv()
        code, said = await _output(uv, "lock", "--check", "--offline", "--no-config", "--project", str(folder))
    except TimeoutError:
        return Finding(Verdict.NOT_MADE, f"uv did not answer within {_UV_TIMEOUT_S:.0f} s", todo="Try again.")
    except (Mistake, OSError):
        return Finding(Verdict.NOT_MADE, "there is no uv to ask", todo="See uv, above.")
    return lock_finding(code, said)


def lock_finding(code: int, said: str) -> Finding:
    """Judge what `uv lock --check --offline` said. Only a lock that is out of date makes uv look for packages."""
    if code == 0:
        return Finding(Verdict.OK, "in date")
    if "needs to be updated" in said or "No solution found" in said:
        return Finding(Verdict.FAILS, "out of date: it does not fit pyproject.toml")
    return Finding(Verdict.FAILS, environments.first_error(said) or f"uv lock --check ended with exit code {code}")


async def _output(*command: str) -> tuple[int, str]:
    """Exit code and all that a command said. Raises `OSError`, `TimeoutError`."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environments.uv_environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), _UV_TIMEOUT_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace").strip()


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
