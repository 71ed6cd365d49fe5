"""Takes pictures of a terminal while a command runs in it.

`uv run --with pyte python docs/terminal.py FOLDER NAME=TEXT … -- COMMAND` runs the command in a terminal of its own and
writes `FOLDER/NAME.svg`, and the same as text, when TEXT first stands on the screen, and `FOLDER/end.svg` at the end.
For example, what a newcomer sees in the first ten minutes:

    uv run --with pyte python docs/terminal.py pictures \\
        table="scripted · 2 of" round="local · 1 of" -- uv run bakeoff run
"""

import io
import os
import pty
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 100, 50


def _picture(screen: pyte.Screen, title: str, path: Path) -> None:
    """Write what is on the screen as SVG and as text."""
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text("\n".join(lines)))
    path.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(path), title=title)
    path.with_suffix(".txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives its exit code."""
    split = arguments.index("--")
    folder, *moments = arguments[:split]
    command = list(arguments[split + 1 :])
    waiting = dict(moment.split("=", 1) for moment in moments)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLUMNS=str(COLUMNS), LINES=str(ROWS), TERM="xterm-256color")
        os.execvp(command[0], command)
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    start = time.monotonic()

    def take(name: str) -> None:
        _picture(screen, f"{' '.join(command)} · after {time.monotonic() - start:.0f} s", Path(folder) / f"{name}.svg")

    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # how Linux says that nobody writes there any more
            break
        if not data:
            break
        stream.feed(data)
        text = "\n".join(screen.display)
        for name in [name for name, words in waiting.items() if words in text]:
            take(name)
            del waiting[name]
    take("end")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
