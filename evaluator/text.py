"""Text for people, and Markdown."""

import html
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def shortened(text: str, limit: int) -> str:
    """The text on one line, cut after `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def shown_path(path: Path) -> str:
    """The path as a person would type it here: relative to the working directory where it lies below that."""
    path = path.resolve()
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def duration(seconds: float) -> str:
    """A time given in seconds, in whole seconds, in minutes or in hours: `45 s`, `12 min`, `1.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def escape(text: str, limit: int = 300) -> str:
    """Untrusted text for one line of Markdown: no markup, no HTML, cut after `limit` characters."""
    return re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", html.escape(shortened(text, limit), quote=False))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 0, names: int = 1) -> str:
    """A Markdown table; if it has several columns, all but the first `names` and last `text_columns` hold numbers."""
    numbers = len(header) - names - text_columns if len(header) > 2 else 0
    rule = [*["---"] * names, *["---:"] * numbers, *["---"] * (len(header) - names - numbers)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def raised(text: str | None) -> str:
    """Superscript, or nothing."""
    return f"<sup>{text}</sup>" if text else ""


def bullets(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)
