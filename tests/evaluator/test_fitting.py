"""Tables in consoles of any width."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group, RenderableType
from rich.table import Table

from evaluator.fitting import Fitted

FRAMEWORKS = ("OpenAI client only", "Microsoft Agent Framework", "Agno")
FIGURES = ("passed", "pass rate", "wall p50", "prompt tokens")


def table(title: str = "local · all tasks") -> Table:
    made = Table("framework", *FIGURES, "note", title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in FRAMEWORKS:
        made.add_row(
            name, "10/13", "77% [54–100]", "20.0 s", "1,393", "It is told at https://example.org/a/long/address"
        )
    return made


def printed(what: RenderableType, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def left_out(lines: list[str]) -> list[str]:
    _, _, named = " ".join(" ".join(lines).split()).partition("for a wider terminal: ")
    return [name.strip() for name in named.split(",") if name]


@pytest.mark.parametrize("width", [129, 200])
def test_where_there_is_room_the_table_is_as_it_was(width: int) -> None:
    assert printed(Fitted(table(), text=[5]), width) == printed(table(), width)


def test_text_is_folded_before_a_column_goes_and_names_are_before_that() -> None:
    lines = printed(Fitted(table(), text=[5]), 96)
    assert left_out(lines) == [] and any("Microsoft Agent Framework" in line for line in lines)
    lines = printed(Fitted(table(), text=[5]), 88)
    assert left_out(lines) == [] and any(line.startswith("Microsoft Agent  ") for line in lines)


def test_the_least_important_columns_go_and_are_named() -> None:
    lines = printed(Fitted(table(), text=[5]), 40)
    assert left_out(lines) == ["pass rate", "wall p50", "prompt tokens", "note"]
    assert [line[:25].strip() for line in lines[2:5]] == list(FRAMEWORKS)
    assert left_out(printed(Fitted(table(), order=(3, 1, 2, 4, 5)), 40))[0] == "passed"


def test_a_second_column_of_names_stays_too() -> None:
    made = Table("framework", "model", "passed", box=None, padding=(0, 1, 0, 0))
    made.add_row("Microsoft Agent Framework", "local-0.5b", "10/13")
    for width in (30, 36, 44):
        assert any("local-0.5b" in line for line in printed(Fitted(made, names=2), width))
    assert left_out(printed(Fitted(made, names=2), 36)) == []
    assert left_out(printed(Fitted(made, names=2), 30)) == ["passed"]


def test_a_title_keeps_its_names_whole_above_a_table_that_has_become_small() -> None:
    model = "gguf-Qwen3-4B-Q4_K_M-1a2b3c4d"
    made = Table("case", "a long heading of figures", title=f"{model} · all tasks", box=None)
    made.add_row("a", "1")
    assert printed(Fitted(made), 30)[0].startswith(model)


def test_it_fits_inside_of_other_things() -> None:
    grid = Table.grid()
    grid.add_row(Group(Fitted(table()), "Whole rounds only."))
    assert all(len(line) <= 40 for line in printed(grid, 40))
    assert any("Microsoft Agent Framework" in line for line in printed(grid, 40))


NAME = st.text("abcdef", min_size=1, max_size=12)
WORDS = st.lists(NAME, min_size=1, max_size=3).map(" ".join)


@given(
    st.integers(20, 130),
    st.lists(st.tuples(WORDS, WORDS, NAME, NAME, WORDS), min_size=1, max_size=4),
    st.sampled_from([(), (1,), (1, 4)]),
)
def test_no_word_is_broken_or_cut_and_no_line_is_too_long(
    width: int, rows: list[tuple[str, ...]], text: tuple[int, ...]
) -> None:
    headings = ("framework", "task", "wall", "calls", "tokens")
    made = Table(*headings, box=None, padding=(0, 1, 0, 0))
    for row in rows:
        made.add_row(*row)
    lines = printed(Fitted(made, text=text), width)
    kept = [i for i, heading in enumerate(headings) if heading not in left_out(lines)]
    shown = " ".join(lines).split()
    assert 0 in kept and all(len(line) <= width for line in lines)
    assert "…" not in shown
    assert all(word in shown for row in rows for i in kept for word in row[i].split())
