"""Finds the tasks and the frameworks by their folders, and digests of what a result depends on."""

import hashlib
import importlib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluator import ROOT
from tasks.base import Case, Outcome, Prepared, Script
from tasks.grading import Grade

TASKS = ROOT / "tasks"
IMPLEMENTATIONS = ROOT / "implementations"
BASELINE = "baseline"


class MetadataError(ValueError):
    """A framework's `pyproject.toml` or `uv.lock` cannot be used. The message names file and field."""


@dataclass(frozen=True)
class Task:
    """One folder of `tasks/`: what its `spec.py` and `grade.py` define.

    `load_documents` is there where implementations index documents; each has its text in `passage`.
    """

    name: str
    folder: Path
    case_type: type[Case]
    load: Callable[[], list[Any]]
    prepare: Callable[..., Prepared]
    script: Callable[[Any], Script]
    grade: Callable[[Any, Outcome], Grade]
    load_documents: Callable[[], list[Any]] | None = None

    def read_case(self, case: Mapping[str, Any]) -> Any:
        """The case of this task that a trace holds. Raises `pydantic.ValidationError` for one that is none.

        Runs of the same case share it: cases cannot be changed, and reading one plays it through.
        """
        return _read_case(self.case_type, orjson.dumps(case))

    @property
    def cases(self) -> Path:
        """The file with the cases of this task."""
        return self.folder / "cases.jsonl"


@lru_cache(maxsize=256)
def _read_case(case_type: type[Case], content: bytes) -> Case:
    return case_type.model_validate(orjson.loads(content))


class Deviation(BaseModel):
    """Where an implementation cannot follow a task's spec, in words; without a task, in all of them.

    `differences` names what it explains, with the names that `bakeoff parity` prints; `*` stands for any characters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str | None = None
    note: str = Field(min_length=1)
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Framework:
    """One folder of `implementations/`.

    `by_hand` names the tasks for which the framework has no facility of its own. `version` is the
    locked version of the framework's `package`. `env` holds environment variables for its workers:
    telemetry off, and the like.
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


class _Metadata(BaseModel):
    """The table `[tool.bakeoff]` of a framework's `pyproject.toml`."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1)
    homepage: str = Field(pattern=r"^https?://\S+$")
    package: str = Field(min_length=1)
    by_hand: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    env: dict[str, str] = {}


def tasks(folder: Path = TASKS) -> dict[str, Task]:
    """Every task by name, sorted: the folders of the package `tasks` that have a `spec.py`."""
    names = sorted(path.parent.name for path in folder.glob("*/spec.py"))
    return {name: _task(folder / name) for name in names}


def _task(folder: Path) -> Task:
    spec = importlib.import_module(f"tasks.{folder.name}.spec")
    return Task(
        name=folder.name,
        folder=folder,
        case_type=spec.CASE_TYPE,
        load=spec.load,
        prepare=spec.prepare,
        script=spec.script,
        grade=importlib.import_module(f"tasks.{folder.name}.grade").grade,
        load_documents=getattr(spec, "load_documents", None),
    )


def framework_folders(implementations: Path = IMPLEMENTATIONS) -> list[Path]:
    """The folders that have a `pyproject.toml`, the baseline first, the others by name."""
    folders = (path.parent for path in implementations.glob("*/pyproject.toml"))
    return sorted(folders, key=lambda folder: baseline_first(folder.name))


def baseline_first(name: str) -> tuple[bool, str]:
    """Key that sorts frameworks by name after the baseline."""
    return name != BASELINE, name


def frameworks(implementations: Path = IMPLEMENTATIONS) -> dict[str, Framework]:
    """Every framework by name, the baseline first. Raises `MetadataError`."""
    return {folder.name: read_framework(folder) for folder in framework_folders(implementations)}


def usable_frameworks(implementations: Path = IMPLEMENTATIONS) -> tuple[dict[str, Framework], dict[str, str]]:
    """The frameworks whose metadata can be used, by name, and a note for each whose cannot."""
    usable, broken = {}, {}
    for folder in framework_folders(implementations):
        try:
            usable[folder.name] = read_framework(folder)
        except MetadataError as error:
            broken[folder.name] = str(error)
    return usable, broken


def read_framework(folder: Path) -> Framework:
    """The framework of one folder, without importing it. Raises `MetadataError`."""
    pyproject, lock = folder / "pyproject.toml", folder / "uv.lock"
    table = _read_toml(pyproject).get("tool", {}).get("bakeoff", {})
    try:
        metadata = _Metadata.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["tool.bakeoff", *(str(part) for part in first["loc"])])
        raise MetadataError(f"{_shown(pyproject)}: {field}: {first['msg']}") from None
    versions = {package["name"]: package.get("version") for package in _read_toml(lock).get("package", [])}
    version = versions.get(metadata.package)
    if version is None:
        raise MetadataError(f"{_shown(lock)}: package: {metadata.package!r} (tool.bakeoff.package) is not locked")
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
    )


def numbered_deviations(frameworks: Iterable[Framework]) -> dict[str, tuple[tuple[int, Deviation], ...]]:
    """The deviations of each framework by its name, those of all frameworks numbered from 1 in the order given."""
    numbers = count(1)
    return {framework.name: tuple((next(numbers), one) for one in framework.deviations) for framework in frameworks}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MetadataError(f"{_shown(path)}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # tomllib.TOMLDecodeError, which names the line, or UnicodeDecodeError
        raise MetadataError(f"{_shown(path)}: is not valid TOML: {error}") from None


def _shown(path: Path) -> str:
    """`implementations/<framework>/<file>`, wherever the checkout is."""
    return path.relative_to(path.parents[2]).as_posix()


def digest_of(paths: Iterable[Path], root: Path = ROOT) -> str:
    """16 hex digits of a SHA-256 over the files' names relative to `root` and their contents.

    The order of `paths` does not matter. Raises `OSError` where a file cannot be read.
    """
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in paths):
        content = path.read_bytes()
        digest.update(f"{len(name.encode())} {len(content)} {name}".encode() + content)
    return digest.hexdigest()[:16]


def implementation_path(folder: Path, task: str) -> Path:
    """Where the framework of `folder` implements `task`; the file may not exist."""
    return folder / f"{task}.py"


def implementation_digest(framework: Framework, task: str) -> str:
    """Digest of the one file that implements `task`."""
    return digest_of([implementation_path(framework.folder, task)], framework.folder)


def lock_digest(framework: Framework) -> str:
    """Digest of the framework's `uv.lock`."""
    return digest_of([framework.folder / "uv.lock"], framework.folder)


def task_digest(task: Task) -> str:
    """Digest of all that a run of `task` depends on but its case: `base.py`, spec, tools, data, corpus.

    The grader is left out, because grading happens afterwards; so are `cases.jsonl`, because a
    trace holds its case, and the README.
    """
    left_out = {"grade.py", "cases.jsonl", "README.md"}
    files = (path for path in task.folder.rglob("*") if path.is_file() and path.name not in left_out)
    kept = (path for path in files if path.parent.name != "__pycache__" and not path.name.startswith("."))
    base = task.folder.parent / "base.py"
    return digest_of([base, *kept], task.folder.parent)
