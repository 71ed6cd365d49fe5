import pytest

from evaluator.catalog.code_size import CodeSize, code_size, source_lines, total_size

SOURCE = '''\
"""A module
docstring."""

# a comment
import os  # a comment beside code


class A:
    """One line."""

    def method(self) -> str:
        """Several

        lines.
        """
        # another comment
        return f"""a
        {os.sep}

        b"""


async def f(
    a: int,

    b: int,
) -> str:
    "Docstring."
    "a string, but no docstring"
    return "x" \\
        "y"
'''


def test_source_lines() -> None:
    # import, class, method, 4 of the text, 4 of the signature of f, the string, 2 of the return
    assert source_lines(SOURCE) == 1 + 1 + 1 + 4 + 4 + 1 + 2


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("", 0),
        ("# only a comment\n", 0),
        ('"""Only a docstring."""\n', 0),
        ('def f(): "docstring beside code"\n', 1),
        ("x = 1; y = 2", 1),
        ('x = """a\n\nb"""\n', 3),
        ("def f():\n    'é'; return 'ü'\n", 2),
        ("x = 1\nmodel.report_usage(\n    x,\n    x,\n)\n", 1),
        ("x = model.report_usage(1, 2)\n", 1),
        ("import a  # for report_usage\nimport b  # not for report_usage\n", 1),
    ],
)
def test_small_sources(source: str, lines: int) -> None:
    assert source_lines(source) == lines


def test_comments_blank_lines_and_docstrings_are_free() -> None:
    bare = "def f():\n    return 1\n"
    dressed = '# why\n\ndef f():\n    """What."""\n\n    # how\n    return 1  # one\n\n'
    assert source_lines(bare) == source_lines(dressed) == 2


def test_broken_source() -> None:
    with pytest.raises(SyntaxError):
        source_lines("def f(:\n")


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        ("", 0),
        ("x = 1  # one\n", 3),
        ('"""Docstring."""\nx = f"a {b + c} d"\n', 3),
        ("f(\n    a,\n)\n", 5),
        ("model.report_usage(1)\nx\n", 1),
    ],
)
def test_tokens(source: str, tokens: int) -> None:
    assert code_size(source).tokens == tokens


@pytest.mark.parametrize(
    ("source", "branches"),
    [
        ("x = 1\n", 0),
        ("if a:\n    b\nelif c:\n    d\nelse:\n    e\n", 2),
        ("x = a if b else c\n", 1),
        ("for a in b:\n    while c:\n        d\n", 2),
        ("try:\n    a\nexcept B:\n    c\nexcept D:\n    e\n", 2),
        ("x = a and b and c or d\n", 3),
        ("x = [a for a in b if c if d]\n", 3),
        ("x = {a: b for a in c for b in d}\n", 2),
        ("match a:\n    case 1:\n        b\n    case _:\n        c\n", 2),
        ("model.report_usage(sum(x for x in y if x))\n", 0),
    ],
)
def test_branches(source: str, branches: int) -> None:
    assert code_size(source).branches == branches


NAMES = """\
import asyncio
import a.b
import c.d as e
from tasks.base import Model
from f.g import H, i as j
from . import k

async def run(brief, model: Model) -> str:
    h = H(e.x.y, a.b.z, j.one)
    await asyncio.sleep(h.attribute)
    return j.one or Model.name
"""


def test_framework_names() -> None:
    assert code_size(NAMES).framework_names == {
        *("a", "a.b", "a.b.z", "c.d", "c.d.x", "c.d.x.y"),
        *("f.g.H", "f.g.i", "f.g.i.one"),
    }


def test_several_implementations_together() -> None:
    one, two = code_size("import a\na.b\n"), code_size("import a\na.c if a else 1\n", by_hand=True)
    names = frozenset({"a", "a.b", "a.c"})
    tokens = 5 + 9
    assert total_size([one, two]) == CodeSize(4, tokens, 1, names, lines_by_hand=2)
