"""One run beside the task's spec."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluator.analysis.parity.calls import Asked, as_json, calls_in, searched_for
from evaluator.analysis.parity.conversation import Conversation
from evaluator.analysis.parity.request import ChatRequest, Difference
from evaluator.analysis.parity.spec import AgentSpec, TaskSpec, task_spec
from evaluator.analysis.remembered import Remembered
from evaluator.catalog.tasks import Task
from evaluator.providers.names import SCRIPTED
from evaluator.trace import Key, Trace
from evaluator.wire.messages import completion_of
from evaluator.wire.tool_schemas import collapsed


@dataclass(frozen=True)
class Step:
    """One answered chat call. `agent` had its turn; None where nothing of any agent was sent.

    `parts` are the tokens of the request by part, and `canonical` those of the canonical request. There is no such step
    where the call `follows_the_answer`: the model had answered already, and the call led to no further tool call.
    """

    agent: str | None
    parts: dict[str, int]
    canonical: dict[str, int]
    follows_the_answer: bool
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Observation:
    """What one trace says by itself.

    `chats` are the chat calls, failed ones too. `skipped` says in words which calls the canonical run has besides, and
    `unlike_script` how the tool calls differ from those that the scripted model makes. `found` are the documents that
    each search found.
    """

    key: Key
    chats: int
    steps: tuple[Step, ...]
    skipped: tuple[str, ...]
    unlike_script: str
    found: dict[str, tuple[str, ...]]


def observe(trace: Trace, task: Task) -> Observation:
    """Compare every answered chat call of a run with the spec of `task`.

    Raises `pydantic.ValidationError` for a case that is none of this task, and `AttributeError`, `LookupError`,
    `TypeError` or `ValueError` for requests that are no chat requests.
    """
    observation = _OBSERVATIONS.of(task, _all_that_is_read(trace), lambda: _observed(trace, task))
    return replace(observation, key=trace.key)


_OBSERVATIONS = Remembered[Observation](most=1024)
"""A framework's runs of a case say the same at most of its releases."""


def _all_that_is_read(trace: Trace) -> list[Any]:
    """Of times nothing is read but which was first."""
    chats, tools = trace.chats, trace.tool_calls
    times = sorted({*(call.start_s for call in chats), *(time for one in tools for time in (one.start_s, one.end_s))})
    place = {time: number for number, time in enumerate(times)}
    return [
        trace.key.model,
        trace.setup.temperature,
        trace.setup.replayed_model,
        trace.case,
        trace.outcome.ended,
        trace.outcome.refused_calls,
        [[one.api, one.answered, place[one.start_s], one.request, one.response] for one in chats],
        [
            [one.agent, one.name, one.arguments, one.result, one.error, place[one.start_s], place[one.end_s]]
            for one in tools
        ],
    ]


def _observed(trace: Trace, task: Task) -> Observation:
    spec = task_spec(task, trace.case)
    asked: list[Asked] = []
    said: set[str] = set()
    steps: list[Step] = []
    found: dict[str, tuple[str, ...]] = {}
    conversation = Conversation(spec, trace.tool_calls)
    answered = False
    asks: list[Asked] = []
    calls = sorted((call for call in trace.chats if call.answered), key=lambda call: call.start_s)
    if any(call.api != "chat_completions" for call in calls):
        raise ValueError("it uses the API `responses`, which is compared with nothing here")
    for call in calls:
        request = ChatRequest(call, spec, trace, tuple(asked), frozenset(said))
        reply = completion_of(call.response)
        asks = calls_in(reply.message or {})
        agent = request.agent
        steps.append(
            Step(
                agent=agent.name if agent else None,
                parts=request.parts(),
                canonical=_canonical(spec, agent, conversation.tokens_at(request, call.start_s)),
                follows_the_answer=answered and all(spec.is_handoff(one.name) for one in asks),
                differences=tuple(request.differences()),
            )
        )
        found.update(request.found())
        conversation.add(agent, reply.text, asks)
        asked += asks
        said |= {collapsed(reply.text), collapsed(reply.text_with_tags)}
        if agent is not None:
            answered = not asks
    return Observation(
        key=trace.key,
        chats=len(trace.chats),
        steps=tuple(steps),
        skipped=tuple(_skipped(trace, spec, steps, bool(asks))),
        unlike_script=_unlike_script(trace, task, spec, asked) if trace.key.model == SCRIPTED else "",
        found=found,
    )


def _canonical(spec: TaskSpec, agent: AgentSpec | None, conversation: int) -> dict[str, int]:
    return {**spec.standing_parts[agent.name], "conversation": conversation} if agent else {}


def _skipped(trace: Trace, spec: TaskSpec, steps: Sequence[Step], calls_are_open: bool) -> Iterator[str]:
    """The calls of the canonical run that this one does not have, whatever the model said."""
    first = next((step.agent for step in steps if step.agent is not None), None)
    if first is not None and first != spec.agents[0].name:
        yield f"{spec.agents[0].name}, the first agent, had no turn"
    all_answered = all(call.answered for call in trace.chats) and not trace.outcome.refused_calls
    if calls_are_open and all_answered and trace.outcome.ended == "answered":
        yield f"call {len(steps)}, the last one, asked for tools, and the model was not told what they gave"


def _unlike_script(trace: Trace, task: Task, spec: TaskSpec, asked: Iterable[Asked]) -> str:
    """How the tool calls differ from those that the scripted model makes, in words; handoffs are not looked at.

    It searches only until it has found what it needs.
    """
    script = task.script(task.read_case(trace.case))
    made = [one for one in asked if not spec.is_handoff(one.name)]
    if spec.passages:
        searched = [searched_for(one) for one in made]
        return _what_differs(searched, script.searches[: max(len(searched), 1)])
    expected = [f"{step.tool} {as_json(step.arguments)}" for step in script.steps]
    return _what_differs([f"{one.name} {as_json(one.arguments)}" for one in made], expected)


def _what_differs(made: Sequence[str], expected: Sequence[str]) -> str:
    more, less = Counter(made) - Counter(expected), Counter(expected) - Counter(made)
    words = [f"also {call}" for call in more.elements()] + [f"not {call}" for call in less.elements()]
    return "; ".join(words)
