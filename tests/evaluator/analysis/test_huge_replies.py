"""Work that grows with what a model's server replies, and no faster; counted in steps of Python, never timed."""

import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from factories import tool_call
from huge_replies import CALLS, calling, searching
from played import TASKS

from evaluator.analysis import parity
from evaluator.analysis.graded_run import grade_run
from evaluator.analysis.parity.calls import Asked, Made, Waiting, shown_marks
from evaluator.trace import Trace, TracedToolCall

SIZES = (40, 80)
LINEAR = 2.3
"""How many times the steps there may be for twice the calls."""


def steps(work: Callable[[], Any]) -> int:
    """How many steps of Python (opcodes) it takes."""
    counted = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal counted
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        counted += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return counted


def scored(trace: Trace) -> None:
    parity.compare(parity.observe(trace, TASKS[trace.key.task]))
    grade_run(trace, TASKS[trace.key.task])


KINDS: dict[str, Callable[[int, bool], Trace]] = {
    **{name: lambda number, told, name=name: calling(name, number, told) for name in CALLS},
    "searches": searching,
}


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_scoring_grows_with_the_number_of_calls(kind: str, told: bool) -> None:
    traces = [KINDS[kind](size, told) for size in SIZES]
    for trace in traces:
        scored(trace)  # so that what is kept from run to run is there
    less, more = (steps(lambda trace=trace: scored(trace)) for trace in traces)
    assert more < LINEAR * less


def taken(made: list[TracedToolCall], asked: Asked, defaults: dict[str, Any]) -> TracedToolCall | None:
    """What `Made` is to do, by looking at every call."""
    alike = [call for call in made if call.name == asked.name]
    wanted = asked.arguments if isinstance(asked.arguments, dict) else {}
    exactly = [call for call in alike if call.arguments == {**defaults, **wanted}]
    more = [call for call in alike if all(call.arguments.get(name) == value for name, value in wanted.items())]
    found = [*exactly, *more, *alike][:1]
    for call in found:
        made.remove(call)
    return found[0] if found else None


VALUES = [None, 0, 1, 1.0, True, "1", [], [1], [True], {}, {"a": 1}, {"a": 1.0}, {"a": None}]


def some_arguments(chance: random.Random) -> dict[str, Any]:
    return {name: chance.choice(VALUES) for name in "abc" if chance.random() < 0.6}


@pytest.mark.parametrize("seed", range(50))
def test_a_recorded_call_is_found_as_by_looking_at_every_one(seed: int) -> None:
    chance = random.Random(seed)
    calls = [tool_call(n, n + 1, chance.choice("xy"), arguments=some_arguments(chance)) for n in range(12)]
    waiting, every = Made(calls), list(calls)
    for _ in range(14):
        arguments = chance.choice([some_arguments(chance), some_arguments(chance), "no JSON"])
        asked = Asked("1", chance.choice("xyz"), arguments, "")
        defaults = chance.choice([{}, {"a": 1}, {"b": None, "c": []}])
        assert waiting.take(asked, defaults) is taken(every, asked, defaults)
        assert waiting.rest() == every


@pytest.mark.parametrize("seed", range(50))
def test_a_call_that_a_request_shows_is_found_as_by_looking_at_every_one(seed: int) -> None:
    chance = random.Random(seed)

    def some_call() -> Asked:
        return Asked(chance.choice([None, "1", "2"]), chance.choice("xy"), chance.choice(VALUES), "")

    calls = [some_call() for _ in range(12)]
    waiting, every = Waiting(calls, shown_marks), list(calls)
    for _ in range(14):
        shown = some_call()
        found = [
            one for one in every if one.name == shown.name and (one.id == shown.id or one.arguments == shown.arguments)
        ]
        assert waiting.take(*shown_marks(shown)) is (found[0] if found else None)
        for one in found[:1]:
            every.remove(one)
        assert waiting.rest() == every


def test_of_very_many_missing_results_some_are_looked_for_and_the_rest_is_counted() -> None:
    kind = "each of a tool that there is not"
    run = parity.observe(calling(kind, 250, told=False), TASKS["tool_calling"])
    missing = [one.example for step in run.steps for one in step.differences if one.name == "missing tool result"]
    assert len(missing) == 201
    assert missing[0] == "50 results more than are looked for elsewhere"
    assert missing[1] == 'tool_0 {"order_id":"O-0"}'
