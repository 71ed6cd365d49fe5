"""All runs of a framework beside the same runs with other packages: what changed, how often, and the tokens."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluator.analysis.drift.requests import (
    ASSISTANT,
    PARAMETERS,
    RESULTS,
    SYSTEM,
    TOOLS,
    USER,
    Found,
)
from evaluator.analysis.drift.runs import CALLS, COURSE, EMBEDDINGS, OUTCOME, Compared, Side, compared
from evaluator.catalog.digests import since
from evaluator.catalog.frameworks import plain_name
from evaluator.catalog.tasks import Task
from evaluator.trace import Key, Trace

_ORDER = (OUTCOME, CALLS, COURSE, SYSTEM, USER, ASSISTANT, RESULTS, TOOLS, PARAMETERS, EMBEDDINGS)
"""The parts in the order in which a reader is told of them; others come after these."""


@dataclass(frozen=True)
class Tokens:
    """Tokens of the prompts of some runs: all of them, and by part; of how many calls and runs.

    `injected` is None where no call could be compared with its task's spec.
    """

    runs: int
    calls: int
    all: int
    parts: Mapping[str, int]
    injected: float | None

    @property
    def a_call(self) -> float:
        """The mean over calls."""
        return self.all / self.calls if self.calls else 0.0

    @property
    def a_run(self) -> float:
        """The mean over runs."""
        return self.all / self.runs if self.runs else 0.0


@dataclass(frozen=True)
class Example:
    """Where a change is seen first: the run, and the call, numbered from 1 (None where it is of no call).

    `detail` says in a few words what is seen there, `lines` are those of a unified diff.
    """

    key: Key
    call: int | None
    detail: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One thing that is sent, or ends, otherwise: the part of the request, and what became of it, in words.

    `runs` are those that show it, by task, and `calls` their calls that do. `tokens` are what it adds to one of these
    on average, None where that cannot be told apart. `tools` are those that it is about.
    """

    part: str
    what: str
    runs: Mapping[str, int]
    calls: int
    tokens: float | None
    tools: tuple[str, ...]
    example: Example


@dataclass(frozen=True)
class Drift:
    """What a framework sends differently. Versions are those of its package.

    `runs` are the compared ones by task; `only_before` and `only_after` have no counterpart, or one that the harness or
    the machine ended. `same_lock` tells that all runs had the same packages. Tokens are those of the runs that ended
    alike. `broken` runs passed before and no longer do, `mended` ones the other way round.
    """

    framework: str
    version_before: str
    version_after: str
    same_lock: bool
    runs: Mapping[str, int]
    only_before: int
    only_after: int
    before: Tokens
    after: Tokens
    changes: tuple[Change, ...]
    broken: int
    mended: int


def drift(before: Iterable[Trace], after: Iterable[Trace], tasks: Mapping[str, Task] | None = None) -> Drift:
    """What the runs `after` send differently from the runs `before`, both of one framework, of which there are some.

    Without `tasks` of the caller's own, these are the project's.
    """
    if tasks is None:
        from evaluator.analysis.gather import every_task

        tasks = every_task()
    old, new = _by_run(before), _by_run(after)
    shared = sorted(old.keys() & new.keys())
    runs = [compared(old[run], new[run], tasks.get(run[0])) for run in shared]
    alike = [run for run in runs if run.ended_alike]
    first = next(iter([*new.values(), *old.values()]))
    return Drift(
        framework=plain_name(first.key.framework),
        version_before=_versions(old.values()),
        version_after=_versions(new.values()),
        same_lock=_locks(old.values()) == _locks(new.values()),
        runs=dict(Counter(run.key.task for run in runs)),
        only_before=len(old) - len(shared),
        only_after=len(new) - len(shared),
        before=_tokens([run.before for run in alike]),
        after=_tokens([run.after for run in alike]),
        changes=_changes(runs),
        broken=sum(run.before.end.passed and not run.after.end.passed for run in runs),
        mended=sum(run.after.end.passed and not run.before.end.passed for run in runs),
    )


def _by_run(traces: Iterable[Trace]) -> dict[tuple[str, str, int], Trace]:
    """The runs that count for the framework, by task, case and trial."""
    sound = (trace for trace in traces if trace.outcome.fault is None)
    return {(trace.key.task, trace.key.case, trace.key.trial): trace for trace in sound}


def _versions(traces: Iterable[Trace]) -> str:
    return ", ".join(sorted({trace.setup.framework_version for trace in traces})) or "none"


def _locks(traces: Iterable[Trace]) -> set[str]:
    return {since(trace.setup.lock_digest) for trace in traces}


def _tokens(sides: Sequence[Side]) -> Tokens:
    parts: Counter[str] = Counter()
    for side in sides:
        parts.update(side.parts)
    injected = [side.injected for side in sides if side.injected is not None]
    calls = sum(one.calls for one in injected)
    return Tokens(
        runs=len(sides),
        calls=sum(side.calls for side in sides),
        all=parts.total(),
        parts=dict(parts),
        injected=sum(one.tokens for one in injected) / calls if calls else None,
    )


@dataclass(frozen=True)
class _Seen:
    key: Key
    call: int | None
    found: Found


def _changes(runs: Iterable[Compared]) -> tuple[Change, ...]:
    """The changes of all runs, by part, and in each the one that most runs show first."""
    groups: dict[tuple[object, ...], list[_Seen]] = {}
    for run in runs:
        for found, call in run.found:
            groups.setdefault((found.part, found.what, found.shape), []).append(_Seen(run.key, call, found))
    found_changes = map(_change, groups.values())
    return tuple(sorted(found_changes, key=lambda one: (_place(one.part), -sum(one.runs.values()))))


def _place(part: str) -> int:
    return _ORDER.index(part) if part in _ORDER else len(_ORDER)


def _change(seen: Sequence[_Seen]) -> Change:
    first = seen[0]
    runs = {one.key for one in seen}
    calls = {(one.key, one.call) for one in seen}
    known = [one.found.tokens for one in seen if one.found.tokens is not None]
    return Change(
        part=first.found.part,
        what=first.found.what,
        runs=dict(sorted(Counter(key.task for key in runs).items())),
        calls=len(calls),
        tokens=sum(known) / len(calls) if len(known) == len(seen) else None,
        tools=tuple(sorted({one.found.tool for one in seen if one.found.tool})),
        example=Example(first.key, first.call, first.found.detail, first.found.lines),
    )
