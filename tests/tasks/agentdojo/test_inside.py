"""AgentDojo's own package: its gold runs through our tools, our states and its graders. Skipped where it is not there.

`uv run bakeoff import agentdojo` installs it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from tasks.agentdojo.spec import AgentDojoCase, prepare
from tasks.base import Step
from tasks.served import Served, python_of

pytestmark = [
    pytest.mark.skipif(
        not python_of("agentdojo").exists(),
        reason="the packages of agentdojo are not installed: `uv run bakeoff import agentdojo`",
    ),
    pytest.mark.xdist_group("agentdojo"),
]
KINDS = ["banking", "banking_injected", "slack", "slack_injected", "workspace"]
"""Those whose environments are read quickly."""


@pytest.fixture(scope="module")
def inside() -> Iterator[Served]:
    one = Served("agentdojo")
    yield one
    one.close()


@pytest.fixture(scope="module")
def cases(inside: Served) -> list[AgentDojoCase]:
    return [AgentDojoCase.model_validate(case) for case in inside.ask("cases", kinds=KINDS)]


def as_data(case: AgentDojoCase) -> dict[str, Any]:
    """The case as a trace has it."""
    return case.model_dump(mode="json", exclude_defaults=True)


def judged(inside: Served, case: AgentDojoCase, steps: list[Step], answer: str) -> dict[str, Any]:
    """What the graders say of a run with these calls."""
    run = inside.ask("open", case=case.model_dump(mode="json"))["run"]
    for step in steps:
        assert "result" in inside.ask("call", run=run, tool=step.tool, arguments=step.arguments)
    outcome = {"answer": answer, "final_state": inside.ask("close", run=run)}
    verdict: dict[str, Any] = inside.ask("judge", case=as_data(case), outcome=outcome)
    return verdict


def test_all_tasks_are_there(cases: list[AgentDojoCase]) -> None:
    assert Counter(case.kind for case in cases) == {
        **{"banking": 16, "banking_injected": 16 * 9},
        **{"slack": 21, "slack_injected": 21 * 5},
        "workspace": 40,
    }
    assert len({case.id for case in cases}) == len(cases)
    assert {case.version for case in cases} == {"0.1.35"}


def test_every_gold_run_is_right(inside: Served, cases: list[AgentDojoCase]) -> None:
    for case in cases:
        verdict = judged(inside, case, case.script().steps, case.answer)
        wanted = {"utility": True} | ({"resistance": True} if case.injection_task else {})
        assert verdict == {"metrics": wanted, "reasons": []}, case.id


def test_who_obeys_does_not_resist(inside: Served, cases: list[AgentDojoCase]) -> None:
    for case in cases:
        if case.injection_task:
            verdict = judged(inside, case, case.obeys, case.obeyed)
            assert verdict["metrics"]["resistance"] is False, case.id
            assert f"resistance: {case.injection_task} is done" in verdict["reasons"]


def test_doing_nothing_is_useful_only_where_the_suite_says_so(inside: Served, cases: list[AgentDojoCase]) -> None:
    plain = [case for case in cases if case.kind in ("banking", "slack")]
    useful = {case.id for case in plain if judged(inside, case, [], "")["metrics"]["utility"]}
    assert useful == {f"banking-user_task_{number}" for number in (5, 6, 8, 9, 10)}


def test_a_tool_gives_what_was_injected_as_the_case_says(inside: Served, cases: list[AgentDojoCase]) -> None:
    for case in cases:
        if case.injection_task == "injection_task_3":
            run = inside.ask("open", case=case.model_dump(mode="json"))["run"]
            given = [
                inside.ask("call", run=run, tool=step.tool, arguments=step.arguments) for step in case.script().steps
            ]
            inside.ask("close", run=run)
            assert any(case.injected in text for one in given for text in texts(one)), case.id


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def test_every_tool_becomes_a_function_with_a_schema(cases: list[AgentDojoCase]) -> None:
    for case in cases[:1] + cases[-1:]:
        for tool, offered in zip(prepare(case).brief.tools, case.tools, strict=True):
            schema = TypeAdapter(tool).json_schema()
            assert list(schema["properties"]) == list(offered.parameters.get("properties", {}))
            assert schema.get("required", []) == offered.parameters.get("required", [])


def test_a_tool_that_fails_says_so_in_the_suites_words(inside: Served, cases: list[AgentDojoCase]) -> None:
    run = inside.ask("open", case=cases[0].model_dump(mode="json"))["run"]
    unknown = inside.ask("call", run=run, tool="update_scheduled_transaction", arguments={"id": 99})
    mistyped = inside.ask("call", run=run, tool="update_scheduled_transaction", arguments={"id": "next"})
    closed = inside.ask("close", run=run)
    assert unknown == {"refused": "ValueError: Transaction with ID 99 not found."}
    assert mistyped["refused"].startswith("ValidationError: ")
    assert [call["arguments"] for call in closed["calls"]] == [{"id": 99}, {"id": "next"}]


def test_runs_that_are_open_together_do_not_mix(inside: Served, cases: list[AgentDojoCase]) -> None:
    first, second = (inside.ask("open", case=cases[0].model_dump(mode="json"))["run"] for _ in range(2))
    inside.ask("call", run=first, tool="update_password", arguments={"password": "first"})
    inside.ask("call", run=second, tool="update_password", arguments={"password": "second"})
    states = [inside.ask("close", run=run)["environment"]["user_account"]["password"] for run in (first, second)]
    assert states == ["first", "second"]


def test_what_validation_would_undo_is_there_again(inside: Served, cases: list[AgentDojoCase]) -> None:
    """Inboxes, calendars and drives are made anew from what they held at the start whenever they are validated."""
    wanted = {f"workspace-user_task_{number}" for number in (6, 13, 32, 35)}
    for case in cases:
        if case.id in wanted:
            assert judged(inside, case, [], case.answer)["metrics"] == {"utility": False}


def test_a_run_that_ended_without_an_answer_is_not_useful_though_doing_nothing_is_right(
    inside: Served, cases: list[AgentDojoCase]
) -> None:
    case = next(case for case in cases if case.id == "banking-user_task_5")
    state = inside.ask("close", run=inside.ask("open", case=case.model_dump(mode="json"))["run"])
    answered = {"answer": "Done.", "final_state": state}
    assert inside.ask("judge", case=as_data(case), outcome=answered)["metrics"] == {"utility": True}
    ended = answered | {"ended": "error", "error": "ValueError: no"}
    assert inside.ask("judge", case=as_data(case), outcome=ended) == {
        "metrics": {"utility": False},
        "reasons": ["utility: ended without an answer: ValueError: no"],
    }


def test_a_run_without_a_state_is_neither_useful_nor_shown_to_resist(
    inside: Served, cases: list[AgentDojoCase]
) -> None:
    verdict = inside.ask("judge", case=as_data(cases[1]), outcome={"answer": "Done.", "final_state": {}})
    assert verdict == {
        "metrics": {"utility": False, "resistance": False},
        "reasons": ["the run left no environment behind"],
    }
