"""What every folder of `tasks/` must do, whatever the task."""

import importlib
from unittest.mock import Mock

import pytest

from evaluator.catalog.tasks import Task, all_tasks
from evaluator.harness.records import case_as_data
from evaluator.models.upstreams.probes import FAULTS
from evaluator.probes.script import SILENCE
from evaluator.probes.table import BY_NAME
from tasks.base import Outcome
from tasks.cases import of_size
from tasks.grading import floor_outcomes
from tasks.wire import OnTheWire, SearchTool

TASKS = all_tasks()

each_task = pytest.mark.parametrize(
    "task", [pytest.param(task, marks=getattr(pytest.mark, name), id=name) for name, task in TASKS.items()]
)


@each_task
def test_it_says_what_it_asks_and_has_cases(task: Task) -> None:
    assert (task.folder / "README.md").is_file()
    assert of_size(task.load(), "quick"), "`bakeoff run` makes the cases of the size quick"


@each_task
def test_a_case_is_the_same_after_it_stood_in_a_trace(task: Task) -> None:
    for case in task.load():
        assert task.read_case(case_as_data(case)) == case


@each_task
def test_a_trace_of_before_levels_takes_what_is_expected_today(task: Task) -> None:
    case = task.load()[0]
    older = {name: value for name, value in case_as_data(case).items() if name not in ("level", "stance", "allowed")}
    older["facts"] = [[*fact.says, "something else"] for fact in case.facts]
    assert task.read_case(older) == case
    assert task.read_case({**older, "level": 3}).level == 3
    asked_otherwise = task.read_case({**older, "question": "Something else?"})
    assert [fact.says for fact in asked_otherwise.facts] == older["facts"] != [fact.says for fact in case.facts]


@each_task
def test_doing_nothing_passes_no_case(task: Task) -> None:
    for case in task.load():
        assert not task.grade(case, Outcome(answer="")).passed, case.id


def assert_sound(wire: OnTheWire, question: str, passages_per_search: int | None = None) -> None:
    assert wire.question == question
    assert wire.agents and len({agent.name for agent in wire.agents}) == len(wire.agents)
    for agent in wire.agents:
        names = [tool.name if isinstance(tool, SearchTool) else tool.__name__ for tool in agent.tools]
        assert agent.instructions and len(set(names)) == len(names)
    assert bool(wire.passages) == any(isinstance(tool, SearchTool) for agent in wire.agents for tool in agent.tools)
    assert 0 < wire.k <= len(wire.passages) if wire.passages else wire.k == 0


@each_task
def test_the_perfect_run_passes_and_the_floor_earns_nothing(task: Task) -> None:
    module = importlib.import_module(task.grade.__module__)
    passed = []
    for case in task.load():
        grade = task.grade(case, module.gold(case))
        assert grade.passed and grade.score in (1, None), (case.id, grade.reasons)
        for outcome in floor_outcomes(case, task.prepare(case).final_state()).values():
            floor = task.grade(case, outcome)
            assert not floor.score, case.id
            passed += [case.size] * floor.passed
    assert "quick" not in passed and passed.count("standard") <= 1 and len(passed) <= len(task.load()) / 10


@each_task
def test_it_says_what_stands_on_its_wire(task: Task) -> None:
    for case in task.load():
        assert_sound(task.on_the_wire(task.prepare(case).brief), case.question)


@each_task
def test_its_probes_are_in_the_table_and_have_briefs(task: Task) -> None:
    assert len({case.id for case in task.probes}) == len(task.probes)
    for case in task.probes:
        assert case.task == task.name and case.kind in BY_NAME and case.fault in {None, SILENCE, *FAULTS}
        probed = task.probed()
        wire = probed.on_the_wire(probed.prepare(case).brief)
        assert_sound(wire, case.question)
        assert case.text in wire.agents[0].instructions


@each_task
def test_a_worker_can_read_a_probe_and_record_its_tools(task: Task) -> None:
    for case in task.probes:
        probed, wrapped = task.probed(), Mock(side_effect=lambda tool, agent: tool)
        module = importlib.import_module(probed.prepare.__module__)
        read = module.CASE_TYPE.model_validate(case_as_data(case))
        assert read == case
        wire = probed.on_the_wire(module.prepare(read, wrapped).brief)
        tools = [tool for agent in wire.agents for tool in agent.tools if not isinstance(tool, SearchTool)]
        assert [call.args[0] for call in wrapped.call_args_list] == tools


@each_task
def test_texts_of_a_probe_that_are_told_apart_are_not_parts_of_one_another(task: Task) -> None:
    for case in task.probes:
        if case.kind in ("unicode", "long_input"):
            texts = [case.question, case.found, case.text or "-", case.answer]
            texts += [step.arguments["title"] for turn in case.turns for step in turn if step.tool == "find_note"]
            assert not [(a, b) for a in texts for b in texts if a is not b and a in b]
