"""The ladder of the tasks with tools: levels, sizes, small settings, and that nothing can be had without work."""

import json
from collections import Counter
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from pydantic_core import to_json

from tasks.base import Step, ToolCall
from tasks.cases import CasesError, load_cases, of_size
from tasks.grading import floor_outcomes, states
from tasks.handoff import grade as handoff_grade
from tasks.handoff import spec as handoff
from tasks.tool_calling import grade as tool_calling_grade
from tasks.tool_calling import spec as tool_calling

TASKS = [(tool_calling, tool_calling_grade), (handoff, handoff_grade)]

each_task = pytest.mark.parametrize(("spec", "grade"), TASKS, ids=[spec.__name__.split(".")[1] for spec, _ in TASKS])
every_case = pytest.mark.parametrize(
    ("case", "spec", "grade"),
    [pytest.param(case, spec, grade, id=case.id) for spec, grade in TASKS for case in spec.load()],
)


def steps(case: Any) -> list[Step]:
    return [step for turn in case.turns for step in turn]


def told(call: ToolCall) -> str:
    return call.error or to_json(call.result).decode()


# --- levels and sizes ------------------------------------------------------------------------


@each_task
def test_there_are_sixteen_cases_a_level_and_four_of_each_in_standard(spec: ModuleType, grade: ModuleType) -> None:
    cases = spec.load()
    levels = {size: Counter(case.level for case in of_size(cases, size)) for size in ("quick", "standard", "full")}
    assert levels["quick"] == {1: 1, 2: 1}
    assert levels["standard"] == dict.fromkeys((1, 2, 3, 4), 4)
    assert set(levels["full"]) == {1, 2, 3, 4} and min(levels["full"].values()) >= 16


@each_task
def test_every_line_says_its_level(spec: ModuleType, grade: ModuleType) -> None:
    assert [case.id for case in spec.load() if "level" not in case.model_fields_set] == []


@every_case
def test_a_level_is_what_it_says(case: Any, spec: ModuleType, grade: ModuleType) -> None:
    there = len(case.tools) if spec is tool_calling else len(case.agents)
    everything = len(tool_calling.TOOL_NAMES) if spec is tool_calling else len(handoff.AGENTS)
    match case.level:
        case 1:
            assert 2 <= there <= (3 if spec is tool_calling else 2) and case.prompt == "short"
            assert len(steps(case)) == 1
        case 2:
            assert len(steps(case)) <= 1
        case 3:
            assert len(steps(case)) in (2, 3)
        case 4:
            assert len(steps(case)) >= 3
            agents = {step.agent for step in steps(case)}
            assert spec is tool_calling or len(agents) >= 3
    if case.level > 1:
        assert (there, case.prompt) == (everything, "full")


@every_case
def test_a_perfect_run_has_calls_to_spare(case: Any, spec: ModuleType, grade: ModuleType) -> None:
    """A run may make ten model calls: a turn is one, so is each hand-over, and so is the answer."""
    turns = [turn[0].agent for turn in case.turns]
    visited = [handoff.ENTRY, *turns] if spec is handoff else turns
    hand_overs = sum(before != after for before, after in pairwise(visited))
    assert len(turns) + hand_overs + 1 <= 7


@each_task
def test_kinds_are_spread_over_levels_and_sizes(spec: ModuleType, grade: ModuleType) -> None:
    standard = of_size(spec.load(), "standard")
    assert len({case.kind for case in standard}) >= 9
    assert all(len({case.kind for case in spec.load() if case.level == level}) >= 2 for level in (1, 2, 3, 4))


# --- what a case asks for has to be worked for -----------------------------------------------


@every_case
def test_the_perfect_run_passes(case: Any, spec: ModuleType, grade: ModuleType) -> None:
    verdict = grade.grade(case, grade.gold(case))
    assert verdict.passed, verdict.reasons


@every_case
def test_each_fact_stands_in_what_the_calls_give_and_not_in_the_question(
    case: Any, spec: ModuleType, grade: ModuleType
) -> None:
    agents = getattr(spec.prepare(case).brief, "agents", None) or [spec.prepare(case).brief]
    given = "\n".join([*(agent.instructions for agent in agents), *map(told, grade.gold(case).tool_calls)])
    for spellings in case.needs():
        assert any(states(given, spelling) for spelling in spellings), spellings
        if case.turns:
            assert not any(states(case.question, spelling) for spelling in spellings), spellings


@each_task
def test_whoever_does_nothing_passes_next_to_nothing(spec: ModuleType, grade: ModuleType) -> None:
    passed = {
        case.id
        for case in spec.load()
        for outcome in floor_outcomes(case, spec.prepare(case).final_state()).values()
        if grade.grade(case, outcome).passed
    }
    assert all(not case.turns for case in spec.load() if case.id in passed)
    sizes = Counter(case.size for case in spec.load() if case.id in passed)
    assert sizes["quick"] == 0 and sizes["standard"] <= 1 and sum(sizes.values()) <= 4


# --- the small setting -----------------------------------------------------------------------


def small(spec: ModuleType) -> Any:
    return next(case for case in spec.load() if case.level == 1)


def test_a_small_case_offers_only_its_tools_in_their_usual_order() -> None:
    case = small(tool_calling)
    brief = tool_calling.prepare(case).brief
    names = [tool.__name__ for tool in brief.tools]
    assert set(names) == set(case.tools) and names == [name for name in tool_calling.TOOL_NAMES if name in case.tools]
    assert brief.instructions == tool_calling.SHORT_INSTRUCTIONS
    assert len(brief.instructions) < len(tool_calling.INSTRUCTIONS) / 2


def test_a_small_case_has_two_agents_who_know_of_each_other_alone() -> None:
    case = small(handoff)
    brief = handoff.prepare(case).brief
    names = [agent.name for agent in brief.agents]
    assert set(names) == set(case.agents) and brief.entry in names
    for agent in brief.agents:
        assert agent.handoffs == [name for name in names if name != agent.name]
        assert agent.instructions == handoff.SHORT_INSTRUCTIONS[agent.name]
        assert len(agent.instructions) < len(handoff.INSTRUCTIONS[agent.name]) * 0.8
        assert not any(name in agent.instructions for name in handoff.AGENTS if name not in names)


def test_what_is_offered_is_an_input_and_the_level_is_not() -> None:
    for spec, field in ((tool_calling, "tools"), (handoff, "agents")):
        case = small(spec)
        assert {field, "prompt"} <= set(case.inputs()) and "level" not in case.inputs()


@pytest.mark.parametrize(
    ("spec", "change", "words"),
    [
        (tool_calling, {"tools": tool_calling.TOOL_NAMES[:4]}, "level 1 offers at most 3 tools, not 4"),
        (tool_calling, {"prompt": "full"}, "level 1 has the short prompt"),
        (tool_calling, {"tools": ["get_order", "fly"]}, "tools: Value error, there is no tool 'fly'"),
        (tool_calling, {"tools": ["check_stock"]}, "get_order is expected to be called but is not in `tools`"),
        (tool_calling, {"tools": []}, "tools: "),
        (
            tool_calling,
            {"turns": [[{"tool": "get_order", "arguments": {"order_id": "O-1"}}]]},
            "an expected call fails: There is no order O-1",
        ),
        (
            tool_calling,
            {"turns": [[{"tool": "get_order", "arguments": {"order_id": "O-5001"}, "error": True}]]},
            "get_order should have failed",
        ),
        (handoff, {"agents": ["triage", "billing", "sales"]}, "level 1 has at most 2 agents, not 3"),
        (handoff, {"prompt": "full"}, "level 1 has the short prompt"),
        (handoff, {"agents": ["triage", "legal"]}, "agents: Value error, there is no agent 'legal'"),
        (handoff, {"agents": ["billing"]}, "agents: Value error, triage must be there"),
        (handoff, {"agents": ["triage", "sales"]}, "get_invoice is a tool of billing, who is not in `agents`"),
    ],
)
def test_a_wrong_small_case_is_named(tmp_path, spec, change, words) -> None:
    quick = next(case for case in spec.load() if case.level == 1 and case.size == "quick")
    line = json.loads(quick.model_dump_json(exclude_defaults=True)) | change
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(CasesError) as raised:
        load_cases(path, spec.CASE_TYPE)
    assert str(raised.value).startswith(f"{path}:1: ")
    assert words in str(raised.value) and "\n" not in str(raised.value)


@each_task
def test_a_file_of_cases_may_begin_with_a_byte_order_mark(tmp_path, spec, grade) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(spec.load()[0].model_dump_json() + "\r\n", encoding="utf-8-sig", newline="")
    assert load_cases(path, spec.CASE_TYPE) == spec.load()[:1]
