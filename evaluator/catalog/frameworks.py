"""Finds the frameworks by their folders, without importing them."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluator import ROOT, files
from evaluator.catalog.folders import capability_names, suite_names
from evaluator.errors import Mistake

IMPLEMENTATIONS = ROOT / "implementations"
BASELINE = "baseline"

AT = "@"
"""What stands between a framework's name and a release."""


FAULT = "fault:"
"""How the name of a fault begins among the differences that a deviation explains."""

CAPABILITY = "capability:"
"""How the name of a case begins there."""


class Deviation(BaseModel):
    """Where an implementation cannot follow a task's spec, in words; without a task, in all of them.

    `differences` names what it explains, with the names that `bakeoff parity` prints; `*` stands for any characters. A
    deviation that explains what becomes of faults has their names there, each after `FAULT`; one that explains why
    cases of a capability task are not right has theirs, after `CAPABILITY`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str | None = None
    note: str = Field(min_length=1)
    differences: tuple[str, ...] = ()

    @property
    def cases(self) -> tuple[str, ...]:
        """The cases of its capability task that are not right because of it."""
        return tuple(name.removeprefix(CAPABILITY) for name in self.differences if name.startswith(CAPABILITY))

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that it is about, if it is about faults."""
        return tuple(name.removeprefix(FAULT) for name in self.differences if name.startswith(FAULT))


class Claim(BaseModel):
    """Something that is said of a framework where frameworks are compared, and the task that shows whether it is so.

    What no task shows has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: str = Field(min_length=1)
    task: str | None = None


@dataclass(frozen=True)
class Framework:
    """One folder of `implementations/`, with its locked packages or those of another release.

    `environment` is the folder with its `uv.lock` and its packages: the framework's own, unless `at` says that they are
    those of a release or a day (see `catalog.releases`). `folder` has its modules, which are today's unless `at` says
    that they are those of a month. `name` is that of the framework, with `@` and `at` where there is one.

    `by_hand` names the tasks for which the framework has no facility of its own. `version` is the
    locked version of the framework's `package`. `env` holds environment variables for its workers:
    telemetry off, and the like. `not_implemented` says of tasks for which there is no module why not. `claims`
    are what is said of the framework where frameworks are compared.
    """

    name: str
    title: str
    homepage: str
    folder: Path
    by_hand: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    package: str
    version: str
    env: dict[str, str] = field(hash=False)
    not_implemented: dict[str, str] = field(default_factory=dict, hash=False)
    claims: tuple[Claim, ...] = ()
    environment: Path = Path()
    at: str | None = None

    @property
    def plain_name(self) -> str:
        """The name without the release: that of its folder in `implementations/`."""
        return plain_name(self.name)

    @property
    def root(self) -> Path:
        """The folder that has `implementations/`."""
        return self._own_folder.parents[1]

    @property
    def import_name(self) -> str:
        """What its modules are imported from, below `implementations`."""
        return ".".join(self.folder.relative_to(self._own_folder.parent).parts)

    @property
    def _own_folder(self) -> Path:
        """That of today's modules."""
        return next(folder for folder in (self.folder, *self.folder.parents) if folder.name == self.plain_name)


class Project(BaseModel):
    """What the table `[tool.bakeoff]` of a `pyproject.toml` with a lock beside it always has."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1)
    homepage: str = Field(pattern=r"^https?://\S+$")
    package: str = Field(min_length=1)


ProjectT = TypeVar("ProjectT", bound=Project)


class _Metadata(Project):
    """That of a framework."""

    by_hand: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    env: dict[str, str] = {}
    not_implemented: dict[str, str] = {}
    claims: tuple[Claim, ...] = ()


def framework_folders(implementations: Path = IMPLEMENTATIONS) -> list[Path]:
    """The folders that have a `pyproject.toml`, the baseline first, the others by name."""
    folders = (path.parent for path in implementations.glob("*/pyproject.toml"))
    return sorted(folders, key=lambda folder: baseline_first(folder.name))


def plain_name(name: str) -> str:
    """The framework that a name is of, whatever the release."""
    return name.partition(AT)[0]


def title_at(name: str, titles: Mapping[str, str]) -> str:
    """What a framework is called by the `titles` of frameworks, with the release where the name says one."""
    plain, _, at = name.partition(AT)
    return f"{titles[plain]} {at}".rstrip()


def baseline_first(name: str) -> tuple[bool, str]:
    """Key that sorts frameworks by name after the baseline, and each before its releases."""
    return plain_name(name) != BASELINE, name


def all_frameworks(implementations: Path = IMPLEMENTATIONS) -> dict[str, Framework]:
    """Every framework by name, the baseline first. Raises `Mistake`."""
    return {folder.name: read_framework(folder) for folder in framework_folders(implementations)}


def usable_frameworks(implementations: Path = IMPLEMENTATIONS) -> tuple[dict[str, Framework], dict[str, str]]:
    """The frameworks whose metadata can be used, by name, and a note for each whose cannot."""
    usable, broken = {}, {}
    for folder in framework_folders(implementations):
        try:
            usable[folder.name] = read_framework(folder)
        except Mistake as error:
            broken[folder.name] = str(error)
    return usable, broken


def read_framework(folder: Path) -> Framework:
    """The framework of one folder, without importing it. Raises `Mistake`."""
    metadata, version = read_project(folder, _Metadata)
    return Framework(
        name=folder.name,
        title=metadata.title,
        homepage=metadata.homepage,
        folder=folder,
        by_hand=metadata.by_hand,
        deviations=metadata.deviations,
        package=metadata.package,
        version=version,
        env=metadata.env,
        not_implemented=metadata.not_implemented,
        claims=metadata.claims,
        environment=folder,
    )


def read_project(folder: Path, kind: type[ProjectT]) -> tuple[ProjectT, str]:
    """The table `[tool.bakeoff]` of a folder's `pyproject.toml`, and the locked version of its package.

    Raises `Mistake`.
    """
    pyproject, lock = folder / "pyproject.toml", folder / "uv.lock"
    tool = _read_toml(pyproject).get("tool", {})
    table = tool.get("bakeoff", {}) if isinstance(tool, dict) else {}
    try:
        metadata = kind.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["tool.bakeoff", *(str(part) for part in first["loc"])])
        raise Mistake(f"{_shown(pyproject)}: {field}: {first['msg']}") from None
    version = locked_version(lock, metadata.package)
    if version is None:
        raise Mistake(f"{_shown(lock)}: package: {metadata.package!r} (tool.bakeoff.package) is not locked")
    return metadata, version


def numbered_deviations(frameworks: Iterable[Framework]) -> dict[str, tuple[tuple[int, Deviation], ...]]:
    """The deviations of each framework by its name, those of all frameworks numbered from 1 in the order given.

    Those on capabilities and outside suites come after all others.
    """
    every, apart = list(frameworks), {*capability_names(), *suite_names()}
    numbers = count(1)
    first = {one.name: _numbered(one, numbers, lambda task: task not in apart) for one in every}
    last = {one.name: _numbered(one, numbers, lambda task: task in apart) for one in every}
    return {name: (*first[name], *last[name]) for name in first}


def _numbered(
    framework: Framework, numbers: Iterator[int], wanted: Callable[[str | None], bool]
) -> tuple[tuple[int, Deviation], ...]:
    return tuple((next(numbers), one) for one in framework.deviations if wanted(one.task))


def locked_version(lock: Path, package: str) -> str | None:
    """The version of a package in a lock, the last where there are several; None where it is not locked.

    It is looked for in the form that uv writes: to parse all locks takes longer than all else that `bakeoff list` does.
    """
    with _read(lock) as text:
        found = re.findall(rf'^\[\[package\]\]\nname = "{re.escape(package)}"\nversion = "([^"\n]+)"$', text, re.M)
        if found:
            return str(found[-1])
        try:
            versions = {one["name"]: one.get("version") for one in files.toml_in(text).get("package", [])}
        except (AttributeError, KeyError, TypeError):
            raise ValueError("package must be tables, each with a name") from None
        found_version = versions.get(package)
        return found_version if isinstance(found_version, str) else None


def _read_toml(path: Path) -> dict[str, Any]:
    with _read(path) as text:
        return files.toml_in(text)


@contextlib.contextmanager
def _read(path: Path) -> Iterator[str]:
    """The text of a TOML file. Raises `Mistake` where it cannot be read, or what is done with it finds that it is no
    TOML."""
    try:
        yield files.read_text(path)
    except OSError as error:
        raise Mistake(f"{_shown(path)}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise Mistake(f"{_shown(path)}: is not valid TOML: {error}") from None


def _shown(path: Path) -> str:
    """`implementations/<framework>/<file>`, wherever the checkout is."""
    return path.relative_to(path.parents[2]).as_posix()


def hardened(task: str) -> str:
    """The name of a task's second module, if there is one: with the framework's own means against faults."""
    return f"hardened/{task}"


def implementation_path(folder: Path, module: str) -> Path:
    """Where the framework of `folder` has a module: that of a task, or a `hardened` one. The file may not exist."""
    return folder / f"{module}.py"


def implements(framework: Framework, module: str) -> bool:
    """Whether the framework's folder has the module of a task, or a `hardened` one."""
    return implementation_path(framework.folder, module).is_file()


def lacking(framework: Framework, tasks: Iterable[str]) -> dict[str, str | None]:
    """Those of the tasks that the framework does not implement, and the reason where its metadata give one."""
    return {task: framework.not_implemented.get(task) for task in tasks if not implements(framework, task)}


def lacking_in_words(frameworks: Iterable[Framework], tasks: Iterable[str]) -> list[str]:
    """A line for each of the tasks that not all of the frameworks implement: who does not, and why."""
    who: dict[str, list[str]] = {task: [] for task in tasks}
    for framework in dict.fromkeys(frameworks):
        for task, why in lacking(framework, who).items():
            who[task].append(f"{framework.name} ({why})" if why else framework.name)
    return [f"{task} is not implemented by {', '.join(dict.fromkeys(names))}" for task, names in who.items() if names]
