"""Text for people, and Markdown."""

import html
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Cn"}
"""Unicode categories of what a reader would not see, or what would reorder the text around it."""

_KEPT = "\n\t\u200c\u200d"
"""Line breaks and tabs, and the joiners that scripts and emoji need."""

_NOT_ASCII = re.compile(r"[^\n\t\x20-\x7e]")
"""The characters that have to be looked at one by one."""


def visible(text: str) -> str:
    """Untrusted text with every control character spelled out: `⟨U+202E⟩` in place of one that turns text around."""
    return _NOT_ASCII.sub(lambda match: _shown(match[0]), text.replace("\r\n", "\n"))


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    hidden = character not in _KEPT and unicodedata.category(character) in _INVISIBLE
    return f"⟨U+{ord(character):04X}⟩" if hidden else character


def shortened(text: str, limit: int) -> str:
    """Untrusted text on one line, as `visible` shows it, cut after `limit` characters."""
    line = " ".join(visible(text[: 20 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


_COPIES: dict[Path, str] = {}


def show_copy_as(folder: Path, url: str) -> None:
    """Have `shown_path` show a folder that is a copy, and what is in it, as what it is a copy of."""
    _COPIES[Path(os.path.realpath(folder))] = url


def shown_path(path: Path) -> str:
    """The path as a person would type it here: relative to the working directory where it lies below that.

    What lies in a copy of a store is shown at its URL.
    """
    path = Path(os.path.realpath(path))  # which takes a link to itself as it is
    for copy, url in _COPIES.items():
        if path.is_relative_to(copy):
            return "/".join([url, *path.relative_to(copy).parts])
    return path_here(path)


def path_here(path: Path) -> str:
    """An absolute path relative to the working directory, where it lies below that."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def duration(seconds: float) -> str:
    """A time given in seconds, in whole seconds, in minutes or in hours: `45 s`, `12 min`, `1.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def two_digits(number: float) -> str:
    """A number in two significant digits: `0.012`, `1.2`, `1,200`."""
    return f"{Decimal(f'{number:.2g}'):,f}"


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
