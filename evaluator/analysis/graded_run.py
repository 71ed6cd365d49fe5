"""What one trace comes to: its grade, its tokens, and where its wall time went."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from evaluator.analysis.levels import level_of
from evaluator.analysis.parity.spec import task_spec
from evaluator.analysis.remembered import Remembered
from evaluator.catalog.tasks import Task
from evaluator.providers.prices import Tokens, chat_tokens, run_cost_usd, started_at
from evaluator.stats.intervals import covered_length
from evaluator.trace import Ended, Key, ModelCall, Setup, Trace
from evaluator.wire.reasoning import without_reasoning
from evaluator.wire.tool_results import leaves, search_text
from tasks.base import Outcome, ToolCall
from tasks.grading import FailureKind, Grade, Part

_FAILED_TO_ANSWER: dict[Ended, FailureKind] = {
    "error": "ended with an error",
    "timeout": "ended by the time-out",
    "call_limit": "ended by the limit on model calls",
}


@dataclass(frozen=True, slots=True)
class WallTimeSplit:
    """Where the wall time of a run went, in seconds. The four parts add up to the wall time, of which `waited_s`, in
    which calls waited for limits of the model's server, is no part."""

    wall_s: float
    model_s: float
    gateway_s: float
    tool_s: float
    overhead_s: float
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GradedRun:
    """What the metrics need of one run. Times in seconds, memory in MB.

    `level` is how hard the case is, None where that is not known.

    `score` is None where the case has nothing to earn. `kinds` are those of the `reasons`, in their order;
    `parts` says of each part of the grade whether all its checks held. A token count is None where an answered call
    came without it. `usage_counted` tells that the gateway counted some of the tokens itself, because the
    upstream did not. The `reported` tokens are the framework's own count, if it gave one. `cost_usd` is
    None where no price is known. `chat_tokens` are those of each chat call, to be priced on other models.
    `first_token_s` has the wait for the first byte of each streamed answer. `injected_tokens` sum over the
    `compared_calls`, and are filled in where the run was compared with its canonical requests. `sitting` and `machine`
    are what the trace says of where and when it was recorded. `sitting` is None where it does not name one;
    `evaluator.analysis.sittings` then tells what it was, and sets `timed` to false where the times of this run would
    not compare with the others'.
    """

    key: Key
    passed: bool
    score: float | None
    reasons: tuple[str, ...]
    kinds: tuple[FailureKind, ...]
    ended: Ended
    wall_s: float
    split: WallTimeSplit
    model_calls: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    embedding_tokens: int | None
    usage_counted: bool
    import_s: float | None
    memory_after_import_mb: float | None
    peak_memory_mb: float | None
    packages: int | None
    installed_mb: float | None
    reported_prompt_tokens: int | None
    reported_completion_tokens: int | None
    started_at: datetime | None
    chat_tokens: tuple[Tokens, ...] | None
    cost_usd: float | None
    first_token_s: tuple[float, ...] = ()
    injected_tokens: int | None = None
    compared_calls: int = 0
    sitting: str | None = None
    machine: str = ""
    timed: bool = True
    parts: Mapping[Part, bool] = field(default_factory=dict)
    level: int | None = None


# --- from a trace to a graded run ------------------------------------------------------------


def grade_run(trace: Trace, task: Task) -> GradedRun:
    """Grade and measure one run of `task`, against the case as it was asked.

    Raises `pydantic.ValidationError` for a case that is none of this task, and whatever the grader
    raises for a case that cannot be played.
    """
    return measure_run(trace, _grade(trace, task), level_of(task, trace.case))


def measure_run(trace: Trace, grade: Grade, level: int | None = None) -> GradedRun:
    """Measure one run whose grade is known, of a case of this level."""
    split = split_wall_time(trace)
    chats = trace.chats
    embeddings = [call for call in trace.model_calls if call.operation == "embeddings"]
    return GradedRun(
        key=trace.key,
        passed=grade.passed,
        score=grade.score,
        reasons=tuple(grade.reasons),
        kinds=tuple(grade.kinds),
        parts=grade.parts,
        ended=trace.outcome.ended,
        wall_s=split.wall_s,
        split=split,
        model_calls=len(chats),
        prompt_tokens=_tokens(chats, lambda call: call.input_tokens),
        completion_tokens=_tokens(chats, lambda call: call.output_tokens),
        cached_tokens=_tokens(chats, lambda call: call.cached_tokens),
        reasoning_tokens=_said(call.reasoning_tokens for call in chats),
        embedding_tokens=_tokens(embeddings, lambda call: call.input_tokens),
        usage_counted=any(call.usage_source == "counted" for call in chats),
        import_s=trace.resources.import_s,
        memory_after_import_mb=trace.resources.memory_after_import_mb,
        peak_memory_mb=trace.resources.peak_memory_mb,
        packages=trace.resources.packages,
        installed_mb=trace.resources.installed_mb,
        reported_prompt_tokens=trace.reported_usage.input_tokens if trace.reported_usage else None,
        reported_completion_tokens=trace.reported_usage.output_tokens if trace.reported_usage else None,
        started_at=started_at(trace),
        chat_tokens=chat_tokens(trace),
        cost_usd=run_cost_usd(trace),
        first_token_s=tuple(call.first_byte_s - call.sent_s for call in chats if call.stream and call.answered),
        level=level,
        sitting=trace.setup.sitting,
        machine=_machine(trace.setup),
    )


def _machine(setup: Setup) -> str:
    """The machine, and how it was used, as far as that changes how long a run takes."""
    loop = f", {setup.event_loop}" if setup.event_loop else ""
    node = f", node {setup.node}" if setup.node else ""
    return f"{setup.cpu}, {setup.cpu_cores} cores, {setup.jobs} at a time{loop}{node}"


def outcome_of(trace: Trace, task: Task) -> Outcome:
    """What a grader looks at. What the model thought is no part of its answer, also where the framework left it in."""
    calls = sorted(trace.tool_calls, key=lambda call: call.start_s)
    return Outcome(
        answer=without_reasoning(trace.outcome.answer),
        tool_calls=[ToolCall(**call.model_dump(exclude={"start_s", "end_s"})) for call in calls],
        final_state=trace.outcome.final_state,
        retrieved=_retrieved(trace, task),
    )


def _grade(trace: Trace, task: Task) -> Grade:
    """The grader's verdict; a run that did not end with an answer never passes and scores 0."""
    grade = graded(task, trace.case, outcome_of(trace, task))
    if trace.outcome.ended == "answered":
        return grade
    kind = _FAILED_TO_ANSWER[trace.outcome.ended]
    reason = f"{kind}: {trace.outcome.error}" if trace.outcome.error else kind
    score = None if grade.score is None else 0
    return Grade(
        passed=False, score=score, reasons=[reason, *grade.reasons], kinds=[kind, *grade.kinds], parts=grade.parts
    )


def graded(task: Task, case: dict[str, Any], outcome: Outcome) -> Grade:
    """What the grader says of an outcome of a case; most runs end like another one, which is graded but once."""
    given = [case, outcome.model_dump()]
    return _GRADES.of(task, given, lambda: task.grade(task.read_case(case), outcome))


_GRADES = Remembered[Grade](most=2048)


def _retrieved(trace: Trace, task: Task) -> list[str] | None:
    """The documents of the task that stood in what the model was sent, in any layout; None where it has none."""
    passages = task_spec(task, trace.case).passages
    if not passages:
        return None
    shortest = min(map(len, passages.values()))
    texts = (text for call in trace.chats for text in leaves(call.request))
    sent = dict.fromkeys(text for text in texts if len(text) >= shortest)
    told = "\n".join(_unspaced(search_text(text, passages)[0]) for text in sent)
    return [id for id, passage in passages.items() if _unspaced_passage(passage) in told]


def _unspaced(text: str) -> str:
    return "".join(text.split())


_unspaced_passage = lru_cache(maxsize=1024)(_unspaced)


def _tokens(calls: Iterable[ModelCall], count: Callable[[ModelCall], int | None]) -> int | None:
    """The sum over calls; None if an answered call lacks the count. A failed call may lack it."""
    counts = [(count(call), call.answered) for call in calls]
    if any(tokens is None and answered for tokens, answered in counts):
        return None
    return sum(tokens or 0 for tokens, _ in counts)


def _said(counts: Iterable[int | None]) -> int | None:
    """The sum of what the server said; None where it never did."""
    said = [count for count in counts if count is not None]
    return sum(said) if said else None


def split_wall_time(trace: Trace) -> WallTimeSplit:
    """Split a run's wall time by unions of intervals, so that what is parallel is not counted twice.

    An instant belongs to the model if any model call (chat or embeddings) is upstream, else to the
    gateway if any is inside it, else to the tools if any runs, else to overhead. What lies outside
    the run does not count.

    A replayed call takes the time that its recorded call took with the model: the moments in which it
    was looked up are taken out of the wall time, and the recorded intervals (a union again, on the
    recorded run's own clock) are put in. Gateway, tools and overhead are those measured in the replay.
    What the recorded run did while it waited for the model therefore counts beside the model's time.

    An instant in which any call waits for a limit of the model's server is nobody's, and is taken out of the wall time,
    whatever else goes on in it. So calls that are made at once, and wait for one another only because of a limit, take
    as long as without one; but what a framework does beside a call that waits is not seen.
    """
    wall_s = trace.resources.wall_s

    def within_run(start_s: float, end_s: float) -> tuple[float, float]:
        return max(start_s, 0.0), min(end_s, wall_s)

    live = [within_run(call.sent_s, call.received_s) for call in trace.model_calls if call.recorded is None]
    looked_up = [within_run(call.sent_s, call.received_s) for call in trace.model_calls if call.recorded is not None]
    recorded = [(call.recorded.sent_s, call.recorded.received_s) for call in trace.model_calls if call.recorded]
    calls = [*live, *looked_up, *(within_run(call.start_s, call.end_s) for call in trace.model_calls)]
    tools = [within_run(call.start_s, call.end_s) for call in trace.tool_calls]
    waits = [within_run(call.sent_s - call.waited_s, call.sent_s) for call in trace.model_calls if call.waited_s]
    waited_s = covered_length(waits)

    def without_waits(intervals: Iterable[tuple[float, float]]) -> float:
        return covered_length([*intervals, *waits]) - waited_s

    live_s, upstream_s = without_waits(live), without_waits([*live, *looked_up])
    calls_s, all_s = without_waits(calls), without_waits([*calls, *tools])
    recorded_s = covered_length(recorded)
    # The differences cannot be negative but for rounding in the last digit.
    return WallTimeSplit(
        wall_s=wall_s - waited_s - (upstream_s - live_s) + recorded_s,
        model_s=live_s + recorded_s,
        gateway_s=max(calls_s - upstream_s, 0.0),
        tool_s=max(all_s - calls_s, 0.0),
        overhead_s=max(wall_s - waited_s - all_s, 0.0),
        waited_s=waited_s,
    )
