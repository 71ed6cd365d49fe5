"""What is read of a very long answer, and of very many calls."""

import importlib
import random
import re

import pytest
from huge_replies import CASES
from played import TASKS

from tasks.base import Outcome, ToolCall
from tasks.grading.calls import MOST_CALLS
from tasks.grading.floors import REFUSAL
from tasks.grading.statements import _LIMIT, _Ahead
from tasks.grading.text import ADDRESS, LONGEST_ANSWER, MARKUP

CASE = {name: next(case for case in TASKS[name].load() if case.id == id) for name, id in CASES.items()}


def gold(task: str) -> Outcome:
    """What a perfect run does."""
    return importlib.import_module(f"tasks.{task}.grade").gold(CASE[task])


@pytest.mark.parametrize("task", CASE)
def test_a_longer_answer_than_is_read_fails_and_says_so(task: str) -> None:
    case, grade = CASE[task], TASKS[task].grade
    perfect = gold(task)
    filled = perfect.answer + " " * (LONGEST_ANSWER - len(perfect.answer))
    assert grade(case, perfect.model_copy(update={"answer": filled})).passed
    longer = grade(case, perfect.model_copy(update={"answer": filled + " "}))
    assert (longer.passed, longer.kinds) == (False, ["other"])
    assert longer.reasons == ["the answer has 20,001 characters, of which the first 20,000 were read"]


def test_what_stands_behind_the_part_that_is_read_changes_nothing_else() -> None:
    case, grade = CASE["rag_qa"], TASKS["rag_qa"].grade
    filled = REFUSAL + " " * (LONGEST_ANSWER - len(REFUSAL))
    hidden = [grade(case, Outcome(answer=filled + more)) for more in ("x", f"{case.answer} [no-such-document]")]
    assert hidden[0].kinds == hidden[1].kinds and hidden[0].score == hidden[1].score


def test_of_more_calls_than_are_read_the_first_are_read_and_one_check_fails() -> None:
    case, grade = CASE["tool_calling"], TASKS["tool_calling"].grade
    perfect = gold("tool_calling")
    other = ToolCall(name="get_order", arguments={"order_id": "O-5003"}, result={"status": "delivered"})
    room = MOST_CALLS - len(perfect.tool_calls)
    most = grade(case, perfect.model_copy(update={"tool_calls": [*perfect.tool_calls, *[other] * room]}))
    more = grade(case, perfect.model_copy(update={"tool_calls": [*perfect.tool_calls, *[other] * (room + 1)]}))
    assert more.reasons == [*most.reasons, "1,001 tool calls were made, of which the first 1,000 were read"]
    assert more.kinds[-1] == "a tool call was not needed" and not more.passed


@pytest.mark.parametrize("seed", range(200))
def test_what_is_looked_for_at_the_beginnings_of_words_and_lines_is_found_as_everywhere(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice("ab@ \n#.") for _ in range(chance.randrange(40)))
    assert [one.span() for one in ADDRESS.finditer(text)] == [one.span() for one in re.finditer(r"\S+@\S+", text)]
    everywhere = r"\*+|__+|(?m:^\s*#+\s)"
    assert MARKUP.sub("", text) == re.sub(everywhere, "", text)


@pytest.mark.parametrize("seed", range(50))
def test_searching_ahead_finds_what_searching_anew_does(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice(["only ", "until", "a", ", ", " "]) for _ in range(40))
    ahead, places = _Ahead(_LIMIT, text), sorted(chance.choices(range(len(text)), k=20))
    for place in places:
        end = chance.choice([len(text), min(place + 10, len(text))])
        found, anew = ahead.search(place, end), _LIMIT.search(text, place, end)
        assert (found and found.span()) == (anew and anew.span())
