"""Recorded runs in Inspect's log format, so that `inspect view` shows them: one log for each model × framework × task.

A run is a sample, a trial an epoch. Its messages are those of its last model call; how it was graded is its score. All
runs are written, however they ended. Needs the package `inspect_ai`, which is the optional extra `inspect`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalError,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.scorer import Score
from inspect_ai.tool import ToolCall

from evaluator.export.runs import ExportError, Report
from evaluator.export.wire import Message, UnreadableError, read
from evaluator.metrics import GradedRun
from evaluator.scorecard.gather import run_name
from evaluator.trace import Trace

_Cell = tuple[str, str, str]


def write(runs: Iterable[tuple[Trace, GradedRun]], out: Path, report: Report) -> None:
    """Write the logs into the folder `out`. Raises `ExportError` where there is nothing to write, or it cannot be."""
    cells: dict[_Cell, list[tuple[Trace, GradedRun]]] = defaultdict(list)
    for trace, run in runs:
        try:
            datetime.fromisoformat(trace.setup.started_at)
        except ValueError:
            report.left_out["runs with a start that is no time"] += 1
            continue
        cells[trace.key.model, trace.key.framework, trace.key.task].append((trace, run))
    if not cells:
        raise ExportError(f"nothing to write: {report.in_words()}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for cell, found in cells.items():
            log = _log(cell, found)
            # Inspect finds logs by names of this form: the time, the task, an id.
            name = f"{log.eval.created}_{'-'.join(cell)}_{log.eval.eval_id}".replace(":", "-").replace("/", "-")
            path = out / f"{name}.json"
            temporary = path.with_name(f".{path.name}")
            write_eval_log(log, str(temporary), format="json")
            temporary.replace(path)
            report.written += 1
    except OSError as error:
        raise ExportError(f"{out}: cannot be written: {error.strerror}") from None


def _log(cell: _Cell, runs: list[tuple[Trace, GradedRun]]) -> EvalLog:
    model, framework, task = cell
    samples = [_sample(trace, run) for trace, run in runs]
    times = [_times(trace, run) for trace, run in runs]
    began = min(start for start, _ in times)
    usage = sum((sample.model_usage[model] for sample in samples), start=ModelUsage())
    setup = runs[0][0].setup
    metrics = {
        "pass_rate": EvalMetric(name="pass_rate", value=fmean(run.passed for _, run in runs)),
        "mean_score": EvalMetric(name="mean_score", value=fmean(run.score for _, run in runs)),
    }
    scored = len(runs)
    return EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=_id("eval", *cell),
            run_id=_id("run", *cell),
            task_id=_id("task", *cell),
            created=began,
            task=f"{task} ({framework})",
            solver=framework,
            dataset=EvalDataset(
                name=task, samples=scored, sample_ids=list(dict.fromkeys(sample.id for sample in samples))
            ),
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
    prompt, completion = run.prompt_tokens or 0, run.completion_tokens or 0
    error = None if outcome.ended == "answered" else f"{outcome.ended}: {outcome.error}"
    return EvalSample(
        id=trace.key.case,
        epoch=trace.key.trial,
        uuid=_id(name),
        input=str(trace.case.get("question", "")),
        target=str(trace.case.get("answer", "")),
        messages=[_message(message, f"{name} {place}") for place, message in enumerate(_last_messages(trace))],
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
        total_time=run.wall_s,
        error=EvalError(message=error, traceback="", traceback_ansi="") if error else None,
    )


def _times(trace: Trace, run: GradedRun) -> tuple[str, str]:
    """When the run began and when it ended."""
    began = datetime.fromisoformat(trace.setup.started_at)
    return began.isoformat(), (began + timedelta(seconds=run.wall_s)).isoformat()


def _last_messages(trace: Trace) -> list[Message]:
    """What the last readable model call sent, and its reply."""
    for call in sorted(trace.chats, key=lambda call: call.start_s, reverse=True):
        try:
            exchange = read(call)
        except UnreadableError:
            continue
        return [*exchange.sent, exchange.reply]
    return []


def _message(message: Message, name: str) -> ChatMessage:
    id_ = _id(name)
    match message.role:
        case "system":
            return ChatMessageSystem(id=id_, content=message.text)
        case "user":
            return ChatMessageUser(id=id_, content=message.text)
        case "tool":
            return ChatMessageTool(id=id_, content=message.text, tool_call_id=message.answers)
    calls = [
        ToolCall(
            id=call.id,
            function=call.name,
            arguments=call.arguments if isinstance(call.arguments, dict) else {},
            parse_error=None if isinstance(call.arguments, dict) else call.text,
        )
        for call in message.calls
    ]
    return ChatMessageAssistant(id=id_, content=message.text, tool_calls=calls or None)


def _id(*names: str) -> str:
    """An id that is the same whenever it is made."""
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:22]
