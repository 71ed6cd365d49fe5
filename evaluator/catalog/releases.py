"""Frameworks with other packages than the locked ones: `crewai@1.12.0` and `crewai@2026-03-01`.

The first is that release of the framework's package, with all others as one would have installed them on the day after
it came out. The second has all packages as of the end of that day. The modules are today's in both.
`crewai@code-2026-11` is the other way round: the modules as they were in that month, kept in
`implementations/crewai/@2026-11/`, with today's lock. Locks and packages of releases are below
`.bakeoff/environments/`, in a folder each.
"""

import platform
import re
import sys
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from evaluator import WORK, files
from evaluator.catalog.frameworks import AT, Framework, locked_version
from evaluator.errors import Mistake

ENVIRONMENTS = WORK / "environments"
"""Where the environments of releases are, a folder each."""

CODE = "code-"
"""How what stands behind the `@` begins for modules as they were in a month."""

CODE_FOLDER = re.compile(r"@(\d{4}-\d{2})")
"""The folders of a framework with its modules as they were in a month."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Release:
    """A release of a framework's package, or a day."""

    version: str | None = None
    day: date | None = None

    def __str__(self) -> str:
        return str(self.version or self.day)


def read_release(text: str, today: date | None = None) -> Release:
    """The version or day that a user named. Raises `Mistake` where it is none, or has not come yet."""
    if _DAY.fullmatch(text):
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise Mistake(f"{AT}{text}: is no day: {error}") from None
        if day > (today or datetime.now(UTC).date()):
            raise Mistake(f"{AT}{text}: has not come yet")
        return Release(day=day)
    try:
        Version(text)
    except InvalidVersion:
        raise Mistake(
            f"{AT}{text}: is neither a version such as 1.12.0 nor a day such as 2026-03-01 nor {CODE}YYYY-MM"
        ) from None
    return Release(version=text)


def code_months(framework: Framework) -> list[str]:
    """The months of which modules are kept, sorted."""
    folders = (path.name for path in framework.folder.glob("@*") if path.is_dir())
    return sorted(form[1] for name in folders if (form := CODE_FOLDER.fullmatch(name)))


def with_code_of(framework: Framework, month: str) -> Framework:
    """The framework with its modules as they were in a month (`2026-11`). Raises `Mistake` where none are kept."""
    if month not in (kept := code_months(framework)):
        there_are = f"there are {', '.join(kept)}" if kept else "there are none yet"
        raise Mistake(f"{framework.folder.name}/@{month}: no modules are kept of that month; {there_are}")
    return replace(
        framework,
        name=f"{framework.name}{AT}{CODE}{month}",
        title=f"{framework.title}, code of {month}",
        at=f"{CODE}{month}",
        folder=framework.folder / f"@{month}",
    )


def at_release(framework: Framework, release: Release) -> Framework:
    """The framework with the packages of a release, whether they are locked already or not.

    Of a day, the version of its package is read from the lock, if there is one.
    """
    environment = ENVIRONMENTS / f"{framework.name}{AT}{release}"
    lock = environment / "uv.lock"
    known = release.version or (locked_version(lock, framework.package) if lock.exists() else None)
    return replace(
        framework,
        name=f"{framework.name}{AT}{release}",
        title=f"{framework.title} {release}",
        at=str(release),
        environment=environment,
        version=known or f"of {release}",
    )


def is_locked(framework: Framework) -> bool:
    """Whether its packages are locked here; those of a release may not be."""
    return (framework.environment / "uv.lock").exists()


def at(framework: Framework, name: str) -> Framework:
    """The framework that `name` is of, without locking anything: `name` is its own with an `@` and what comes after it.

    Raises `Mistake`.
    """
    asked = name.partition(AT)[2]
    if asked.startswith(CODE):
        return with_code_of(framework, asked.removeprefix(CODE))
    return at_release(framework, read_release(asked)) if asked else framework


def project_of(framework: Framework, release: Release) -> str:
    """The `pyproject.toml` of the environment for a release: what the framework's own asks for, of any version.

    Raises `Mistake` where that cannot be read.
    """
    path = framework.folder / "pyproject.toml"
    try:
        project = files.toml_in(files.read_text(path))
        asked = project["project"]["dependencies"]
        wanted = [_unbound(Requirement(one), framework.package, release.version) for one in asked]
    except (KeyError, TypeError, ValueError, OSError, InvalidRequirement) as error:
        raise Mistake(f"{path}: its project.dependencies cannot be read: {error}") from None
    mode = project.get("tool", {}).get("uv", {}).get("link-mode")
    link_mode = f'link-mode = "{mode}"\n' if mode else ""
    listed = "".join(f"    {one!r},\n" for one in wanted).replace("'", '"')
    return f"""\
[project]
name = "bakeoff-{framework.name.replace("_", "-")}-at"
version = "0"
requires-python = "=={sys.version_info[0]}.{sys.version_info[1]}.*"
dependencies = [
{listed}]

[tool.uv]
package = false
{link_mode}environments = ["sys_platform == '{sys.platform}' and platform_machine == '{platform.machine()}'"]
"""


def _unbound(requirement: Requirement, package: str, version: str | None) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    pinned = f"=={version}" if version is not None and requirement.name == package else ""
    return f"{requirement.name}{extras}{pinned}"


_UPLOAD = re.compile(r'upload-time = "([^"\n]+)"')


def uploaded(lock: Path, package: str) -> datetime | None:
    """When the locked version of a package came out: when its first file was uploaded. None where that is not said."""
    text = files.read_text(lock)
    found = re.search(
        rf'^\[\[package\]\]\nname = "{re.escape(package)}"\n(.*?)(?=^\[\[package\]\]|\Z)', text, re.M | re.S
    )
    times = _UPLOAD.findall(found[1]) if found else []
    return min((datetime.fromisoformat(one) for one in times), default=None)


def day_after(moment: datetime) -> date:
    """The day by whose end a day has passed since a moment."""
    return (moment + timedelta(days=1)).date()


def packages_in(lock: Path) -> dict[str, str]:
    """The locked packages from an index with their versions, by name."""
    text = files.read_text(lock)
    registered = r'^\[\[package\]\]\nname = "([^"\n]+)"\nversion = "([^"\n]+)"\nsource = \{ registry'
    return dict(sorted(re.findall(registered, text, re.M)))


def as_of(lock: Path) -> date:
    """The day on which the newest of the locked packages came out. Raises `Mistake` where a lock does not say."""
    times = _UPLOAD.findall(files.read_text(lock))
    if not times:
        raise Mistake(f"{lock}: does not say when its packages came out: lock it anew with a newer uv")
    return max(map(datetime.fromisoformat, times)).date()


def first_of_months(since: date, until: date) -> list[date]:
    """The first days of months from one day to another."""
    months: list[date] = []
    at = since.replace(day=1)
    while at <= until:
        if at >= since:
            months.append(at)
        at = (at + timedelta(days=32)).replace(day=1)
    return months
