"""Faults as runs: which case gets which fault, and where."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, chain
from typing import Any

from evaluator.catalog.frameworks import Framework, hardened, implements
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.errors import Mistake
from evaluator.faults.script import TIMES, FaultScript, Place, Strength, placed
from evaluator.faults.table import BY_NAME, FAULTS, Fault
from evaluator.harness.jobs import Job
from evaluator.trace import Injected
from evaluator.wire.tool_results import leaves
from evaluator.worker.faulty import Faulty
from tasks.base import Step, play
from tasks.cases import Case, Script

SEED = 1
"""Of the runs that the project shows."""

AT_ONCE = 8
"""Runs at a time: many of them wait, for a server that stalls or before they try again."""

LEVELS = (1, 2, 3)

_CASES_OF_LASTING = 3


def named(names: str | None) -> tuple[str, ...]:
    """The faults that the user names, with commas between them; none for all. Raises `Mistake`."""
    wanted = tuple(name.strip() for name in (names or "").split(",") if name.strip())
    if unknown := [name for name in wanted if name not in BY_NAME]:
        raise Mistake(f"--faults {unknown[0]!r}: there is no such fault; there are {', '.join(BY_NAME)}")
    return wanted


def jobs(
    frameworks: Iterable[Framework], task_names: Iterable[str], faults: Iterable[str] = (), seed: int = SEED
) -> list[Job]:
    """The runs: the same fault at the same place of the same case, with every framework that has the task.

    For each fault, strength and task a case is drawn in which it fits, and the fault is put at its first, a middle and
    its last place. Of a fault that lasts from beginning to end there is but one strength; there, three cases are drawn.
    Each case that was drawn is run undisturbed, too, and all of that with the frameworks' `hardened`
    modules as well. The same seed draws the same.
    """
    tasks, order, wanted = all_tasks(), list(frameworks), set(faults)
    disturbed: list[Job] = []
    undisturbed: dict[tuple[str, str], list[Job]] = {}
    for name in task_names:
        task = tasks[name]
        cases = sorted((case for case in task.load() if case.level in LEVELS), key=lambda case: case.id)
        modules = [(framework, False) for framework in order if implements(framework, name)]
        modules += [(framework, True) for framework in order if implements(framework, hardened(name))]
        for fault in FAULTS:
            fitting = [case for case in cases if moments(fault, task.script(case))]
            if not fitting or (wanted and fault.name not in wanted):
                continue
            for strength, case, place, moment in _drawn(fault, task, fitting, seed):
                injected = Injected(fault=fault.name, strength=strength, place=place, moment=moment)
                disturbed += [job_of(task, case, injected, *module) for module in modules]
                undisturbed.setdefault((name, case.id), [job_of(task, case, None, *module) for module in modules])
    return [*chain.from_iterable(undisturbed.values()), *disturbed]


def moments(fault: Fault, script: Script) -> list[int]:
    """The moments of a run at which a fault fits: the numbers of its expected calls, or else of its searches.

    Calls that are made in one turn are one moment to the model.
    """
    steps = script.steps
    if fault.when == "answer":
        return [len(steps) or len(script.searches)]
    if fault.when == "handoff":
        return [
            number for number, step in enumerate(steps) if step.agent != (steps[number - 1].agent if number else None)
        ]
    if fault.tool is not None:
        return list(range(len(steps)))
    if fault.retrieval is not None:
        return list(range(len(script.searches)))
    turns = list(accumulate(map(len, script.turns), initial=0))[:-1]
    return turns or list(range(len(script.searches)))


def _drawn(fault: Fault, task: Task, fitting: Sequence[Case], seed: int) -> Iterator[tuple[Strength, Case, Place, int]]:
    """Which cases get the fault, how often, and where."""
    if fault.lasts:
        drawn = random.Random(f"{seed} {fault.name} {task.name}").sample(fitting, min(len(fitting), _CASES_OF_LASTING))
        yield from (("always", case, "first", 0) for case in drawn)
        return
    for strength in TIMES:
        case = random.Random(f"{seed} {fault.name} {strength} {task.name}").choice(fitting)
        for place, moment in placed(moments(fault, task.script(case))).items():
            yield strength, case, place, moment


def job_of(task: Task, case: Case, injected: Injected | None, framework: Framework, is_hardened: bool) -> Job:
    """The run of a case with this fault in it, or undisturbed."""
    return Job(
        framework,
        replace(task, script=partial(_script, task, injected)),
        case,
        1,
        injected=injected,
        faulty=None if injected is None else _faulty(injected, task.script(case).steps),
        hardened=is_hardened,
    )


def _script(task: Task, injected: Injected | None, case: Any) -> FaultScript:
    script = task.script(case)
    fields: dict[str, Any] = script.model_dump()
    if injected is not None:
        fields |= {"fault": injected.fault, "moment": injected.moment, "times": TIMES[injected.strength]}
    return FaultScript(**fields, given=_given(task, case, script.steps))


def _given(task: Task, case: Any, steps: Sequence[Step]) -> list[list[str]]:
    """What the result of each expected call says."""
    calls = play(steps, task.tools_in(task.prepare(case).brief))
    return [_new([call.result, call.error], step.arguments) for call, step in zip(calls, steps, strict=True)]


def _new(given: list[Any], arguments: dict[str, Any]) -> list[str]:
    """What a call gives beyond its own arguments, which an error may repeat; where that is nothing, all of it."""
    asked = {str(leaf) for leaf in leaves(arguments)}
    said = [str(leaf) for leaf in leaves(given) if leaf is not None and not isinstance(leaf, bool)]
    return [text for text in said if text not in asked] or said


def _faulty(injected: Injected, steps: Sequence[Step]) -> Faulty | None:
    """What of a fault is the worker's to do."""
    fault = BY_NAME[injected.fault]
    if fault.tool is not None:
        name = steps[injected.moment].tool
        skip = sum(step.tool == name for step in steps[: injected.moment])
        return Faulty(tool=fault.tool, name=name, skip=skip, times=TIMES[injected.strength])
    return Faulty(retrieval=fault.retrieval) if fault.retrieval in ("finds_nothing", "finds_duplicates") else None
