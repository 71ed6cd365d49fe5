"""One run beside the task's spec."""

from collections.abc import Iterable
from dataclasses import dataclass

from evaluator.analysis.parity.calls import Asked, as_json, calls_in, searched_for
from evaluator.analysis.parity.request import ChatRequest, Difference
from evaluator.analysis.parity.spec import TaskSpec, task_spec
from evaluator.catalog.tasks import Task
from evaluator.trace import Key, Trace
from evaluator.wire.messages import completion_of
from evaluator.wire.tool_schemas import collapsed


@dataclass(frozen=True)
class Step:
    """One answered chat call: `agent` had its turn after the tool calls `made`. `parts` are its tokens by part."""

    agent: str | None
    made: tuple[str, ...]
    prompt_tokens: int | None
    parts: dict[str, int]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Observation:
    """What one trace says by itself: its steps, all tool calls asked for, and the documents that each search found."""

    key: Key
    steps: tuple[Step, ...]
    made: tuple[str, ...]
    found: dict[str, tuple[str, ...]]


def observe(trace: Trace, task: Task) -> Observation:
    """Compare every answered chat call of a run with the spec of `task`.

    Raises `pydantic.ValidationError` for a case that is none of this task, and `AttributeError`, `LookupError`,
    `TypeError` or `ValueError` for requests that are no chat requests.
    """
    spec = task_spec(task, trace.case)
    asked: list[Asked] = []
    said: set[str] = set()
    steps: list[Step] = []
    found: dict[str, tuple[str, ...]] = {}
    calls = [call for call in trace.chats if call.answered]
    if any(call.api != "chat_completions" for call in calls):
        raise ValueError("it uses the API `responses`, which is compared with nothing here")
    for call in sorted(calls, key=lambda call: call.start_s):
        request = ChatRequest(call, spec, trace, tuple(asked), frozenset(said))
        steps.append(
            Step(
                agent=request.agent.name if request.agent else None,
                made=_made(asked, spec),
                prompt_tokens=call.input_tokens,
                parts=request.parts(),
                differences=tuple(request.differences()),
            )
        )
        found.update(request.found())
        reply = completion_of(call.response)
        asked += calls_in(reply.message or {})
        said.add(collapsed(reply.text))
    return Observation(trace.key, tuple(steps), _made(asked, spec), found)


def _made(asked: Iterable[Asked], spec: TaskSpec) -> tuple[str, ...]:
    """The calls as text, without handoffs and in any order. Of a search only the words count."""
    calls = (call for call in asked if not spec.is_handoff(call.name))
    return tuple(
        sorted(searched_for(call) if spec.passages else f"{call.name} {as_json(call.arguments)}" for call in calls)
    )
