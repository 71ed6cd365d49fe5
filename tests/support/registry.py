"""A registry of one package, and a `uv` that locks and installs it without a network."""

import stat
import sys
from dataclasses import dataclass
from pathlib import Path

RELEASES = {"1.0.0": "2026-01-10", "1.1.0": "2026-02-20", "2.0.0": "2026-03-05"}
"""The versions of the package `fake`, and the days on which they came out."""

_UV = """\
#!{python}
import re, sys, tomllib
from pathlib import Path

RELEASES = {releases!r}
command, options = sys.argv[1], sys.argv[2:]
with open({called!r}, "a") as called:
    print(Path.cwd().name, *sys.argv[1:], file=called)
if command == "lock":
    until = options[options.index("--exclude-newer") + 1] if "--exclude-newer" in options else "9999"
    [asked] = tomllib.loads(Path("pyproject.toml").read_text())["project"]["dependencies"]
    pinned = asked.partition("==")[2]
    fitting = [one for one, day in RELEASES.items() if day <= until and pinned in ("", one)]
    if not fitting:
        print("error: No solution found when resolving dependencies:", file=sys.stderr)
        conclusion = "we can conclude that your project's requirements are unsatisfiable."
        because = f"there are no versions of {{asked}} and your project depends on it"
        print(f"  cause: Because {{because}}, {{conclusion}}", file=sys.stderr)
        sys.exit(1)
    Path("uv.lock").write_text(
        f'[[package]]\\nname = "fake"\\nversion = "{{fitting[-1]}}"\\nsource = {{{{ registry = "x" }}}}\\n'
        f'sdist = {{{{ upload-time = "{{RELEASES[fitting[-1]]}}T10:00:00Z" }}}}\\n'
    )
if command == "sync":
    project = Path(options[options.index("--project") + 1])
    version = re.search('version = "(.*)"', (project / "uv.lock").read_text())[1]
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\\nFAKE_VERSION={{version}} exec "{python}" "$@"\\n')
    python.chmod(0o755)
"""


@dataclass(frozen=True)
class Registry:
    """Where the `uv` is, and how it was called: the folder in which, then the arguments, a line each."""

    uv: Path
    called: Path

    @property
    def calls(self) -> list[str]:
        """The calls so far."""
        return self.called.read_text().splitlines() if self.called.exists() else []


def registry(folder: Path) -> Registry:
    """A `uv` in this folder. What it installs is the Python that runs here, with the version in `FAKE_VERSION`."""
    uv, called = folder / "uv", folder / "called"
    uv.write_text(_UV.format(python=sys.executable, releases=RELEASES, called=str(called)))
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    return Registry(uv, called)
