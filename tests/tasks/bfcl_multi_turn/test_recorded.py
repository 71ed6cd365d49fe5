"""The recorded runs of all frameworks: what they say of each, and that a conversation is whole on the wire."""

from typing import Any

import orjson
import pytest

from evaluator import ROOT
from evaluator.catalog.frameworks import all_frameworks, implements
from evaluator.packs import SUITES_FOLDER, lines
from evaluator.wire.tokens import text_of
from tasks.bfcl_multi_turn.spec import ConversationCase

UNPLAYABLE = "multi_turn_base_173"
FOLDER = ROOT / "traces" / SUITES_FOLDER / "scripted"


def recorded(framework: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines(FOLDER / framework / "bfcl_multi_turn.jsonl.xz").values()]


@pytest.mark.parametrize(
    "framework", [name for name, framework in all_frameworks().items() if implements(framework, "conversation")]
)
def test_all_that_was_said_and_called_before_is_sent_and_calls_belong_to_their_message(framework: str) -> None:
    runs = recorded(framework)
    assert len({run["key"]["case"] for run in runs}) == 200
    for run in runs:
        name, case = run["key"]["case"], ConversationCase.model_validate(run["case"])
        assert run["outcome"]["ended"] == "answered", name
        assert run["verdict"]["metrics"] == {"accuracy": name != UNPLAYABLE}, name
        if name == UNPLAYABLE:
            continue
        calls = [
            [(call["name"], call["arguments"]) for call in turn] for turn in run["outcome"]["final_state"]["turns"]
        ]
        assert calls == [[(step.tool, step.arguments) for step in turn] for turn in case.turns], name
        messages = run["model_calls"][-1]["request"]["messages"]
        assert _turns(messages, case.messages) == [len(turn) for turn in case.turns], name


def _turns(messages: list[dict[str, Any]], said: list[str]) -> list[int]:
    """How many results of tools stand after each of the user's messages, in a request with all of them in order."""
    turns: list[int] = []
    for message in messages:
        if message["role"] == "user":
            assert " ".join(said[len(turns)].split()) in " ".join(text_of(message["content"]).split())
            turns.append(0)
        elif message["role"] == "tool":
            turns[-1] += 1
    return turns
