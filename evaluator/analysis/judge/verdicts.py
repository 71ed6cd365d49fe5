"""Verdicts as they are kept: one file for each judge and model of runs, a line for each run, beside the traces."""

import codecs
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluator import files
from evaluator.trace import Key, model_folder

Said = Literal["right", "wrong"]

_PREFIX = "judged-by."


class Verdict(BaseModel):
    """What a judge said of one run. `verdict` is None where nothing that it said was understood.

    `judge_digest` is over what decides its answers, as far as it can be known; `judged` over all that it was told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Key
    judge: str = Field(min_length=1)
    judge_digest: str
    judged: str
    verdict: Said | None
    why: str


Verdicts = Mapping[Key, Mapping[str, Verdict]]
"""The latest verdict on each run, by judge."""


@dataclass(frozen=True)
class DamagedLine:
    """A line that cannot be used: its path below the folder of traces with the number of the line, and why."""

    path: str
    reason: str


def verdicts_path(root: Path, model: str, judge: str) -> Path:
    """`<root>/<model>/judged-by.<judge>.jsonl`, with the judge's name as in URLs."""
    return model_folder(root, model) / f"{_PREFIX}{quote(judge, safe='')}.jsonl"


def read_verdicts(root: Path, models: Sequence[str] | None = None) -> tuple[Verdicts, list[DamagedLine]]:
    """All verdicts below `root`, or on runs of some models, by key, and the lines that cannot be used."""
    pattern = f"{_PREFIX}*.jsonl"
    found = (
        root.rglob(pattern)
        if models is None
        else chain.from_iterable(model_folder(root, one).glob(pattern) for one in models)
    )
    verdicts: dict[Key, dict[str, Verdict]] = defaultdict(dict)
    damaged: list[DamagedLine] = []
    for path in sorted(set(found)):
        for one in _read(root, path):
            if isinstance(one, DamagedLine):
                damaged.append(one)
            else:
                verdicts[one.key][one.judge] = one
    return verdicts, damaged


def _read(root: Path, path: Path) -> Iterable[Verdict | DamagedLine]:
    name = path.relative_to(root).as_posix()
    try:
        content = files.read_bytes(path)
    except OSError as error:
        yield DamagedLine(name, f"cannot be read: {error.strerror}")
        return
    for number, line in enumerate(_lines(content), start=1):
        if line.strip():
            read = _verdict(line)
            yield DamagedLine(f"{name}:{number}", read) if isinstance(read, str) else read


def _lines(content: bytes) -> list[bytes]:
    """The lines, without the byte-order mark that an editor may have put before them."""
    return content.removeprefix(codecs.BOM_UTF8).split(b"\n")


def _verdict(line: bytes) -> Verdict | str:
    """What a line says, or why it cannot be used."""
    try:
        return Verdict.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        return f"not valid JSON: {error.msg}"
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}"


def add(root: Path, verdict: Verdict) -> None:
    """Write the verdict behind the others, in one piece. Raises `OSError`."""
    path = verdicts_path(root, verdict.key.model, verdict.judge)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(_line(verdict))


def tidy(root: Path, model: str, judge: str) -> None:
    """Leave the latest verdict of each run in the judge's file, sorted, so that the same verdicts are the same bytes.

    Lines that cannot be used stay behind them, as they are, for whoever can mend them; only what a killed process had
    half written, which no line break ends, goes. Raises `OSError`.
    """
    path = verdicts_path(root, model, judge)
    if not path.exists():
        return
    *lines, last = _lines(files.read_bytes(path))
    read = [(line, _verdict(line)) for line in [*lines, last] if line.strip()]
    latest = {one.key: one for _, one in read if isinstance(one, Verdict)}
    ordered = sorted(latest.values(), key=lambda one: (one.key.task, one.key.case, one.key.framework, one.key.trial))
    damaged = [line + b"\n" for line, one in read if isinstance(one, str) and line is not last]
    files.write_whole(path, b"".join([*map(_line, ordered), *damaged]))


def _line(verdict: Verdict) -> bytes:
    return orjson.dumps(verdict.model_dump(), option=orjson.OPT_APPEND_NEWLINE)
