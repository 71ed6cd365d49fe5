"""Finds the capability tasks by their folders."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from evaluator.catalog.folders import TASKS, capability_names
from evaluator.catalog.tasks import Task, defined, module
from evaluator.errors import Mistake
from tasks.base import Prepared
from tasks.capability import CapabilityCase, Check, Observed, Play
from tasks.cases import CasesError
from tasks.wire import ONLY_AGENT, Agent, OnTheWire


@dataclass(frozen=True)
class Capability:
    """One folder of `tasks/` with an `observe.py`: what it and `spec.py` define. `title` is its docstring's."""

    name: str
    title: str
    folder: Path
    case_type: type[CapabilityCase]
    cases: tuple[Any, ...]
    prepare: Callable[..., Prepared]
    play: Callable[[Any], Play]
    observe: Callable[[Any, Observed], list[Check]]


def all_capabilities(folder: Path = TASKS) -> dict[str, Capability]:
    """Every capability task by name, sorted. Raises `Mistake`."""
    return {name: _capability(folder / name) for name in capability_names(folder)}


def as_task(capability: Capability) -> Task:
    """The capability as a task whose runs can be recorded. They are not graded but observed."""
    return Task(
        name=capability.name,
        folder=capability.folder,
        case_type=cast(Any, capability.case_type),
        load=lambda: list(capability.cases),
        prepare=capability.prepare,
        script=capability.play,
        grade=_not_graded,
        on_the_wire=_on_the_wire,
        also=(capability.folder.parent / "capability.py",),
    )


def _not_graded(*_: Any) -> Any:
    raise NotImplementedError("a run of a capability task is observed, not graded")


def _on_the_wire(brief: Any) -> OnTheWire:
    """What the requests of a run are shown against: whatever of instructions and tools the brief has."""
    agents = [
        Agent(one.name, one.instructions, ())
        for one in (*getattr(brief, "branches", ()), *([brief.join] if hasattr(brief, "join") else ()))
    ]
    tools = tuple(getattr(brief, "tools", ()))
    question = getattr(brief, "question", "\n".join(getattr(brief, "messages", ())))
    return OnTheWire(question, tuple(agents) or (Agent(ONLY_AGENT, brief.instructions, tools),))


def _capability(folder: Path) -> Capability:
    spec = module(folder, "spec")
    try:
        cases = tuple(defined(spec, "load")())
    except CasesError as mistake:
        raise Mistake(str(mistake)) from None
    return Capability(
        name=folder.name,
        title=str(module(folder, "__init__").__doc__).partition(":")[0],
        folder=folder,
        case_type=defined(spec, "CASE_TYPE"),
        cases=cases,
        prepare=defined(spec, "prepare"),
        play=defined(spec, "play"),
        observe=defined(module(folder, "observe"), "observe"),
    )
