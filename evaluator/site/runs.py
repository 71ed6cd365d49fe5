"""What is shown of a run: every call in its order, the conversation as sent, and where text was added to it."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.parity import Comparison, Difference, Observation, TaskSpec, task_spec
from evaluator.catalog.tasks import Task
from evaluator.providers.prices import started_at
from evaluator.site.costs import Prices, prices
from evaluator.trace import ModelCall, Trace, TracedToolCall
from evaluator.wire.messages import calls_in, completion_of
from evaluator.wire.tokens import text_of
from evaluator.wire.tool_schemas import collapsed
from evaluator.worker.faulty import went_wrong

Kind = Literal["spec", "added", "said"]
"""Of a stretch of text: from the task's spec, added by the framework, or said by model and tools."""


@dataclass(frozen=True)
class Json:
    """Data as JSON without a blank, which is indented where it is shown."""

    compact: str


Text = str | Json
"""What a reader is shown: text as it is, or data."""


@dataclass(frozen=True)
class Span:
    """A stretch of text of one kind."""

    text: str
    kind: Kind


@dataclass(frozen=True)
class Event:
    """A call on the timeline. `number` counts the calls of a run from 1; times in seconds since its start. `injected`
    is one that a fault met on purpose."""

    number: int
    lane: Literal["model", "embeddings", "tools"]
    label: str
    start_s: float
    end_s: float
    failed: bool
    injected: bool = False


@dataclass(frozen=True)
class AskedCall:
    """A tool call that the model asked for, as it was written."""

    name: str
    arguments: Text


@dataclass(frozen=True)
class Message:
    """A message of a request, numbered over the run by its first sending."""

    number: int
    role: str
    spans: tuple[Span, ...]
    asked: tuple[AskedCall, ...]


@dataclass(frozen=True)
class OfferedTool:
    """A tool as it was offered. `whose` tells where it comes from."""

    name: str
    whose: Literal["task", "handoff", "framework"]
    description: tuple[Span, ...]
    schema: Text


@dataclass(frozen=True)
class ChatCall:
    """One chat call: what was sent, what came back, and what differs from the task's spec."""

    event: Event
    call: ModelCall
    agent: str | None
    parameters: Text
    messages: tuple[Message, ...]
    tools: tuple[OfferedTool, ...]
    tools_as_in: int | None
    cost_usd: float | None
    reply: Text
    asked: tuple[AskedCall, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class EmbeddingCall:
    """One call that embeds texts."""

    event: Event
    call: ModelCall
    what: str


@dataclass(frozen=True)
class ToolRun:
    """One call of a tool's Python function."""

    event: Event
    call: TracedToolCall
    arguments: Text
    result: Text


Step = ChatCall | EmbeddingCall | ToolRun


@dataclass(frozen=True)
class RunView:
    """A run, as it is shown. `prices` are None where the trace does not say when it was recorded.

    `about` says what a probe is about; of other runs it is empty.
    """

    trace: Trace
    run: GradedRun
    comparison: Comparison | None
    about: str
    steps: tuple[Step, ...]
    prices: Prices | None

    @property
    def cost_usd(self) -> float | None:
        """What all chat calls cost in US dollars; None where that is not known of an answered one."""
        chats = [step for step in self.steps if isinstance(step, ChatCall)]
        if any(step.cost_usd is None and step.call.answered for step in chats):
            return None
        return sum(step.cost_usd or 0 for step in chats)


def _events(trace: Trace) -> list[tuple[Event, ModelCall | TracedToolCall]]:
    """All calls of a run in the order of their start."""
    calls: list[ModelCall | TracedToolCall] = [*trace.model_calls, *trace.tool_calls]
    calls.sort(key=lambda call: (call.start_s, call.end_s))
    return [(_event(number, call), call) for number, call in enumerate(calls, start=1)]


def _event(number: int, call: ModelCall | TracedToolCall) -> Event:
    if isinstance(call, TracedToolCall):
        met = went_wrong(call.result, call.error)
        return Event(number, "tools", call.name, call.start_s, call.end_s, call.error is not None, met)
    failed = not call.answered
    if call.operation == "embeddings":
        return Event(number, "embeddings", "embeddings", call.start_s, call.end_s, failed, call.injected)
    asked = ", ".join(one.name for one in _asked(_reply(call)))
    label = asked or ("no answer" if failed else "answer")
    return Event(number, "model", label, call.begun_s, call.end_s, failed, call.injected)


def view(
    trace: Trace,
    task: Task,
    run: GradedRun,
    observation: Observation | None,
    comparison: Comparison | None,
    about: str = "",
) -> RunView:
    """Everything that is shown of a run. `trace` must be one that could be graded."""
    at = started_at(trace)
    known = prices(trace.key.model, at) if at else None
    reader = _Reader(task_spec(task, trace.case), observation, known)
    steps = tuple(reader.step(event, call) for event, call in _events(trace))
    return RunView(trace, run, comparison, about, steps, known)


class _Reader:
    """Reads a run's calls in their order, and knows what was sent and said before."""

    def __init__(self, spec: TaskSpec, observation: Observation | None, known: Prices | None) -> None:
        self._spec = spec
        self._prices = known
        self._observed = iter(observation.steps if observation else ())
        tools = [tool for agent in spec.agents for tool in agent.tools.values()]
        texts = [spec.question, *(agent.instructions for agent in spec.agents), *spec.passages.values()]
        self._known = Known([*texts, *(tool.description for tool in tools)])
        self._own_tools = {tool.name for tool in tools}
        self._said: set[str] = set()
        self._messages: dict[bytes, int] = {}
        self._tools: dict[bytes, int] = {}

    def step(self, event: Event, call: ModelCall | TracedToolCall) -> Step:
        if isinstance(call, TracedToolCall):
            result = call.error if call.error is not None else as_text(call.result)
            return ToolRun(event, call, as_text(call.arguments), result)
        if call.operation == "embeddings":
            return EmbeddingCall(event, call, _embedded(call.request))
        return self._chat(event, call)

    def _chat(self, event: Event, call: ModelCall) -> ChatCall:
        # The observation has a step for each answered chat call, in the order of their start.
        step = next(self._observed, None) if call.answered else None
        request = call.request if isinstance(call.request, dict) else {"body": call.request}
        messages = tuple(self._message(message) for message in _list(request.get("messages")))
        tools = _list(request.get("tools"))
        packed = _packed(tools)
        as_in = self._tools.setdefault(packed, event.number)
        reply = _reply(call)
        self._said.add(collapsed(text_of(reply.get("content"))))
        return ChatCall(
            event=event,
            call=call,
            agent=step.agent if step and len(self._spec.agents) > 1 else None,
            parameters=as_text({name: value for name, value in request.items() if name not in ("messages", "tools")}),
            messages=messages,
            tools=tuple(self._tool(tool) for tool in tools),
            tools_as_in=as_in if as_in != event.number else None,
            cost_usd=self._prices.of_call(call) if self._prices else None,
            reply=_body(call, reply),
            asked=_asked(reply),
            differences=step.differences if step else (),
        )

    def _message(self, message: Any) -> Message:
        number = self._messages.setdefault(_packed(message), len(self._messages) + 1)
        fields = message if isinstance(message, dict) else {"content": str(message)}
        role = str(fields.get("role", ""))
        return Message(number, role, self._spans(role, text_of(fields.get("content"))), _asked(fields))

    def _spans(self, role: str, text: str) -> tuple[Span, ...]:
        if role == "assistant":
            return (Span(text, "said" if collapsed(text) in self._said else "added"),) if text else ()
        spans = self._known.split(text)
        # A tool's result is the tool's own word, unless documents can be told from what was put around them.
        if role == "tool" and not (self._spec.passages and any(span.kind == "spec" for span in spans)):
            return (Span(text, "said"),)
        return spans

    def _tool(self, tool: Any) -> OfferedTool:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            return OfferedTool("", "framework", (), as_text(tool))
        name, description = str(function.get("name", "")), function.get("description")
        whose: Literal["task", "handoff", "framework"] = "framework"
        if name in self._own_tools:
            whose = "task"
        elif self._spec.is_handoff(name):
            whose = "handoff"
        spans = self._known.split(description) if isinstance(description, str) else ()
        rest = {key: value for key, value in function.items() if key not in ("name", "description")}
        return OfferedTool(name, whose, spans, as_text(rest))


class Known:
    """The texts of a task's spec, however their blanks are set."""

    def __init__(self, texts: Iterable[str]) -> None:
        found = {" ".join(text.split()) for text in texts}
        self._texts = sorted(found - {""}, key=lambda text: (-len(text), text))

    def split(self, text: str) -> tuple[Span, ...]:
        """`text` cut into what is known and what was added; blanks belong to what they follow. Of two the longer."""
        plain = collapsed(text)
        spans: list[Span] = []
        reached = 0
        for match in _pattern(tuple(known for known in self._texts if known in plain)).finditer(text):
            spans += _between(text[reached : match.start()])
            spans.append(Span(match[0], "spec"))
            reached = match.end()
        return (*spans, *_between(text[reached:]))


@lru_cache(maxsize=1024)
def _pattern(texts: tuple[str, ...]) -> re.Pattern[str]:
    """Finds any of the texts, of which there are few: the pattern of a whole corpus takes long to make."""
    return re.compile("|".join(r"\s+".join(map(re.escape, text.split())) for text in texts) or r"(?!)")


def _between(text: str) -> list[Span]:
    if not text:
        return []
    return [Span(text, "added" if text.strip() else "spec")]


def _reply(call: ModelCall) -> dict[str, Any]:
    return completion_of(call.response).message or {}


def _body(call: ModelCall, reply: dict[str, Any]) -> Text:
    """The text of a reply; of one that is no chat completion, whatever came."""
    return text_of(reply.get("content")) if reply or call.response is None else as_text(call.response)


def _asked(message: dict[str, Any]) -> tuple[AskedCall, ...]:
    return tuple(AskedCall(call.name, as_text(call.arguments)) for call in calls_in(message))


def _embedded(request: Any) -> str:
    """What was to be embedded; the gateway records many texts as their count."""
    texts = request.get("input") if isinstance(request, dict) else None
    if isinstance(texts, dict) and isinstance(texts.get("count"), int):
        return f"{texts['count']} texts"
    return texts if isinstance(texts, str) else "\n".join(map(str, _list(texts)))


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _packed(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def as_text(value: Any) -> Text:
    """Recorded data for people: text as it is, all else as JSON."""
    return value if isinstance(value, str) else Json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
