"""Side by side: the parts of an implementation, its lines opposite those of another, what the terminal shows."""

import io
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from evaluator.catalog.frameworks import (
    BASELINE,
    IMPLEMENTATIONS,
    all_frameworks,
    implementation_path,
    numbered_deviations,
)
from evaluator.catalog.suites import all_suites, as_task
from evaluator.catalog.tasks import all_tasks
from evaluator.compare import (
    PARTS,
    Row,
    parts,
    print_side_by_side,
    read_side,
    sections,
)
from evaluator.errors import Mistake

SOURCES = sorted(path for path in IMPLEMENTATIONS.glob("*/*.py"))
IDS = [f"{path.parent.name}-{path.stem}" for path in SOURCES]

LEFT = '''\
"""About this one."""

import json

from tasks.base import Model


# The limit.
LIMIT = 3


async def run(brief, model):
    # How it connects.
    client = Client(
        base_url=model.base_url,
        key=model.api_key,
    )

    async def search(query):
        return await client.search(query)

    agent = Agent(brief.instructions, tools=[search])
    # Go.
    result = await agent.run(brief.question)
    return result.text


@tool
def helper():
    pass
'''


def test_the_parts_of_an_implementation() -> None:
    assert parts(LEFT) == {
        "About": [1],
        "Imports": [3, 4, 5],
        "The model": list(range(12, 18)),
        "Agents and tools": list(range(19, 23)),
        "Run and answer": [23, 24, 25],
        "Helpers": [8, 9, 10, 11, 28, 29, 30],
    }


def test_a_model_that_is_set_up_inside_the_agent_belongs_to_the_agent() -> None:
    source = """\
    async def run(brief, model):
        agent = Agent(instructions=brief.instructions, url=model.base_url)
        return await agent.run(brief.question)
    """
    found = parts(textwrap.dedent(source))
    assert found == {"The model": [1], "Agents and tools": [2], "Run and answer": [3]}


def test_a_module_without_run_is_all_helpers() -> None:
    assert parts("def other():\n    pass\n") == {"Helpers": [1, 2]}
    assert parts("") == {}


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_every_line_of_code_is_in_one_part(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    found = parts(source)
    numbers = [number for part in found.values() for number in part]
    filled = {number for number, line in enumerate(source.splitlines(), start=1) if line.strip()}
    assert len(numbers) == len(set(numbers))
    assert filled <= set(numbers)
    assert [*found] == [name for name in PARTS if name in found]


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_rows_have_every_line_of_both_in_order(path: Path) -> None:
    left = implementation_path(IMPLEMENTATIONS / BASELINE, path.stem).read_text(encoding="utf-8")
    right = path.read_text(encoding="utf-8")
    rows = [row for section in sections(left, right) for row in section.rows]
    for source, numbers in ((left, [row.left for row in rows]), (right, [row.right for row in rows])):
        lines = [number for part in parts(source).values() for number in part]
        assert [number for number in numbers if number] == lines
    for row in rows:
        if row.same:
            assert row.left and row.right
            ours, theirs = left.splitlines()[row.left - 1], right.splitlines()[row.right - 1]
            assert ours.strip().rstrip(",") == theirs.strip().rstrip(",")


def test_lines_that_say_the_same_stand_opposite_one_another() -> None:
    left = "def f():\n    first(\n        url=model.url,\n    )\n"
    right = "def f():\n    second(\n        other=1,\n        more=2,\n        url=model.url\n    )\n"
    [section] = sections(left, right)
    assert section.rows == (
        Row(1, 1, same=True),
        Row(2, 2),
        Row(None, 3),
        Row(None, 4),
        Row(3, 5, same=True),
        Row(4, 6),  # a bracket is too little to be called the same
    )


def shown(width: int, colour: bool = False) -> str:
    frameworks = all_frameworks()
    numbered = numbered_deviations(frameworks.values())
    task = all_tasks()["handoff"]
    names = list(frameworks)[:2]
    sides = [read_side(frameworks[name], task, numbered[name]) for name in names]
    console = Console(file=io.StringIO(), width=width, force_terminal=colour)
    print_side_by_side(console, task.name, *sides)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_wide_terminal_shows_both_in_one_line() -> None:
    out = shown(160)
    assert "\x1b[" not in out
    [line] = [line for line in out.splitlines() if line.count("async def run(") == 2]
    assert len(line) <= 160


def test_a_narrow_terminal_shows_one_under_the_other() -> None:
    out = shown(80)
    assert not [line for line in out.splitlines() if line.count("async def run(") == 2]
    assert out.count("async def run(") == 2
    assert max(len(line) for line in out.splitlines()) <= 80


def test_deviations_and_line_counts_are_shown() -> None:
    framework = list(all_frameworks().values())[1]
    out = " ".join(shown(400).split())
    assert out.count(" source lines") >= 4  # in the head and beside the deviations
    for deviation in framework.deviations:
        assert (" ".join(deviation.note.split()) in out) == (deviation.task in (None, "handoff"))


def test_a_terminal_gets_colours() -> None:
    assert "\x1b[" in shown(160, colour=True)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "handoff is not implemented by baseline"),
        (b"def f(:\n", "implementations/fake/handoff.py:1: is not valid Python: "),
        (b"x = '\xff'\n", "implementations/fake/handoff.py: is not valid Python: "),
    ],
)
def test_what_cannot_be_shown_is_named(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    folder = tmp_path / "implementations" / "fake"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "handoff.py").write_bytes(content)
    broken = replace(all_frameworks()[BASELINE], folder=folder)
    with pytest.raises(Mistake) as error:
        read_side(broken, all_tasks()["handoff"], ())
    assert str(error.value).startswith(complaint)


def test_of_an_outside_suite_the_modules_that_serve_it_are_compared() -> None:
    frameworks, suite = all_frameworks(), all_suites()["bfcl_multi_turn"]
    numbered = numbered_deviations(frameworks.values())
    side = read_side(frameworks[BASELINE], as_task(suite), numbered[BASELINE])
    assert side.source == (frameworks[BASELINE].folder / f"{suite.implemented_by}.py").read_text(encoding="utf-8")
    with_a_note = next(one for one in frameworks.values() if any(d.task == suite.name for d in one.deviations))
    noted = read_side(with_a_note, as_task(suite), numbered[with_a_note.name]).deviations
    assert suite.name in {deviation.task for _, deviation in noted}
