"""The conversations fit their tools, and are played and judged as they should be; how all went is `WORDING.md`."""

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from wording import (
    MOST_TURNS,
    QUESTIONS,
    VARIABLES,
    WORDINGS,
    Asker,
    Conversation,
    Ended,
    Garden,
    Played,
    chosen,
    row,
)

from evaluator.catalog.tasks import all_tasks
from evaluator.models.template import TEMPLATE

GARDEN = Garden()


@pytest.mark.parametrize(
    "conversation", GARDEN.conversations, ids=lambda one: f"{one.kind} {one.messages[1]['content'][:30]}"
)
def test_the_calls_that_a_question_names_lead_to_the_words_of_its_answer(conversation: Conversation) -> None:
    asked = conversation.messages[1]["content"]
    questions = [
        one for of in tomllib.loads(QUESTIONS.read_text()).values() if isinstance(of, dict) for one in of["questions"]
    ]
    if conversation.kind == "talk":
        return
    calls = next(one["calls"] for one in questions if one["asks"] == asked)
    results = [GARDEN.result(call) for call in calls]
    assert any(word in results[-1] for word in conversation.says) and not results[-1].startswith("Error: ")
    said_before = json.dumps(conversation.messages)
    for call, result in zip(calls, results, strict=True):
        assert call.partition("(")[2].removesuffix(")") in said_before, "nobody could know this argument"
        said_before += result
    assert not any(word in asked for word in conversation.says)


def test_there_are_enough_of_each_kind() -> None:
    assert min(Counter(one.kind for one in GARDEN.conversations).values()) >= 6
    first = GARDEN.conversations[: len(GARDEN.conversations) // 3]
    assert {one.kind for one in first} == {one.kind for one in GARDEN.conversations}


def test_no_task_has_these_tools_or_questions() -> None:
    names = {tool["function"]["name"] for tool in GARDEN.offered}
    for task in all_tasks().values():
        cases = json.dumps([case.model_dump(mode="json") for case in task.load()])
        assert not any(f'"{name}"' in cases for name in names)
        assert not any(one.messages[1]["content"] in cases for one in GARDEN.conversations)


ASKED = Conversation("one call", (), ("B-7",))


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        ("They grow in B-7.", Ended.RIGHT),
        ("They grow somewhere.", Ended.WRONG),
        ('```json\n{"bed": "B-7"}\n```', Ended.WRONG),
        ("", Ended.WRONG),
    ],
)
def test_an_answer_is_judged_by_its_words(answer: str, ended: Ended) -> None:
    assert ASKED.judged(answer) is ended


@pytest.mark.parametrize(
    ("arguments", "written"),
    [('{"bed": "B-7"}', "soil_of_bed(B-7)"), ('{"a": 1, "b": 2}', "soil_of_bed(1, 2)"), ("[B", "soil_of_bed([B)")],
)
def test_a_call_of_the_model_is_written_as_the_questions_write_it(arguments: str, written: str) -> None:
    call: dict[str, Any] = {"function": {"name": "soil_of_bed", "arguments": arguments}}
    assert GARDEN.written(call) == written


def test_a_call_that_nobody_can_make_is_told_so() -> None:
    assert GARDEN.result("soil_of_bed(B-77)").startswith("Error: ")
    assert GARDEN.result("water(B-7)") == "Error: there is no function 'water'."


def test_a_row_counts_what_was_right_what_did_not_end_and_the_turns() -> None:
    talk = Conversation("talk", (), ("",))
    played = [Played(Ended.RIGHT, 2), Played(Ended.ENDLESS, 6), Played(Ended.RIGHT, 1), Played(Ended.WRONG, 3)]
    assert row([ASKED, ASKED, talk, talk], played) == ["1 of 2", "1 of 2", "**2 of 4**", "1", "12"]


def replying(asker: Asker, replies: list[dict[str, Any]]) -> list[Any]:
    """Let a list of replies stand in for the model; gives what it was sent."""
    sent: list[Any] = []

    async def reply(_: Any, messages: list[dict[str, Any]], wording: str) -> dict[str, Any]:
        sent.append([*messages])
        return replies[min(len(sent), len(replies)) - 1]

    asker._reply = reply  # type: ignore[method-assign]
    return sent


def called(name: str, text: str) -> dict[str, Any]:
    return {"tool_calls": [{"id": "a", "function": {"name": name, "arguments": json.dumps({"plant": text})}}]}


@pytest.fixture
def asker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asker:
    monkeypatch.setattr("evaluator.models.weights.fetch", lambda file, _: file.path)
    return Asker(GARDEN, "local", tmp_path / TEMPLATE.name, threads=1)


async def test_a_conversation_goes_on_until_there_is_an_answer(asker: Asker) -> None:
    sent = replying(asker, [called("find_plant", "roses"), {"content": "In B-7."}])
    assert await asker._play(None, ASKED, "yet") == Played(Ended.RIGHT, 2)  # type: ignore[arg-type]
    assert sent[1][-1] == {"role": "tool", "tool_call_id": "a", "content": '{"bed": "B-7"}'}


async def test_a_conversation_that_has_no_end_is_given_one(asker: Asker) -> None:
    sent = replying(asker, [called("find_plant", "roses")])
    assert await asker._play(None, ASKED, "yet") == Played(Ended.ENDLESS, MOST_TURNS)  # type: ignore[arg-type]
    assert len(sent) == MOST_TURNS


def test_the_wording_of_the_template_is_among_those_that_are_tried(asker: Asker, tmp_path: Path) -> None:
    assert chosen() in WORDINGS
    assert not any(f"set {variable} =" in (tmp_path / TEMPLATE.name).read_text() for variable in VARIABLES)
