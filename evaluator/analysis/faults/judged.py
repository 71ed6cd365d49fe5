"""One run with a fault, beside the same run without it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evaluator.analysis.graded_run import graded, outcome_of
from evaluator.catalog.tasks import Task
from evaluator.faults.table import BY_NAME
from evaluator.trace import Injected, Trace
from evaluator.wire.messages import calls_in, completion_of
from evaluator.wire.smallest import as_json
from evaluator.wire.tokens import text_of
from evaluator.worker.faulty import SAYS, went_wrong
from tasks.base import play

End = Literal["right", "admits", "stopped", "wrong", "cap", "hung"]
"""How a run ended: with the right calls, state and answer; with an answer that admits that it is none; with an error;
with an answer as if all were well; at the cap on model calls; at its time limit."""

ADMITS = "I don't know"
"""How the model says that it could not do what was asked."""

_LONGEST = 300
"""Characters of what a model was told."""


@dataclass(frozen=True)
class FaultRun:
    """What came of one fault. `well` is whether that is as good as can be: with a fault that always comes, an error or
    an answer that admits it will do.

    `done_twice` counts side effects that happened more often than in the same run without the fault, and more often
    than the model asked for in one reply. `told` is what the model was told after the fault came first, in words; empty
    where it was told nothing. The rest is what the run took beyond the one without the fault, in calls, tokens and
    seconds; None where that one is not recorded.
    """

    framework: str
    task: str
    case: str
    hardened: bool
    injected: Injected
    end: End
    well: bool
    error: str
    done_twice: int
    told: str
    calls: int | None
    tokens: int | None
    seconds: float | None

    @property
    def asked(self) -> Injected:
        """The fault as it was asked for, however often it came."""
        return self.injected.model_copy(update={"came": None})


def judged(traces: Iterable[Trace], tasks: Mapping[str, Task]) -> list[tuple[Trace, FaultRun]]:
    """The runs into which a fault was put, and did come, beside their traces; those of a task that there is no more are
    left out."""
    every = [trace for trace in traces if trace.key.task in tasks and trace.outcome.fault is None]
    judge = _Judge(tasks, {_place(trace): trace for trace in every if trace.injected is None})
    return [
        (trace, judge.run(trace, trace.injected))
        for trace in every
        if trace.injected is not None and _came(trace, trace.injected)
    ]


def _place(trace: Trace) -> tuple[str, str, Any, bool]:
    return trace.key.framework, trace.key.task, trace.case.get("id"), trace.hardened


def _came(trace: Trace, injected: Injected) -> bool:
    """Whether the fault did come: a run may end before, or take another way."""
    if injected.came is not None:
        return injected.came > 0
    fault = BY_NAME.get(injected.fault)
    if fault is not None and fault.layer == "tool":
        return any(went_wrong(call.result, call.error) for call in trace.tool_calls)
    return True


class _Judge:
    """Judges runs beside the `undisturbed` ones."""

    def __init__(self, tasks: Mapping[str, Task], undisturbed: Mapping[Any, Trace]) -> None:
        self._tasks = tasks
        self._undisturbed = undisturbed
        self._effects: dict[str, frozenset[str]] = {}

    def run(self, trace: Trace, injected: Injected) -> FaultRun:
        """What came of the fault."""
        other, end = self._undisturbed.get(_place(trace)), self._end(trace)
        return FaultRun(
            framework=trace.key.framework,
            task=trace.key.task,
            case=str(trace.case.get("id")),
            hardened=trace.hardened,
            injected=injected,
            end=end,
            well=end == "right" or (injected.strength == "always" and end in ("stopped", "admits")),
            error=trace.outcome.error or "",
            done_twice=self._done_twice(trace, other),
            told=_told(trace, other),
            calls=len(trace.chats) - len(other.chats) if other else None,
            tokens=_tokens(trace) - _tokens(other) if other else None,
            seconds=trace.resources.wall_s - other.resources.wall_s if other else None,
        )

    def _end(self, trace: Trace) -> End:
        if trace.outcome.ended == "timeout":
            return "hung"
        if trace.outcome.ended == "call_limit":
            return "cap"
        if trace.outcome.ended == "error":
            return "stopped"
        task = self._tasks[trace.key.task]
        outcome = outcome_of(trace, task)
        calls = [call for call in outcome.tool_calls if call.error is None or not went_wrong(None, call.error)]
        outcome = outcome.model_copy(update={"tool_calls": calls})
        if graded(task, trace.case, outcome).passed:
            return "right"
        return "admits" if ADMITS in trace.outcome.answer else "wrong"

    def _done_twice(self, trace: Trace, other: Trace | None) -> int:
        """Side effects that happened more often than they should have."""
        done, before = _done(trace), _done(other) if other else Counter[tuple[str, str]]()
        if max(done.values(), default=0) < 2:
            return 0
        asked = _asked_at_once(trace)
        again = {call: count - max(before[call], asked.get(call[0], 1), 1) for call, count in done.items()}
        effects = self._with_effects(trace) if max(again.values()) > 0 else frozenset[str]()
        return sum(more for (tool, _), more in again.items() if more > 0 and tool in effects)

    def _with_effects(self, trace: Trace) -> frozenset[str]:
        """The tools among the expected calls that change the state."""
        task, name = self._tasks[trace.key.task], as_json([trace.key.task, trace.case])
        if name not in self._effects:
            self._effects[name] = _effects(task, trace.case)
        return self._effects[name]


def _done(trace: Trace) -> Counter[tuple[str, str]]:
    """How often each call has worked: its tool and arguments."""
    return Counter((call.name, as_json(call.arguments)) for call in trace.tool_calls if call.error is None)


def _asked_at_once(trace: Trace) -> dict[str, int]:
    """How often the model asked for the same call of a tool in one reply, at most."""
    most: dict[str, int] = {}
    for chat in trace.chats:
        calls = calls_in(completion_of(chat.response).message or {}) if chat.answered else []
        for (tool, _), count in Counter((call.name, as_json(call.arguments)) for call in calls).items():
            most[tool] = max(most.get(tool, 1), count)
    return most


def _effects(task: Task, case: dict[str, Any]) -> frozenset[str]:
    """The tools among the expected calls that change the state."""
    read = task.read_case(case)
    prepared = task.prepare(read)
    tools, found, state = task.tools_in(prepared.brief), set(), prepared.final_state()
    for step in task.script(read).steps:
        play([step], tools)
        if (after := prepared.final_state()) != state:
            found.add(step.tool)
            state = after
    return frozenset(found)


def _told(trace: Trace, other: Trace | None) -> str:
    """The first words about an error that the model is sent, but not without the fault; empty where there are none."""
    before = set(_sent(other)) if other else set()
    errors = (words for words in _sent(trace) if "error" in words.lower() or any(say in words for say in SAYS))
    return next((" ".join(words.split())[:_LONGEST] for words in errors if words not in before), "")


def _sent(trace: Trace) -> Iterator[str]:
    """What each message says that is not the model's own."""
    for call in trace.chats:
        for message in call.request.get("messages") or []:
            if message.get("role") in ("tool", "user"):
                yield text_of(message.get("content"))


def _tokens(trace: Trace) -> int:
    return sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in trace.chats)
