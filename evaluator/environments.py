"""The environment of each framework: made from its own lock, only when missing or changed."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from evaluator.discovery import Framework, lock_digest

_STAMP = "bakeoff-lock-digest"


class ProvisionError(RuntimeError):
    """An environment cannot be made. The message says which, why, and what to do."""


def find_uv() -> str:
    """The path of `uv`. Raises `ProvisionError` where there is none."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise ProvisionError("uv was not found: `pip install uv`, then run the command again")
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


async def provision(framework: Framework, report: Callable[[str], None]) -> None:
    """Make the framework's environment if it is missing or out of date.

    `report` receives a line for each step. Raises `ProvisionError`.
    """
    if is_current(framework):
        return
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
        raise ProvisionError(f"uv cannot be started as {uv!r}: {error.strerror}") from None
    _, errors = await process.communicate()
    if process.returncode:
        said = errors.decode(errors="replace").strip()
        hint = f" Run `uv lock --project {framework.folder}`" if "--locked" in said else ""
        reason = first_error(said) or (said.splitlines()[-1] if said else f"exit code {process.returncode}")
        raise ProvisionError(f"{framework.folder}: uv sync failed: {reason}{hint}")
    stamp.write_text(_wanted(framework), encoding="utf-8")
    report(f"{framework.title}: ready")
