"""Turns data into pages: the template engine, text that is safe to look at, links, and file names."""

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markdown_it import MarkdownIt
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from evaluator.analysis.faults.report import signed
from evaluator.analysis.models import in_words, shown
from evaluator.analysis.parity.report import per_call
from evaluator.scorecard import count, seconds
from evaluator.scorecard.words import per_1000_runs, per_1000_runs_on, percent
from evaluator.text import visible
from evaluator.trace import Key

_LONGEST_NAME = 100


def slug(text: str) -> str:
    """A name for a file or folder that no text can lead out of its folder with, and no two texts share.

    Letters, digits, `-`, `_` and dots within stay, a slash becomes `+`, and all else its code in hex between `~`.
    """
    name = re.sub(r"[^A-Za-z0-9._-]|^\.", lambda match: _spelled(match[0]), text) or "~"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _spelled(character: str) -> str:
    return "+" if character == "/" else f"~{ord(character):x}~"


def case_page(model: str, task: str, case: str) -> str:
    """The page that has one case across frameworks, as a path below the site."""
    return f"cases/{slug(model)}/{slug(task)}/{slug(case)}.html"


def run_page(key: Key) -> str:
    """Where a run is shown: the page of its case, with the run in its hash."""
    return f"{case_page(key.model, key.task, key.case)}{run_place(key)}"


def run_place(key: Key) -> str:
    """Where a run is shown, from the page of its case."""
    return f"#{run_name(key)}"


def run_name(key: Key) -> str:
    """What a run is called on the page of its case."""
    return f"{slug(key.framework)}.{key.trial}"


def framework_page(name: str) -> str:
    """The page with all runs of a framework with faults, as a path below the site."""
    return f"faults/{slug(name)}.html"


def heat(part: int, whole: int) -> str:
    """The class of a cell that shows a share: one of ten steps."""
    return f"heat-{10 * part // whole}"


def embedded(data: Any) -> str:
    """Data as JSON, compressed, in letters and digits that can stand anywhere in a page and mean nothing there.

    A page of a case takes a fifth of what it would without. The same data give the same bytes, as long as zlib is the
    same.
    """
    return base64.b64encode(gzip.compress(orjson.dumps(data), mtime=0)).decode()


_PLAIN = re.compile(r'<span class="(?:n|nn|nb|nc|ne|p|o|w|mi|bp|vm)">([^<]*)</span>')
"""Names, signs and numbers, which have the colour of the text: three of four tokens."""


def highlighted(source: str) -> list[Markup]:
    """Python source as HTML, line by line, with Pygments' short class names."""
    code = highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    code = _PLAIN.sub(r"\1", code)
    return [Markup(line) for line in code.split("\n")]


def documentation(text: str) -> Markup:
    """A docstring of ours, which is Markdown, as HTML."""
    return Markup(MarkdownIt("commonmark", {"html": False}).render(text))


@pass_context
def _to(context: Context, path: str) -> str:
    """The link from the page that is being made to another file of the site."""
    return "../" * str(context["page"]).count("/") + path


def environment() -> Environment:
    """The template engine: everything is escaped, and a name that is missing is an error."""
    env = Environment(
        loader=PackageLoader("evaluator.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters.update(visible=visible, seconds=seconds, count=count, per_call=per_call)
    env.filters.update(
        per_1000_runs=per_1000_runs, per_1000_runs_on=per_1000_runs_on, percent=percent, in_words=in_words, shown=shown
    )
    env.globals.update(to=_to, run_page=run_page, run_place=run_place, run_name=run_name, case_page=case_page)
    env.globals.update(framework_page=framework_page, heat=heat, signed=signed)
    return env


class Pages:
    """Writes pages and files below a folder. Every template knows what is `shared`."""

    def __init__(self, folder: Path, shared: Mapping[str, Any]) -> None:
        self._folder = folder
        self._env = environment()
        self._env.globals.update(shared)

    def add(self, page: str, template: str, data: Mapping[str, Any]) -> None:
        """Write the page at the path `page`."""
        self.write(page, self._env.get_template(template).render(page=page, **data))

    def write(self, path: str, content: str) -> None:
        """Write a file of text."""
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8", newline="\n")
