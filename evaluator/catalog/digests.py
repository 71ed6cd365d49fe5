"""Digests of what the result of a run depends on: implementation, lock, task."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from evaluator import ROOT, files
from evaluator.catalog.frameworks import Framework, implementation_path
from evaluator.catalog.tasks import Task

MOVED = {
    "ce55770601b25cfe": "2f28cc44c4f2e944",
    "593d8d8d9bd55fd8": "842842d14d4d763e",
    "7b4c779196153223": "62bfa0b2f7b77d0b",
    "abbd0ab8647660e7": "5cc5247bc4453d87",
    "2c26885ba887e848": "36819f7cc58f911a",
    "11e2fc876b5c59b7": "53d263f104e63cbb",
    "064a2f6b1d79b54d": "4d321b9fd66b3807",
    "d03222a371415f0f": "92ee28c6114f0d9c",
    "899df5085987e081": "eb47e8d79d2f0f33",
    "85b4468fd1549999": "fafad936b8ab4c7e",
    "657556ecf0771ddd": "f3aedd170f6df75a",
    "c1b796fb3851359c": "4170dbc411b9d150",
    "0352e7d64718520a": "03a8191b644ecdf9",
    "26b2c1f49e7d7404": "22f52503ba6a6b40",
    "d7afa46771046479": "a324a3280fce3a27",
    "1328ee0a1a22acdf": "07212e7127e4a6a0",
    "4c49097af8fd978d": "9d9aaefabae38c2b",
    "892cb97c2f17cf11": "1893c2ed6e7ae08f",
    "6a59340018d5ea80": "0ae7087bcc85d49f",
}
"""Digests in traces, and what they became when nothing changed that a run depends on. Of tasks and played models, when
lines were only moved: `tasks/cases.py` out of `tasks/base.py`; of suites, when their process came to be started once by
threads that ask at once, and its end to be told from its answers: neither happens to a run that is recorded. Of locks,
when packages for capabilities came to them, and all that were there kept their versions and hashes.

Runs that were recorded before stay good: replayed, they make the same requests (`tests/test_replay.py`). A row goes
when a task changes what a run does.
"""


def digest_of(paths: Iterable[Path], root: Path = ROOT) -> str:
    """16 hex digits of a SHA-256 over the files' names relative to `root` and their contents.

    The order of `paths` does not matter. Raises `OSError` where a file cannot be read.
    """
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in paths):
        content = files.read_bytes(path)
        digest.update(f"{len(name.encode())} {len(content)} {name}".encode() + content)
    return digest.hexdigest()[:16]


def implementation_digest(framework: Framework, module: str) -> str:
    """Digest of the one file that is a task's module."""
    return digest_of([implementation_path(framework.folder, module)], framework.folder)


def lock_digest(environment: Path) -> str:
    """Digest of the `uv.lock` in a folder."""
    return digest_of([environment / "uv.lock"], environment)


def task_digest(task: Task) -> str:
    """Digest of all that a run of `task` depends on but its case: `base.py`, spec, tools, data, corpus.

    What grades or observes and `wire.py` are left out, because that happens afterwards; so are
    `cases.jsonl`, because a trace holds its case, the README, and `probes.py`, unless it is probes that are run.
    """
    left_out = {"grade.py", "observe.py", "wire.py", "probes.py", "cases.jsonl", "README.md"}
    files = (path for path in task.folder.rglob("*") if path.is_file() and path.name not in left_out)
    kept = (path for path in files if not _hidden(path.relative_to(task.folder).parts))
    base = task.folder.parent / "base.py"
    return digest_of([base, *kept, *task.also], task.folder.parent)


def _hidden(parts: tuple[str, ...]) -> bool:
    """Whether a file below a task's folder is none of its own: bytecode, a suite's environment, what editors leave."""
    return any(part == "__pycache__" or part.startswith(".") for part in parts)


def since(digest: str) -> str:
    """The digest that what has the recorded one has today, if lines were only moved since; else the recorded one."""
    return MOVED.get(digest, digest)
