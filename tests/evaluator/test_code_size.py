import pytest

from evaluator.code_size import source_lines

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
