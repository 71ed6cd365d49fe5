"""BFCL's own package, asked across a pipe: its conversations, its classes and its checker. Skipped where it is not
installed: `uv run bakeoff import bfcl_multi_turn`."""

import ast
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from evaluator.catalog.suites import all_suites
from tasks.bfcl_multi_turn.spec import ConversationCase, prepare
from tasks.served import Served, python_of

pytestmark = [
    pytest.mark.skipif(
        not python_of("bfcl_multi_turn").is_file(),
        reason="the package of bfcl_multi_turn is not installed: `bakeoff import bfcl_multi_turn`",
    ),
    pytest.mark.xdist_group("bfcl_multi_turn"),
]

Calls = list[tuple[str, dict[str, Any]]]

RIGHT = {"metrics": {"accuracy": True}, "reasons": []}


@pytest.fixture(scope="module")
def inside() -> Iterator[Served]:
    one = Served("bfcl_multi_turn")
    yield one
    one.close()


@pytest.fixture(scope="module")
def cases(inside: Served) -> dict[str, ConversationCase]:
    return {case["id"]: ConversationCase.model_validate(case) for case in inside.ask("cases")}


def as_data(case: ConversationCase) -> dict[str, Any]:
    """The case as a trace has it."""
    return case.model_dump(mode="json", exclude_defaults=True)


def gold(case: ConversationCase) -> list[Calls]:
    return [[(step.tool, step.arguments) for step in turn] for turn in case.turns]


def judged(inside: Served, case: ConversationCase, turns: list[Calls], **ended: str) -> dict[str, Any]:
    """What the checker says of a run with these calls."""
    made = [[{"name": name, "arguments": arguments} for name, arguments in calls] for calls in turns]
    outcome = {"answer": "", "final_state": {"turns": made}, **ended}
    verdict: dict[str, Any] = inside.ask("judge", case=as_data(case), outcome=outcome)
    return verdict


def test_all_conversations_are_there_and_one_cannot_be_played(cases: dict[str, ConversationCase]) -> None:
    assert len(cases) == 200 and {case.kind for case in cases.values()} == {"multi_turn_base"}
    unplayable = {case.id: case.unplayable for case in cases.values() if case.unplayable}
    assert [*unplayable] == ["multi_turn_base_173"]
    assert str(unplayable["multi_turn_base_173"]).startswith("close_ticket does not take it: ticket_id")


def test_a_run_may_make_the_calls_of_the_longest_gold_run(cases: dict[str, ConversationCase]) -> None:
    longest = max(sum(len(turn) + 1 for turn in case.turns) for case in cases.values())
    assert longest == 16 < (all_suites()["bfcl_multi_turn"].max_model_calls or 0)


def test_every_gold_run_is_right(inside: Served, cases: dict[str, ConversationCase]) -> None:
    for case in cases.values():
        assert judged(inside, case, gold(case)) == RIGHT, case.id


def test_steps_are_the_gold_calls_with_their_arguments_by_name(cases: dict[str, ConversationCase]) -> None:
    by_position = 0
    for case in cases.values():
        for written, steps in zip(case.gold, case.turns, strict=True):
            for call, step in zip(written, steps, strict=True):
                parsed = ast.parse(call.strip(), mode="eval").body
                assert isinstance(parsed, ast.Call)
                named = {one.arg: ast.literal_eval(one.value) for one in parsed.keywords}
                assert named.items() <= step.arguments.items() and len(step.arguments) == len(named) + len(parsed.args)
                by_position += len(parsed.args)
    assert by_position


def test_doing_nothing_is_wrong(inside: Served, cases: dict[str, ConversationCase]) -> None:
    for case in cases.values():
        verdict = judged(inside, case, [[] for _ in case.messages])
        first = next(number for number, calls in enumerate(case.gold) if calls)
        assert verdict == {
            "metrics": {"accuracy": False},
            "reasons": [f"Model response list is empty for turn {first}"],
        }


def test_the_calls_of_a_turn_count_in_it(inside: Served, cases: dict[str, ConversationCase]) -> None:
    case = cases["multi_turn_base_0"]
    first, second, *others = gold(case)
    assert not judged(inside, case, [[*first, *second], [], *others])["metrics"]["accuracy"]
    assert not judged(inside, case, [[first[0]], [*first[1:], *second], *others])["metrics"]["accuracy"]
    looked = ("ls", {})
    assert judged(inside, case, [[*first, looked], second, *others]) == RIGHT


def test_a_state_that_is_another_is_wrong(inside: Served, cases: dict[str, ConversationCase]) -> None:
    case = cases["multi_turn_base_0"]
    turns = gold(case)
    turns[0] = [*turns[0], ("mkdir", {"dir_name": "more"})]
    assert judged(inside, case, turns)["reasons"] == [
        "Model instance for GorillaFileSystem does not match the state with ground truth instance."
    ]


def test_a_run_that_ended_early_is_wrong(inside: Served, cases: dict[str, ConversationCase]) -> None:
    case = cases["multi_turn_base_0"]
    assert judged(inside, case, gold(case)[:2])["reasons"] == ["2 of 4 messages were taken"]
    ended = judged(inside, case, gold(case), ended="error", error="ValueError: no")
    assert ended == {"metrics": {"accuracy": False}, "reasons": ["ended without an answer: ValueError: no"]}
    nothing = inside.ask("judge", case=as_data(case), outcome={"answer": "", "final_state": {}})
    assert nothing["reasons"] == ["0 of 4 messages were taken"]


def test_what_the_checker_was_asked_once_does_not_change_what_it_says_again(
    inside: Served, cases: dict[str, ConversationCase]
) -> None:
    case = cases["multi_turn_base_0"]
    for turns, right in ((gold(case), True), ([[] for _ in case.messages], False), (gold(case), True)):
        assert judged(inside, case, turns)["metrics"]["accuracy"] is right


def test_functions_give_what_the_classes_give_and_keep_their_state(
    inside: Served, cases: dict[str, ConversationCase]
) -> None:
    case = as_data(cases["multi_turn_base_0"])
    first, second = (inside.ask("open", case=case)["run"] for _ in range(2))

    def call(run: str, function: str, **arguments: Any) -> str:
        given: str = inside.ask("call", run=run, function=function, arguments=arguments)
        return given

    assert json.loads(call(first, "cd", folder="document")) == {"current_working_directory": "document"}
    assert json.loads(call(first, "ls")) == {"current_directory_content": ["final_report.pdf", "previous_report.pdf"]}
    assert json.loads(call(second, "ls")) == {"current_directory_content": ["document", "archive"]}
    assert json.loads(call(first, "cat", file_name="a.txt")) == {"error": "cat: 'a.txt': No such file or directory"}
    quoted = call(first, "echo", content='it\'s "so"')
    assert json.loads(quoted) == {"terminal_output": 'it\'s "so"'}
    assert call(first, "mean", numbers=[1]) == "Error during execution: name 'mean' is not defined"
    assert call(first, "cat", name="a").startswith("Error during execution: ")
    for run in (first, second):
        assert inside.ask("close", run=run) is None


def test_every_function_has_a_schema_as_it_was_described(cases: dict[str, ConversationCase]) -> None:
    for case in cases.values():
        for tool, function in zip(prepare(case).brief.tools, case.functions, strict=True):
            schema = TypeAdapter(tool).json_schema()
            assert {*schema.get("properties", {})} == {*function.parameters["properties"]}
            assert schema.get("required", []) == function.parameters["required"]
