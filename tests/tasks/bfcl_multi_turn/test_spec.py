"""The spec over a process that a test makes up: what a run is given of a conversation, and what is taken down of it."""

from typing import Any

import pytest
from pydantic import validate_call

from tasks.bfcl_multi_turn import spec
from tasks.bfcl_multi_turn.spec import ConversationCase, prepare

FUNCTIONS = [
    {
        "name": "cd",
        "description": "Change the folder.",
        "parameters": {"type": "object", "properties": {"folder": {"type": "string"}}, "required": ["folder"]},
    },
    {
        "name": "fund",
        "description": "Put money into an account.",
        "parameters": {
            "type": "object",
            "properties": {"amount": {"type": "number", "description": "How much."}},
            "required": ["amount"],
        },
    },
]


def case(**fields: Any) -> ConversationCase:
    given: dict[str, Any] = {
        "id": "multi_turn_base_0",
        "kind": "multi_turn_base",
        "size": "full",
        "question": "Go into the folder.",
        "further": ["Thanks.", "Put 10 in."],
        "answer": "It is done.",
        "version": "1",
        "data": "0123456789abcdef",
        "functions": FUNCTIONS,
        "classes": ["GorillaFileSystem"],
        "initial": {"GorillaFileSystem": {"root": {}}},
        "gold": [["cd(folder='a')"], [], ["fund(amount=10)"]],
        "turns": [
            [{"tool": "cd", "arguments": {"folder": "a"}}],
            [],
            [{"tool": "fund", "arguments": {"amount": 10}}],
        ],
    }
    return ConversationCase.model_validate({**given, **fields})


class Process:
    """The suite's process, made up: what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, what: str, **given: Any) -> Any:
        self.asked.append((what, given))
        if what == "open":
            return {"run": f"run{sum(1 for one, _ in self.asked if one == 'open')}"}
        return f"{given['run']}: done" if what == "call" else None


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    one = Process()
    monkeypatch.setattr(spec, "served", lambda suite: one)
    return one


def test_calls_belong_to_the_message_that_was_taken_last(process: Process) -> None:
    prepared = prepare(case())
    cd, fund = map(validate_call, prepared.brief.tools)
    messages = iter(prepared.brief.messages)
    assert [next(messages), cd(folder="a"), next(messages), next(messages), fund(10)] == [
        *("Go into the folder.", "run1: done"),
        "Thanks.",
        *("Put 10 in.", "run1: done"),
    ]
    assert next(messages, None) is None
    assert prepared.final_state() == {
        "turns": [
            [{"name": "cd", "arguments": {"folder": "a"}}],
            [],
            [{"name": "fund", "arguments": {"amount": 10}}],
        ]
    }
    assert [what for what, _ in process.asked] == ["open", "call", "call", "close"]


def test_only_turns_that_began_are_there(process: Process) -> None:
    prepared = prepare(case())
    assert prepared.final_state() == {"turns": []}
    next(iter(prepared.brief.messages))
    assert prepared.final_state() == {"turns": [[]]}
    assert process.asked == []


def test_runs_have_nothing_in_common(process: Process) -> None:
    one = case()
    first, second = prepare(one), prepare(one)
    for prepared in (first, second):
        next(iter(prepared.brief.messages))
    assert [first.brief.tools[0]("a"), second.brief.tools[0]("b")] == ["run1: done", "run2: done"]
    assert second.final_state() == {"turns": [[{"name": "cd", "arguments": {"folder": "b"}}]]}
