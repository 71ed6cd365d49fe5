"""A framework's folder as files, with all that its metadata can have."""

from pathlib import Path

PYPROJECT = """\
[project]
name = "bakeoff-x"
[tool.bakeoff]
title = "X"
homepage = "https://example.org/x"
package = "x-agents"
by_hand = ["rag_qa"]
[tool.bakeoff.env]
X_TELEMETRY = "off"
[[tool.bakeoff.deviations]]
task = "handoff"
note = "The specialist sees only one sentence."
"""
LOCK = """\
version = 1
[[package]]
name = "other"
version = "9"
[[package]]
name = "x-agents"
version = "1.2.3"
"""


def make_framework(root: Path, name: str, pyproject: str = PYPROJECT, lock: str | None = LOCK) -> Path:
    folder = root / "implementations" / name
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(pyproject)
    if lock is not None:
        (folder / "uv.lock").write_text(lock)
    return folder
