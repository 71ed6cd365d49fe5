"""Locks the packages of a release, and asks the index which releases there are."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from evaluator import files
from evaluator.catalog.frameworks import Framework
from evaluator.catalog.releases import Release, at_release, day_after, project_of, uploaded
from evaluator.errors import Failure
from evaluator.harness.environments import names_a_mirror, run_uv

_SETTLED = timedelta(days=2)
"""Until so long after it, what one would have installed on a day may still change."""


async def locked(framework: Framework, release: Release) -> Framework:
    """The framework with the packages of a release, locked now unless they are already.

    Raises `Mistake` where there is no such release, or nothing fits together.
    """
    made = at_release(framework, release)
    project, lock = made.environment / "pyproject.toml", made.environment / "uv.lock"
    wanted = project_of(framework, release)
    if not (project.exists() and lock.exists() and files.read_text(project) == wanted and _is_settled(lock, release)):
        made.environment.mkdir(parents=True, exist_ok=True)
        lock.unlink(missing_ok=True)
        files.write_whole(project, wanted)
        until = release.day or await _day_of(made, lock)
        await _lock(made, until)
    return at_release(framework, release)


def _is_settled(lock: Path, release: Release) -> bool:
    """Whether a lock was made when the day that it is of was over."""
    if release.day is None:
        return True
    made = datetime.fromtimestamp(lock.stat().st_mtime, UTC).date()
    return made >= release.day + _SETTLED or made == datetime.now(UTC).date()


async def _day_of(framework: Framework, lock: Path) -> date | None:
    """The day until which the other packages of a version may have come out."""
    await _lock(framework, None)
    came = uploaded(lock, framework.package)
    lock.unlink()
    return day_after(came) if came else None


async def _lock(framework: Framework, until: date | None) -> None:
    """Resolve the packages as of the end of a day, or as of now."""
    options = [] if names_a_mirror() else ["--no-config"]
    options += ["--exclude-newer", str(until)] if until else []
    await run_uv(framework, {}, "lock", "--quiet", *options, mirror=True)


@dataclass(frozen=True)
class Published:
    """A release that an index has, and when its first file came there."""

    version: str
    day: date


async def published(framework: Framework) -> list[Published]:
    """The releases of the framework's package by age, without pre-releases and what was withdrawn.

    Asks the index that the framework's lock names for its list in JSON (PEP 691, PEP 700). Raises `Failure`.
    """
    index = _index_of(framework)
    url = f"{index.rstrip('/')}/{framework.package}/"
    listed = await asyncio.to_thread(_asked, url)
    first: dict[Version, date] = {}
    for file in listed.get("files", []):
        version, uploaded_at = _version_of(file.get("filename", "")), file.get("upload-time")
        if version is None or version.is_prerelease or not uploaded_at or file.get("yanked"):
            continue
        day = datetime.fromisoformat(uploaded_at).date()
        first[version] = min(day, first.get(version, day))
    return [Published(str(version), day) for version, day in sorted(first.items(), key=lambda one: (one[1], one[0]))]


def _index_of(framework: Framework) -> str:
    text = files.read_text(framework.folder / "uv.lock")
    name = re.escape(framework.package)
    found = re.search(rf'^name = "{name}"\nversion = "[^"\n]+"\nsource = \{{ registry = "([^"\n]+)"', text, re.M)
    if found is None:
        raise Failure(f"{framework.folder}/uv.lock: does not say which index {framework.package} is from")
    return found[1]


def _asked(url: str) -> dict[str, list[dict[str, str]]]:
    request = urllib.request.Request(url, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            listed: dict[str, list[dict[str, str]]] = json.load(reply)
            return listed
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise Failure(f"{url}: does not say which releases there are: {error}") from None


def _version_of(filename: str) -> Version | None:
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[1]
        return parse_sdist_filename(filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None
