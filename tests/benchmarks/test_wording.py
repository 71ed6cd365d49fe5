"""The situations fit their tools, and are judged as they should be; the result of all of them is `WORDING.md`."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from wording import WORDINGS, Asker, Did, Garden, Situation, row

from evaluator.catalog.tasks import all_tasks
from evaluator.models.template import TEMPLATE, sentences

GARDEN = Garden()


def results_in(situation: Situation) -> list[str]:
    return [message["content"] for message in situation.messages if message["role"] == "tool"]


@pytest.mark.parametrize(
    "situation", GARDEN.situations, ids=lambda one: f"{one.kind} {one.messages[1]['content'][:30]}"
)
def test_what_has_to_come_next_follows_from_what_was_said(situation: Situation) -> None:
    results = results_in(situation)
    assert len(results) == len(situation.made) or situation.kind.startswith(("talk", "handed"))
    if situation.next_call is not None:
        assert not GARDEN.result(situation.next_call).startswith("Error: ")
        wanted = situation.next_call.partition("(")[2].removesuffix(")")
        known = wanted in json.dumps(situation.messages) or results[-1].startswith("Error: ")
        assert known and situation.next_call not in situation.made
    elif situation.kind == "result, answer next":
        assert any(word in results[-1] for word in situation.says)
        assert not any(word in situation.messages[1]["content"] for word in situation.says)


def test_there_are_enough_of_each_kind() -> None:
    assert min(Counter(one.kind for one in GARDEN.situations).values()) >= 6
    first = GARDEN.situations[: len(GARDEN.situations) // 3]
    assert {one.kind for one in first} == {one.kind for one in GARDEN.situations}


def test_no_task_has_these_tools_or_questions() -> None:
    names = {tool["function"]["name"] for tool in GARDEN.offered}
    for task in all_tasks().values():
        cases = json.dumps([case.model_dump(mode="json") for case in task.load()])
        assert not any(f'"{name}"' in cases for name in names)
        assert not any(one.messages[1]["content"] in cases for one in GARDEN.situations)


CALL = Situation("result, call next", (), ("find_plant(roses)",), "soil_of_bed(B-7)", ())
ANSWER = Situation("result, answer next", (), ("find_plant(roses)",), None, ("B-7",))


@pytest.mark.parametrize(
    ("situation", "calls", "text", "did"),
    [
        (CALL, ["soil_of_bed(B-7)"], "", Did.RIGHT),
        (CALL, ["soil_of_bed(B-2)"], "", Did.OTHER_CALL),
        (CALL, ["find_plant(roses)"], "", Did.REPEATED),
        (CALL, [], "They grow in B-7.", Did.OTHER_TEXT),
        (ANSWER, [], "They grow in B-7.", Did.RIGHT),
        (ANSWER, [], "They grow somewhere.", Did.OTHER_TEXT),
        (ANSWER, [], '```json\n{"bed": "B-7"}\n```', Did.OTHER_TEXT),
        (ANSWER, ["soil_of_bed(B-7)"], "", Did.OTHER_CALL),
        (ANSWER, ["find_plant(roses)", "soil_of_bed(B-7)"], "", Did.REPEATED),
    ],
)
def test_a_turn_is_judged_by_its_calls_and_its_words(
    situation: Situation, calls: list[str], text: str, did: Did
) -> None:
    assert situation.judged(calls, text) is did


@pytest.mark.parametrize(
    ("arguments", "written"),
    [('{"bed": "B-7"}', "soil_of_bed(B-7)"), ('{"a": 1, "b": 2}', "soil_of_bed(1, 2)"), ("[B", "soil_of_bed([B)")],
)
def test_a_call_of_the_model_is_written_as_the_questions_write_it(arguments: str, written: str) -> None:
    call: dict[str, Any] = {"function": {"name": "soil_of_bed", "arguments": arguments}}
    assert GARDEN.written(call) == written


def test_a_row_counts_what_was_right_and_what_was_repeated() -> None:
    did = [Did.RIGHT, Did.REPEATED, Did.OTHER_TEXT, Did.RIGHT]
    assert row((CALL, CALL, ANSWER, ANSWER), did) == ["1 of 2", "1 of 2", "**2 of 4**", "1"]


def test_the_wording_of_the_template_is_among_those_that_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.models.weights.fetch", lambda file, _: file.path)
    assert sentences()["after_results"] in WORDINGS.values()
    Asker(GARDEN, "local", tmp_path / TEMPLATE.name, threads=1)
    assert "set after_results" not in (tmp_path / TEMPLATE.name).read_text()
