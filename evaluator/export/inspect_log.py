"""Recorded runs in Inspect's log format, so that `inspect view` shows them: one log for each model × framework × task.

A run is a sample, a trial an epoch. Its transcript has every chat call and every tool call; its messages are those of
its last chat call; how it was graded is its score. All runs are written, however they ended. Needs the package
`inspect_ai`, which is the optional extra `inspect`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from inspect_ai.event import Event, ModelEvent, SpanBeginEvent, SpanEndEvent, ToolEvent
from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalError,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalSample,
    EvalSampleLimit,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.scorer import Score
from inspect_ai.tool import ToolCall, ToolCallError, ToolInfo
from pydantic import ValidationError

from evaluator import files
from evaluator.analysis.gather import run_name
from evaluator.analysis.graded_run import GradedRun
from evaluator.errors import Mistake
from evaluator.export.runs import Report
from evaluator.export.wire import Exchange, Message, UnreadableError, as_json, read
from evaluator.trace import ModelCall, Trace, TracedToolCall

_Cell = tuple[str, str, str]


def write(runs: Iterable[tuple[Trace, GradedRun]], out: Path, report: Report) -> None:
    """Write the logs into the folder `out`. Raises `Mistake` where there is nothing to write, or it cannot be."""
    cells: dict[_Cell, list[tuple[Trace, GradedRun]]] = defaultdict(list)
    for trace, run in runs:
        try:
            datetime.fromisoformat(trace.setup.started_at)
        except ValueError:
            report.left_out["runs with a start that is no time"] += 1
            continue
        cells[trace.key.model, trace.key.framework, trace.key.task].append((trace, run))
    if not cells:
        raise Mistake(report.nothing_to_write())
    try:
        for cell, found in cells.items():
            log = _log(cell, found)
            # Inspect finds logs by names of this form: the time, the task, an id.
            name = f"{log.eval.created}_{'-'.join(cell)}_{log.eval.eval_id}".replace(":", "-").replace("/", "-")
            path = out / f"{name}.json"
            with files.replacing(path) as temporary:
                write_eval_log(log, str(temporary), format="json")
            report.written += 1
    except OSError as error:
        raise Mistake(f"{out}: cannot be written: {error.strerror}") from None


def _log(cell: _Cell, runs: list[tuple[Trace, GradedRun]]) -> EvalLog:
    model, framework, task = cell
    samples = [_sample(trace, run) for trace, run in runs]
    times = [_times(trace, run) for trace, run in runs]
    began = min(start for start, _ in times)
    usage = sum((sample.model_usage[model] for sample in samples), start=ModelUsage())
    setup = runs[0][0].setup
    values = {"pass_rate": fmean(run.passed for _, run in runs)}
    if known := [run.score for _, run in runs if run.score is not None]:
        values["mean_score"] = fmean(known)
    metrics = {name: EvalMetric(name=name, value=value) for name, value in values.items()}
    scored, cases = len(runs), list(dict.fromkeys(trace.key.case for trace, _ in runs))
    return EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=_id("eval", *cell),
            run_id=_id("run", *cell),
            task_id=_id("task", *cell),
            created=began,
            task=f"{task} ({framework})",
            solver=framework,
            dataset=EvalDataset(name=task, samples=len(cases), sample_ids=cases),
            model=model,
            config=EvalConfig(epochs=max(trace.key.trial for trace, _ in runs)),
            packages={framework: setup.framework_version, "bakeoff": setup.harness_version},
        ),
        results=EvalResults(
            total_samples=scored,
            completed_samples=scored,
            scores=[EvalScore(name="grade", scorer="grade", metrics=metrics, scored_samples=scored)],
        ),
        stats=EvalStats(
            started_at=began,
            completed_at=max(end for _, end in times),
            model_usage={model: usage},
        ),
        samples=samples,
    )


def _sample(trace: Trace, run: GradedRun) -> EvalSample:
    name = run_name(trace.key)
    began, ended = _times(trace, run)
    outcome = trace.outcome
    error = EvalError(message=str(outcome.error), traceback="", traceback_ansi="")
    prompt, completion = run.prompt_tokens or 0, run.completion_tokens or 0
    return EvalSample(
        id=trace.key.case,
        epoch=trace.key.trial,
        uuid=_id(name),
        input=str(trace.case.get("question", "")),
        target=str(trace.case.get("answer", "")),
        messages=_messages(_last_messages(trace), name),
        output=ModelOutput(model=trace.key.model, completion=outcome.answer),
        scores={
            "grade": Score(
                value="C" if run.passed else "I",
                answer=outcome.answer,
                explanation="; ".join(run.reasons),
                metadata={"score": run.score},
            )
        },
        metadata={"ended": outcome.ended, "final_state": outcome.final_state},
        model_usage={
            trace.key.model: ModelUsage(input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion)
        },
        started_at=began,
        completed_at=ended,
        total_time=run.wall_s + run.split.waited_s,
        working_time=run.wall_s,
        events=_events(trace, name, datetime.fromisoformat(began)),
        error=error if outcome.ended == "error" else None,
        limit=_limit(trace),
    )


def _limit(trace: Trace) -> EvalSampleLimit | None:
    """The limit that ended the run, if one did."""
    match trace.outcome.ended:
        case "timeout":
            return EvalSampleLimit(type="time", limit=trace.setup.timeout_s, reason=trace.outcome.error)
        case "call_limit":
            return EvalSampleLimit(type="turn", limit=trace.setup.max_model_calls, reason=trace.outcome.error)
    return None


def _times(trace: Trace, run: GradedRun) -> tuple[str, str]:
    """When the run began and when it ended."""
    began = datetime.fromisoformat(trace.setup.started_at)
    return began.isoformat(), (began + timedelta(seconds=run.wall_s + run.split.waited_s)).isoformat()


def _last_messages(trace: Trace) -> list[Message]:
    """What the last readable model call sent, and its reply."""
    for call in sorted(trace.chats, key=lambda call: call.start_s, reverse=True):
        try:
            exchange = read(call)
        except UnreadableError:
            continue
        return [*exchange.sent, exchange.reply]
    return []


def _events(trace: Trace, name: str, began: datetime) -> list[Event]:
    """Every chat call and every tool call of the run, in the order in which they began."""
    events: list[Event] = [
        _model_event(call, trace.key.model, f"{name} model {n}", name, began) for n, call in enumerate(trace.chats)
    ]
    events += [_tool_event(call, f"{name} tool {n}", began) for n, call in enumerate(trace.tool_calls)]
    return _in_turns(sorted(events, key=lambda event: event.timestamp))


def _in_turns(events: Sequence[Event]) -> list[Event]:
    """The events, each turn of an agent in a span of its own where there are several.

    A call with other instructions begins a turn. Without spans, Inspect takes such a call for a helper's and hides it.
    """
    turns: list[list[Event]] = []
    instructions = None
    for event in events:
        if isinstance(event, ModelEvent) and event.input:
            now = [message.text for message in event.input if message.role == "system"]
            if instructions not in (None, now):
                turns.append([])
            instructions = now
        if not turns:
            turns.append([])
        turns[-1].append(event)
    if len(turns) < 2:
        return list(events)
    return [event for number, turn in enumerate(turns, start=1) for event in _span(turn, f"agent {number}")]


def _span(turn: Sequence[Event], name: str) -> list[Event]:
    """The events of a turn in a span; its name is that of the agent, where a tool call tells."""
    id_ = _id(str(turn[0].uuid), "turn")
    agents = [event.metadata["agent"] for event in turn if isinstance(event, ToolEvent) and event.metadata]
    named = [*agents, name][0]
    begin, end = {"uuid": _id(id_, "begin"), **_moment(turn[0])}, {"uuid": _id(id_, "end"), **_moment(turn[-1])}
    return [
        SpanBeginEvent(id=id_, span_id=id_, type="agent", name=named, **begin),
        *(event.model_copy(update={"span_id": id_}) for event in turn),
        SpanEndEvent(id=id_, span_id=id_, **end),
    ]


def _moment(event: Event) -> dict[str, Any]:
    return {"timestamp": event.timestamp, "working_start": event.working_start}


def _model_event(call: ModelCall, model: str, id_: str, run: str, began: datetime) -> ModelEvent:
    try:
        exchange = read(call)
    except UnreadableError:  # it failed, or is no chat completion
        exchange = Exchange((), True, [], Message("assistant", ""))
    reply = _assistant(exchange.reply, f"{run} {len(exchange.sent)}")
    tokens = (call.input_tokens or 0, call.output_tokens or 0)
    return ModelEvent(
        **_when(id_, call.begun_s, call.end_s, began),
        model=model,
        input=_messages(exchange.sent, run),
        tools=[_tool(tool) for tool in exchange.tools],
        tool_choice="auto",
        config=GenerateConfig(),
        output=ModelOutput(
            model=call.request_model,
            choices=[ChatCompletionChoice(message=reply, stop_reason="tool_calls" if exchange.reply.calls else "stop")],
            usage=ModelUsage(input_tokens=tokens[0], output_tokens=tokens[1], total_tokens=sum(tokens)),
            time=call.end_s - call.begun_s,
        ),
        error=None if call.answered else call.error or f"status {call.status}",
    )


def _tool_event(call: TracedToolCall, id_: str, began: datetime) -> ToolEvent:
    return ToolEvent(
        **_when(id_, call.start_s, call.end_s, began),
        id=_id(id_),
        function=call.name,
        arguments=call.arguments,
        result="" if call.error else call.result if isinstance(call.result, str) else as_json(call.result),
        error=ToolCallError("unknown", call.error) if call.error else None,
        metadata={"agent": call.agent} if call.agent else None,
    )


def _tool(offered: Mapping[str, Any]) -> ToolInfo:
    """A tool that was offered; of its schema, what Inspect has a place for."""
    function = offered.get("function")
    if not isinstance(function, dict):
        function = offered
    named = {"name": str(function.get("name")), "description": str(function.get("description") or "")}
    try:
        return ToolInfo.model_validate({**named, "parameters": function.get("parameters") or {}})
    except ValidationError:
        return ToolInfo.model_validate(named)


def _when(id_: str, start_s: float, end_s: float, began: datetime) -> dict[str, Any]:
    return {
        "uuid": _id(id_),
        "timestamp": began + timedelta(seconds=start_s),
        "working_start": start_s,
        "completed": began + timedelta(seconds=end_s),
        "working_time": end_s - start_s,
    }


def _messages(messages: Iterable[Message], run: str) -> list[ChatMessage]:
    """The messages; one that stands at the same place of the next call, too, has the same id there."""
    return [_message(message, f"{run} {place}") for place, message in enumerate(messages)]


def _message(message: Message, place: str) -> ChatMessage:
    id_ = _id(place, repr(message))
    match message.role:
        case "system":
            return ChatMessageSystem(id=id_, content=message.text)
        case "user":
            return ChatMessageUser(id=id_, content=message.text)
        case "tool":
            return ChatMessageTool(id=id_, content=message.text, tool_call_id=message.answers)
        case "assistant":
            return _assistant(message, place)


def _assistant(message: Message, place: str) -> ChatMessageAssistant:
    calls = [
        ToolCall(
            id=call.id,
            function=call.name,
            arguments=call.arguments if isinstance(call.arguments, dict) else {},
            parse_error=None if isinstance(call.arguments, dict) else call.text,
        )
        for call in message.calls
    ]
    return ChatMessageAssistant(id=_id(place, repr(message)), content=message.text, tool_calls=calls or None)


def _id(*names: str) -> str:
    """An id that is the same whenever it is made."""
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:22]
