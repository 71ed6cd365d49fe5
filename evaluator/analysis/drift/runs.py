"""One run beside the same run with other packages."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from evaluator.analysis.drift.matching import Sent, matched, sent
from evaluator.analysis.drift.requests import Found, changes, part_of, renamed_tools, tokens_by_part
from evaluator.analysis.drift.texts import Known, diff
from evaluator.analysis.graded_run import grade_run
from evaluator.analysis.parity import TaskSpec, compare, observe, task_spec
from evaluator.catalog.tasks import Task
from evaluator.trace import Key, Trace
from evaluator.wire.canonical import differences, stamps_given
from evaluator.wire.messages import messages_in
from evaluator.wire.tokens import text_of

_PACKAGES = re.compile(r"/\S*/site-packages/")
"""Where packages are, in an error that names one of their files."""

OUTCOME, CALLS, COURSE, EMBEDDINGS = "outcome", "model calls", "conversation", "embeddings"


@dataclass(frozen=True)
class End:
    """How a run ended: whether it passed, and if not, why, in a line."""

    passed: bool
    why: str

    def alike(self, other: "End") -> bool:
        """Whether two runs passed both, or failed both in the same way."""
        return (self.passed, not self.passed and self.why) == (other.passed, not other.passed and other.why)


@dataclass(frozen=True)
class Injected:
    """The injected tokens of a run, and the calls that they are of."""

    tokens: int
    calls: int


@dataclass(frozen=True)
class Side:
    """What one of two runs is measured by. `injected` is None where it cannot be compared with its task's spec."""

    end: End
    calls: int
    parts: Counter[str]
    injected: Injected | None

    @property
    def tokens(self) -> int:
        """Those of all its requests."""
        return self.parts.total()


@dataclass(frozen=True)
class Compared:
    """Two runs: what changed, each with the call that shows it, numbered from 1 (None where it is of no call)."""

    key: Key
    before: Side
    after: Side
    found: tuple[tuple[Found, int | None], ...]

    @property
    def ended_alike(self) -> bool:
        """Whether what they sent can be counted beside one another."""
        return self.before.end.alike(self.after.end)


def compared(before: Trace, after: Trace, task: Task | None) -> Compared:
    """The run `before` and the same run `after`; without its task nothing is known of it but what was sent."""
    spec = _spec(after, task)
    requests = [_sent(trace, spec) for trace in (before, after)]
    one, other = (_side(trace, sent, task) for trace, sent in zip((before, after), requests, strict=True))
    found: list[tuple[Found, int | None]] = []
    if not one.end.alike(other.end):
        found.append((_ended(one.end, other.end), None))
    known = Known(spec, before, after)
    matches = matched(*requests)
    renamed = {name: now for old, new in matches.pairs for name, now in renamed_tools(old, new).items()}
    broke_off = any(trace.outcome.ended != "answered" for trace in (before, after))
    course = list(_other_course(requests[0], requests[1], renamed, broke_off))
    found += [(change, None) for change in course]
    for old, new in matches.pairs:
        apart = bool(course) and _names(old.history, renamed) != new.history
        found += [(change, new.number) for change in changes(old, new, known, apart=apart)]
    if one.end.alike(other.end):
        found += [(change, None) for change in _calls(matches.gone, matches.come)]
        found += [(change, None) for change in _embeddings(before, after)]
    return Compared(after.key, one, other, tuple(found))


def _spec(trace: Trace, task: Task | None) -> TaskSpec | None:
    try:
        return task_spec(task, trace.case) if task is not None else None
    except ValueError:  # the case is none of this task
        return None


def _sent(trace: Trace, spec: TaskSpec | None) -> list[Sent]:
    known = (
        "\n".join([spec.question, *(agent.instructions for agent in spec.agents), *spec.passages.values()])
        if spec
        else ""
    )
    return sent(trace, stamps_given(trace, known))


def _side(trace: Trace, requests: Sequence[Sent], task: Task | None) -> Side:
    parts: Counter[str] = Counter()
    for request in requests:
        parts.update(tokens_by_part(request.raw))
    return Side(_end(trace, task), len(requests), parts, _injected(trace, task))


def _end(trace: Trace, task: Task | None) -> End:
    """A run that cannot be graded passed if it answered."""
    why = _PACKAGES.sub("", trace.outcome.error or "")
    why = why or ("" if trace.outcome.ended == "answered" else trace.outcome.ended)
    try:
        graded = grade_run(trace, task) if task is not None else None
    except Exception:  # as in `analysis.gather`: a case of the user's own may make any grader stumble
        graded = None
    if graded is None:
        return End(not why, why)
    return End(graded.passed, why or "; ".join(graded.reasons))


def _injected(trace: Trace, task: Task | None) -> Injected | None:
    try:
        comparison = compare(observe(trace, task)) if task is not None else None
    except Exception:  # as in `analysis.gather`: a request may be anything
        return None
    return Injected(comparison.injected, comparison.calls) if comparison is not None else None


def _ended(before: End, after: End) -> Found:
    if after.passed:
        return Found(OUTCOME, "passed now, and did not before", _error_kind(before.why), detail=before.why)
    if before.passed:
        return Found(OUTCOME, "no longer passed", _error_kind(after.why), detail=after.why)
    return Found(OUTCOME, "failed before, and fails otherwise now", _error_kind(after.why), detail=after.why)


def _error_kind(why: str) -> str:
    """An error's line without what belongs to the run."""
    return "".join("#" if character.isdigit() else character for character in why)


def _names(asked: Iterable[tuple[str, ...]], renamed: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The tools that were asked for, by the names that they have now."""
    return [tuple(renamed.get(name, name) for name in names) for names in asked]


def _other_course(
    before: Sequence[Sent], after: Sequence[Sent], renamed: Mapping[str, str], broke_off: bool
) -> Iterator[Found]:
    """That the model asked for other tools, whatever their order; a run that broke off only has not come so far."""
    old = _names((one.asks for one in before if one.asks), renamed)
    new = [one.asks for one in after if one.asks]
    gone, came = Counter(old) - Counter(new), Counter(new) - Counter(old)
    if (gone and came) if broke_off else (gone or came):
        said, says = ("\n".join(", ".join(names) for names in asked) for asked in (old, new))
        yield Found(COURSE, "the model asked for other tools", lines=diff(said, says))


def _calls(gone: Sequence[Sent], come: Sequence[Sent]) -> Iterator[Found]:
    more = len(come) - len(gone)
    if not more:
        return
    what = f"{abs(more)} {'more' if more > 0 else 'fewer'}"
    shown = (come or gone)[-1]
    lines = diff("", _in_lines(shown.request)) if more > 0 else diff(_in_lines(shown.request), "")
    tokens = sum(tokens_by_part(one.raw).total() for one in come) - sum(tokens_by_part(one.raw).total() for one in gone)
    yield Found(CALLS, what, tokens=tokens, lines=lines)


def _in_lines(request: dict[str, Any]) -> str:
    return "\n".join(f"{part_of(message)}: {text_of(message.get('content'))}" for message in messages_in(request))


def _embeddings(before: Trace, after: Trace) -> Iterator[Found]:
    old, new = (_embedded(trace) for trace in (before, after))
    if more := len(new) - len(old):
        yield Found(
            EMBEDDINGS, f"{abs(more)} {'more' if more > 0 else 'fewer'} calls", detail=f"{len(old)} became {len(new)}"
        )
    for line in sorted({line for one, other in _by_parameters(old, new) for line in differences(one, other)}):
        yield Found(EMBEDDINGS, f"parameter {line}")
    texts, text = (Counter(text for request in requests for text in _texts(request)) for requests in (old, new))
    if texts != text:
        said, says = (("\n".join(sorted(some.elements()))) for some in (texts - text, text - texts))
        yield Found(EMBEDDINGS, "other texts are embedded", lines=diff(said, says))


def _embedded(trace: Trace) -> list[dict[str, Any]]:
    calls = (call for call in trace.model_calls if call.operation == "embeddings")
    return [call.request for call in calls if isinstance(call.request, dict)]


def _by_parameters(
    old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The sets of parameters that went, each with one that came."""
    before, after = (
        {orjson.dumps(bare, option=orjson.OPT_SORT_KEYS): bare for bare in map(_bare, some)} for some in (old, new)
    )
    gone, came = (
        [some[form] for form in some if form not in rest] for some, rest in ((before, after), (after, before))
    )
    yield from zip(gone, came, strict=False)


def _bare(request: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != "input"}


def _texts(request: dict[str, Any]) -> list[str]:
    """The texts that are embedded; of many at once the trace has only a digest."""
    given = request.get("input")
    listed = given if isinstance(given, list) else [given]
    return [text if isinstance(text, str) else orjson.dumps(text).decode() for text in listed]
