"""Two implementations of one task side by side: their parts, their lines set opposite one another, and the terminal."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from evaluator import files
from evaluator.catalog.code_size import source_lines
from evaluator.catalog.frameworks import Deviation, Framework, implementation_path, lacking_in_words
from evaluator.catalog.tasks import Task
from evaluator.errors import Mistake
from evaluator.text import visible

ABOUT, IMPORTS, MODEL, AGENTS, ANSWER, HELPERS = PARTS = (
    "About",
    "Imports",
    "The model",
    "Agents and tools",
    "Run and answer",
    "Helpers",
)
"""The parts of an implementation, in their order. An implementation need not have all of them."""

SIDE_BY_SIDE_COLUMNS = 120
"""A narrower console gets the parts of one implementation under those of the other."""


@dataclass(frozen=True)
class Row:
    """A line of the left implementation opposite one of the right, counted from 1; None where there is none.

    `same` tells that the two say the same but for indentation and a comma at the end.
    """

    left: int | None
    right: int | None
    same: bool = False


@dataclass(frozen=True)
class Section:
    """One part of both implementations."""

    name: str
    rows: tuple[Row, ...]


# --- parts -----------------------------------------------------------------------------------


def parts(source: str) -> dict[str, list[int]]:
    """The lines of each part of an implementation, counted from 1, in the order of `PARTS`.

    `run` is cut in three: up to where the model is set up, up to the last statement that waits for something, which
    is the one that runs the agent, and the rest. Whatever is neither docstring, import nor `run` is a helper. Comments
    and decorators belong to what follows them. Blank lines at the ends of a part are left out. Raises `SyntaxError`.
    """
    lines = source.splitlines()
    starts = [(_first_line(node, lines), name) for node, name in _named(ast.parse(source).body)]
    found: dict[str, list[int]] = {}
    for (first, name), (after, _) in pairwise([*starts, (len(lines) + 1, "")]):
        found.setdefault(name, []).extend(range(first, after))
    return {name: _without_blank_ends(found[name], lines) for name in PARTS if name in found}


def _named(module: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """The statements with which a part begins or goes on, and its name."""
    for number, node in enumerate(module):
        match node:
            case ast.Expr(value=ast.Constant()) if number == 0:
                yield node, ABOUT
            case ast.Import() | ast.ImportFrom():
                yield node, IMPORTS
            case ast.AsyncFunctionDef(name="run"):
                yield node, MODEL
                agents, answer = _cuts(node.body)
                if agents < answer:
                    yield node.body[agents], AGENTS
                yield node.body[answer], ANSWER
            case _:
                yield node, HELPERS


def _cuts(run: Sequence[ast.stmt]) -> tuple[int, int]:
    """Where in the body of `run` the agents begin, and where the statement that runs them stands."""
    model = next((i for i, node in enumerate(run) if _mentions(node, "base_url")), None)
    agents = 0 if model is None or _mentions(run[model], "instructions") else model + 1
    waiting = [i for i, node in enumerate(run) if _waits(node)]
    return agents, waiting[-1] if waiting else len(run) - 1


def _mentions(node: ast.stmt, attribute: str) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == attribute for part in ast.walk(node))


def _waits(node: ast.stmt) -> bool:
    """Whether the statement itself waits; a function that is only defined does not."""
    if isinstance(node, ast.AsyncFunctionDef):
        return False
    return any(
        isinstance(part, ast.Await | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(part, ast.comprehension) and part.is_async)
        for part in ast.walk(node)
    )


def _first_line(node: ast.stmt, lines: Sequence[str]) -> int:
    """The line where a statement begins, with the decorators and comments that belong to it."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(one.lineno for one in decorators)])
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first


def _without_blank_ends(numbers: Sequence[int], lines: Sequence[str]) -> list[int]:
    filled = [i for i, number in enumerate(numbers) if lines[number - 1].strip()]
    return list(numbers[filled[0] : filled[-1] + 1]) if filled else []


# --- rows ------------------------------------------------------------------------------------


def sections(left: str, right: str) -> list[Section]:
    """The parts of two implementations, their lines set opposite one another.

    Within a part, lines that say the same stand opposite one another; what lies between them begins at the same
    height. Raises `SyntaxError`.
    """
    ours, theirs = parts(left), parts(right)
    of_left, of_right = left.splitlines(), right.splitlines()
    return [
        Section(name, tuple(_rows(ours.get(name, []), theirs.get(name, []), of_left, of_right)))
        for name in PARTS
        if name in ours or name in theirs
    ]


def _rows(ours: Sequence[int], theirs: Sequence[int], left: Sequence[str], right: Sequence[str]) -> Iterator[Row]:
    a = [_said(left[number - 1]) or ("left", number) for number in ours]
    b = [_said(right[number - 1]) or ("right", number) for number in theirs]
    i = j = 0
    for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
        for one, other in zip_longest(ours[i : block.a], theirs[j : block.b]):
            yield Row(one, other)
        i, j = block.a + block.size, block.b + block.size
        for one, other in zip(ours[block.a : i], theirs[block.b : j], strict=True):
            yield Row(one, other, same=True)


def _said(line: str) -> str | None:
    """What a line says; None where that is too little to be called the same: a bracket, `else:`, nothing."""
    said = line.strip().removesuffix(",")
    return said if len(re.findall(r"\w+", said)) >= 2 else None


# --- one side --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """A framework's implementation of a task. `deviations` are the numbered ones that concern the task."""

    framework: Framework
    source: str
    source_lines: int
    by_hand: bool
    deviations: tuple[tuple[int, Deviation], ...]


def read_side(framework: Framework, task: Task, deviations: Iterable[tuple[int, Deviation]]) -> Side:
    """The implementation of `task`; `deviations` are all of the framework's. Raises `Mistake`."""
    path = implementation_path(framework.folder, task.module)
    shown = path.relative_to(path.parents[2]).as_posix()
    if not path.exists():
        raise Mistake("; ".join(lacking_in_words([framework], [task.module])))
    try:
        source = files.read_text(path)
        lines = source_lines(source)
    except OSError as error:
        raise Mistake(f"{shown}: cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise Mistake(f"{shown}:{error.lineno}: is not valid Python: {error.msg}") from None
    except ValueError as error:  # not UTF-8, or has null bytes
        raise Mistake(f"{shown}: is not valid Python: {error}") from None
    return Side(
        framework=framework,
        source=source,
        source_lines=lines,
        by_hand=task.module in framework.by_hand,
        deviations=tuple((number, one) for number, one in deviations if one.task in (None, task.name, task.module)),
    )


# --- terminal --------------------------------------------------------------------------------


def print_side_by_side(console: Console, task: str, left: Side, right: Side) -> None:
    """Print two implementations of `task`, then their deviations; what both say alike is dimmed."""
    console.rule(Text(task, style="bold"))
    if console.width >= SIDE_BY_SIDE_COLUMNS:
        console.print(_beside(left, right))
    else:
        console.print(_one_under_the_other(left, right))
    for side in (left, right):
        console.print(Text.assemble("\n", _title(side)))
        if not side.deviations:
            console.print("no deviations from the spec")
        table = _grid()
        for number, deviation in side.deviations:
            table.add_row(f"{number}.", Text(deviation.note))
        console.print(table)
    console.print()


def _beside(left: Side, right: Side) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="")
    for side in (left, right):
        table.add_column(justify="right", style="dim", width=3)
        table.add_column(_title(side), ratio=1, overflow="fold")
    of_left, of_right = _highlighted(left.source), _highlighted(right.source)
    for section in sections(left.source, right.source):
        table.add_row()
        table.add_row("", Text(section.name, style="bold"))
        for row in section.rows:
            table.add_row(*_line(row.left, of_left, row.same), *_line(row.right, of_right, row.same))
    return table


def _one_under_the_other(left: Side, right: Side) -> Table:
    table = _grid()
    codes = [_highlighted(side.source) for side in (left, right)]
    for section in sections(left.source, right.source):
        table.add_row()
        table.add_row("", Text(section.name, style="bold"))
        both = ([row.left for row in section.rows], [row.right for row in section.rows])
        for side, code, numbers in zip((left, right), codes, both, strict=True):
            table.add_row("", Text(side.framework.title, style="italic"))
            for number in filter(None, numbers):
                table.add_row(*_line(number, code, same=False))
    return table


def _grid() -> Table:
    """A column of numbers, and one that takes the rest."""
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(justify="right", style="dim", width=4)
    table.add_column(ratio=1, overflow="fold")
    return table


def _title(side: Side) -> Text:
    by_hand = ", by hand: the framework has no facility for it" if side.by_hand else ""
    name = side.framework.title if side.framework.at else f"{side.framework.title} {side.framework.version}"
    return Text.assemble((name, "bold"), f"  {side.source_lines} source lines{by_hand}")


def _highlighted(source: str) -> list[Text]:
    syntax = Syntax(source, "python", theme="ansi_dark", background_color="default")
    return list(syntax.highlight(visible(source)).split("\n", allow_blank=True))


def _line(number: int | None, code: Sequence[Text], same: bool) -> tuple[str, Text]:
    if number is None:
        return "", Text()
    text = code[number - 1].copy()
    if same:
        text.stylize("dim")
    return str(number), text
