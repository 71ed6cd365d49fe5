"""What is recorded of a framework at many releases: a cell each, all in one file.

`<traces>/history/<framework>.jsonl.xz` has a line a cell, by age. Runs at adjacent releases say nearly the same, and so
take next to nothing beside one another.
"""

import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluator import files
from evaluator.packs import SUFFIX, PackError, unpacked
from evaluator.text import shown_path
from evaluator.trace import DamagedTrace, Trace

FOLDER = "history"
"""The folder below that of traces."""

LOCKED = "locked"
"""The `at` of a cell with the packages that are locked today."""


class NotInstalled(BaseModel):
    """Why there are no runs: the packages of that release do not fit together, or cannot be installed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: Literal["lock", "install"]
    reason: str


class Cell(BaseModel):
    """A framework at one release.

    `at` is a version, a day, `LOCKED`, or `code-` and a month. `day` is the day as of which packages were taken, or on
    which the version came out; of what is locked the day on which the newest package did. `depends_on` is a digest of
    all else that its runs depend on. `packages` are those that were installed, with their versions. `traces` are those
    of the framework, and of the baseline, which took turns with it in the same sitting.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    framework: str
    at: str
    day: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    version: str | None
    depends_on: str
    recorded_at: str
    packages: dict[str, str] = {}
    not_installed: NotInstalled | None = None
    traces: list[Trace] = []


def cells_path(root: Path, framework: str) -> Path:
    """The file with the cells of a framework, below a folder of traces."""
    return root / FOLDER / f"{framework}{SUFFIX}"


def frameworks_with_cells(root: Path) -> list[str]:
    """The frameworks that have cells below a folder of traces, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in (root / FOLDER).glob(f"*{SUFFIX}"))


def read_cells(root: Path, framework: str) -> Iterator[Cell | DamagedTrace]:
    """The cells of a framework by age; a file or line that cannot be used comes with the reason."""
    path = cells_path(root, framework)
    try:
        lines = unpacked(path).splitlines()
    except FileNotFoundError:
        return
    except PackError as error:
        yield DamagedTrace(path, str(error))
        return
    for number, line in enumerate(lines, start=1):
        try:
            cell = Cell.model_validate(orjson.loads(line))
        except (orjson.JSONDecodeError, ValidationError) as error:
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.msg
            yield DamagedTrace(path, f"line {number}: holds no cell: {said}")
            continue
        if cell.framework == framework:
            yield cell
        else:
            yield DamagedTrace(path, f"line {number}: holds a cell of {cell.framework}")


def write_cell(root: Path, cell: Cell) -> None:
    """Put a cell into its framework's file, in place of the one at the same release. Raises `OSError`, `PackError`."""
    others = []
    for one in read_cells(root, cell.framework):
        if isinstance(one, DamagedTrace):
            raise PackError(f"{shown_path(one.path)}: {one.reason}; delete it, and make its cells again")
        if one.at != cell.at:
            others.append(one)
    in_order = sorted([*others, cell], key=lambda one: (one.day, one.at))
    content = b"".join(orjson.dumps(one.model_dump(by_alias=True, mode="json")) + b"\n" for one in in_order)
    files.write_whole(cells_path(root, cell.framework), lzma.compress(content))
