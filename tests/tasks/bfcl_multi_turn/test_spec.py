"""The spec over a process that a test makes up: what a run is given of a conversation, and what is taken down of it."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
from pydantic import ValidationError, validate_call

from tasks.bfcl_multi_turn import spec
from tasks.bfcl_multi_turn.spec import INSTRUCTIONS, ConversationCase, prepare, script
from tasks.bfcl_multi_turn.wire import on_the_wire

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


def test_runs_that_begin_at_once_ask_the_same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Process] = []

    @cache
    def slowly(suite: str) -> Process:
        time.sleep(0.05)
        started.append(Process())
        return started[-1]

    monkeypatch.setattr(spec, "served", slowly)
    runs = [prepare(case()) for _ in range(4)]
    for prepared in runs:
        next(iter(prepared.brief.messages))
    with ThreadPoolExecutor(len(runs)) as pool:
        given = list(pool.map(lambda prepared: prepared.brief.tools[0]("a"), runs))
    assert len(started) == 1 and sorted(given) == [f"run{number}: done" for number in (1, 2, 3, 4)]


def test_what_a_tool_does_not_take_is_not_taken_down(process: Process) -> None:
    prepared = prepare(case())
    next(iter(prepared.brief.messages))
    with pytest.raises(ValidationError):
        validate_call(prepared.brief.tools[1])(amount="much")
    assert prepared.final_state() == {"turns": [[]]} and process.asked == []


def test_on_the_wire() -> None:
    brief = prepare(case()).brief
    wire = on_the_wire(brief)
    assert wire.question == "Go into the folder."
    assert [(agent.instructions, agent.tools) for agent in wire.agents] == [(INSTRUCTIONS, tuple(brief.tools))]


def test_the_script_has_the_messages_with_the_calls_of_each() -> None:
    one = script(case())
    assert one.messages == ["Go into the folder.", "Thanks.", "Put 10 in."]
    assert [[step.tool for step in turn] for turn in one.turns] == [["cd"], [], ["fund"]]


def test_what_a_run_does_not_depend_on_is_not_among_its_inputs() -> None:
    gold = [["cd(folder='b')"], [], []]
    turns: list[list[Any]] = [[{"tool": "cd", "arguments": {"folder": "b"}}], [], []]
    assert case(gold=gold, turns=turns, unplayable="no").inputs() == case().inputs()
    assert case(further=["Thank you.", "Put 10 in."]).inputs() != case().inputs()
    assert case(initial={"GorillaFileSystem": {}}).inputs() != case().inputs()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"functions": FUNCTIONS[:1]}, "fund is expected to be called but is not offered: cd"),
        ({"functions": [*FUNCTIONS, FUNCTIONS[0]]}, "functions have the same name"),
        ({"further": ["Thanks."]}, "`gold` and `turns` have a list for each message"),
    ],
)
def test_a_case_that_cannot_be_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        case(**fields)
