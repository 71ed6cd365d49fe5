"""What `bakeoff doctor` prints, apart from the checks."""

import io
import json
import re
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from evaluator.doctor.report import (
    Begun,
    Examine,
    Finding,
    Result,
    Verdict,
    as_data,
    summary,
    tell,
)

FINE = Result("a", "the first", Finding(Verdict.OK, "12 ms", measured={"seconds": 0.012}), "It matters.", "Mend it.")
LIMITED = Result("b", "the second", Finding(Verdict.LIMITED, "half of it"), "Half is missing.", "Mend [it].")
BROKEN = Result("c", "the third", Finding(Verdict.FAILS, "no", todo="Now."), "Bad.", "Later.", sent_by=("x", "y"))
UNNEEDED = Result("d", "the fourth", Finding(Verdict.FAILS, "no"), "Little.", "", needed=False)
SKIPPED = Result("e", "the fifth", Finding(Verdict.NOT_MADE, "no time", todo="More time."), "Unknown.", "Mend it.")
BUILT_ON = Result("f", "the sixth", Finding(Verdict.NOT_MADE, "it builds on 'the third'"), "Unknown.", "Mend it.")


def examine(*results: Result) -> Examine:
    async def made(begun: Begun) -> AsyncIterator[Result]:
        for result in results:
            begun(result.title)
            yield result

    return made


async def told(*results: Result, as_json: bool = False, width: int = 100) -> tuple[bool, str]:
    out = io.StringIO()
    passed = await tell(Console(file=out, width=width), "it", examine(*results), as_json)
    return passed, re.sub(r"\(\d+ s\)", "(… s)", out.getvalue())


async def test_what_is_in_order_is_one_line() -> None:
    passed, text = await told(FINE)
    assert passed
    assert text.splitlines()[0].split() == ["the", "first", "ok", "12", "ms"]
    assert "It matters" not in text
    assert text.endswith("it: 1 ok (… s); nothing stands in the way of runs\n")


async def test_what_is_not_says_what_it_means_and_what_to_do() -> None:
    passed, text = await told(LIMITED, BROKEN, SKIPPED, BUILT_ON)
    assert not passed
    assert "means: Half is missing.\n      do: Mend [it].\n" in text
    assert "sent by: x, y\n      means: Bad.\n      do: Now.\n" in text and "Later." not in text
    assert "do: More time." in text and "Unknown." not in text and "Mend it." not in text
    assert text.endswith("it: 1 limited, 1 fails, 2 not made (… s); runs will fail: the third\n")


async def test_what_runs_do_not_need_may_fail() -> None:
    passed, text = await told(FINE, UNNEEDED)
    assert passed and "nothing stands in the way" in text


async def test_what_was_not_asked_is_not_taken_for_good() -> None:
    passed, text = await told(FINE, SKIPPED, BUILT_ON)
    assert passed and text.endswith("whether runs will fail was not found out: the fifth\n")


async def test_long_words_are_wrapped_below_one_another() -> None:
    long = Result("l", "long", Finding(Verdict.OK, "word " * 40))
    _, text = await told(long, width=80)
    lines = text.split("\n\n")[0].splitlines()
    assert len(lines) > 2 and all(len(line) <= 80 for line in lines)
    assert {line.index("word") for line in lines} == {lines[0].index("word")}


async def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    passed, text = await told(FINE, BROKEN, as_json=True)
    data = json.loads(text)
    assert not passed and data["passed"] is False and data["subject"] == "it"
    first, third = data["checks"]
    assert (first["name"], first["verdict"], first["measured"]) == ("a", "ok", {"seconds": 0.012})
    assert (third["verdict"], third["todo"], third["sent_by"]) == ("fails", "Now.", ["x", "y"])
    assert capsys.readouterr().err == ""  # progress is for a terminal


def test_the_summary_counts_every_result() -> None:
    results = [FINE, FINE, LIMITED, BROKEN, UNNEEDED, SKIPPED]
    assert summary("it", results, 3.4).startswith("it: 2 ok, 1 limited, 2 fails, 1 not made (3 s)")
    assert len(as_data("it", results, 3.4)["checks"]) == len(results)
