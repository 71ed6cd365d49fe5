"""BFCL's own package, asked across a pipe: skipped where it is not installed."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter, validate_call

from tasks.bfcl.spec import BfclCase, prepare
from tasks.served import Served, python_of

pytestmark = [
    pytest.mark.skipif(not python_of("bfcl").is_file(), reason="BFCL is not installed: `bakeoff import bfcl`"),
    pytest.mark.xdist_group("bfcl"),
]

CATEGORIES = {
    "simple_python": 400,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "irrelevance": 240,
    "live_simple": 258,
    "live_multiple": 1053,
    "live_parallel": 16,
    "live_parallel_multiple": 24,
    "live_irrelevance": 872,
}

NO_CALL_IS_RIGHT = {
    "live_simple_106-63-0",
    "live_simple_112-68-0",
    "live_multiple_862-181-3",
    "live_multiple_964-207-0",
}
"""By the suite's checker, whatever is called."""

NOT_BY_ITS_DESCRIPTION = {
    "parallel_multiple_21",
    "parallel_multiple_94",
    "live_multiple_87-38-4",
    "live_multiple_552-153-1",
    "live_multiple_595-158-1",
    "live_multiple_596-158-2",
    "live_multiple_731-167-2",
    "live_multiple_733-167-4",
    "live_multiple_735-167-6",
    "live_multiple_750-169-5",
    "live_multiple_835-178-10",
    "live_multiple_871-182-8",
    "live_multiple_947-197-0",
    "live_multiple_1038-265-0",
    "live_parallel_multiple_2-2-0",
}
"""The possible answers have a value that the suite's description of the function rules out."""


@pytest.fixture(scope="module")
def inside() -> Iterator[Served]:
    one = Served("bfcl")
    yield one
    one.close()


@pytest.fixture(scope="module")
def cases(inside: Served) -> dict[str, BfclCase]:
    return {case["id"]: BfclCase.model_validate(case) for case in inside.ask("cases")}


def verdict(inside: Served, case: BfclCase, *calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """What the suite says of calls, by the suite's names."""
    state = {"calls": [{"name": name, "arguments": arguments} for name, arguments in calls]}
    outcome = {"answer": "", "tool_calls": [], "final_state": state}
    said: dict[str, Any] = inside.ask(
        "judge", case=case.model_dump(mode="json", exclude_defaults=True), outcome=outcome
    )
    return said


def test_the_cases_that_there_are(cases: dict[str, BfclCase]) -> None:
    assert Counter(case.kind for case in cases.values()) == CATEGORIES
    assert {case.id for case in cases.values() if case.unplayable} == NO_CALL_IS_RIGHT | NOT_BY_ITS_DESCRIPTION


def test_every_expected_call_goes_through_the_tools_and_is_right(inside: Served, cases: dict[str, BfclCase]) -> None:
    for case in cases.values():
        if case.unplayable:
            continue
        prepared = prepare(case)
        tools = {tool.__name__: tool for tool in prepared.brief.tools}
        for turn in case.turns:
            for step in turn:
                validate_call(tools[step.tool])(**step.arguments)
        calls = [(call["name"], call["arguments"]) for call in prepared.final_state()["calls"]]
        assert verdict(inside, case, *calls) == {"metrics": {"accuracy": True}, "reasons": []}, case.id


def test_where_nothing_is_to_be_called_a_run_that_ended_without_an_answer_is_not_right(
    inside: Served, cases: dict[str, BfclCase]
) -> None:
    case = next(case for case in cases.values() if case.kind == "irrelevance")
    ended = {"answer": "", "final_state": {}, "ended": "error", "error": "ValueError: no"}
    said = inside.ask("judge", case=case.model_dump(mode="json", exclude_defaults=True), outcome=ended)
    assert said == {"metrics": {"accuracy": False}, "reasons": ["ended without an answer: ValueError: no"]}
    assert verdict(inside, case) == {"metrics": {"accuracy": True}, "reasons": []}


def test_every_function_has_a_schema(cases: dict[str, BfclCase]) -> None:
    for case in cases.values():
        for tool in prepare(case).brief.tools:
            TypeAdapter(tool).json_schema()


def test_where_something_is_to_be_called_nothing_is_right_without_it(
    inside: Served, cases: dict[str, BfclCase]
) -> None:
    for case in cases.values():
        assert verdict(inside, case)["metrics"]["accuracy"] is ("irrelevance" in case.kind), case.id


def test_a_call_where_nothing_is_to_be_called_is_wrong(inside: Served, cases: dict[str, BfclCase]) -> None:
    said = verdict(inside, cases["irrelevance_0"], ("determine_body_mass_index", {"weight": 60.0, "height": 1.7}))
    assert said == {
        "metrics": {"accuracy": False},
        "reasons": ["called where nothing was to be called: determine_body_mass_index"],
    }


def test_all_calls_of_a_run_count(inside: Served, cases: dict[str, BfclCase]) -> None:
    right = ("calculate_triangle_area", {"base": 10, "height": 5})
    assert verdict(inside, cases["simple_python_0"], right)["metrics"]["accuracy"]
    assert verdict(inside, cases["simple_python_0"], right, right) == {
        "metrics": {"accuracy": False},
        "reasons": ["Wrong number of functions."],
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"base": 10}, "Missing required parameter: 'height'."),
        ({"base": 10, "height": 6}, "Invalid value for parameter 'height': 6. Expected one of [5]."),
        ({"base": 10, "height": 5.0}, "Incorrect type for parameter 'height'. Expected type integer, got float."),
    ],
)
def test_the_suite_says_why(inside: Served, cases: dict[str, BfclCase], arguments: dict[str, Any], reason: str) -> None:
    said = verdict(inside, cases["simple_python_0"], ("calculate_triangle_area", arguments))
    assert said["metrics"] == {"accuracy": False}
    assert said["reasons"][0].startswith(reason)


def test_of_several_calls_it_says_so_of_each(inside: Served, cases: dict[str, BfclCase]) -> None:
    case = cases["parallel_0"]
    wrong = ("spotify.play", {"artist": "Nobody", "duration": 1})
    said = verdict(inside, case, wrong, wrong)
    assert not said["metrics"]["accuracy"]
    assert [reason for reason in said["reasons"] if "'Nobody'" in reason]


def test_what_the_suite_cannot_check_is_wrong_and_says_so(inside: Served, cases: dict[str, BfclCase]) -> None:
    of_dictionaries = next(
        case
        for case in cases.values()
        if case.kind == "simple_python" and ["array", "dict"] in [*case.types[case.functions[0].name].values()]
    )
    [[step]] = of_dictionaries.turns
    name = of_dictionaries.functions[0].name
    [parameter] = [one for one, types in of_dictionaries.types[name].items() if types == ["array", "dict"]]
    said = verdict(inside, of_dictionaries, (name, {**step.arguments, parameter: [{"field": [[]]}]}))
    assert said["metrics"] == {"accuracy": False} and said["reasons"]
