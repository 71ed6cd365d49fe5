"""What frameworks did in the probes, in words, and whether it will do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from evaluator.catalog.frameworks import Framework, baseline_first
from evaluator.probes.judges import Verdict
from evaluator.probes.table import BY_NAME, PROBES, Probe
from evaluator.providers.names import PROBES_NAME
from evaluator.trace import Trace
from tasks.probing import ProbeCase

EXPECTED_FAILURE = "conformance: "
"""What a deviation's `differences` begin with where it explains a probe that fails; the probe's name follows."""

_QUOTED = 160


@dataclass(frozen=True)
class Behaviour:
    """What a framework did in one probe on one task.

    `words` are few and the same for all frameworks that did the same; `quote` is what the model or
    the user was told, if that matters. `acceptable` is false where only another behaviour is right.
    """

    probe: str
    task: str
    framework: str
    words: str
    acceptable: bool
    quote: str = ""


def behaviours(traces: Iterable[Trace]) -> list[Behaviour]:
    """What the frameworks did, one entry for each framework, task and probe, in the order of `PROBES`.

    Traces of other models than the probing one, and of probes that there are no more, are passed over.
    """
    verdicts: dict[tuple[int, str, tuple[bool, str]], list[Verdict]] = {}
    for trace in sorted(traces, key=lambda trace: trace.key.case):
        found = judged(trace)
        if found is not None:
            probe, verdict = found
            place = PROBES.index(probe), trace.key.task, baseline_first(trace.key.framework)
            verdicts.setdefault(place, []).append(verdict)
    return [
        Behaviour(PROBES[number].name, task, framework, *_together(verdicts[number, task, (other, framework)]))
        for number, task, (other, framework) in sorted(verdicts)
    ]


def judged(trace: Trace) -> tuple[Probe, Verdict] | None:
    """The probe that a trace is of, and what it shows; None for a trace that is of none, or of one that is no more."""
    if trace.key.model != PROBES_NAME:
        return None
    try:
        case = ProbeCase.model_validate(trace.case)
    except ValidationError:
        return None
    probe = BY_NAME.get(case.kind)
    return (probe, probe.verdict(trace, case)) if probe else None


def _together(verdicts: Sequence[Verdict]) -> tuple[str, bool, str]:
    """One verdict on runs of the same probe: what is wrong comes first, each thing is said once."""
    ordered = sorted(dict.fromkeys(verdicts), key=lambda verdict: verdict.acceptable)
    words = "; ".join(dict.fromkeys(verdict.words for verdict in ordered))
    quote = "; ".join(dict.fromkeys(verdict.quote for verdict in ordered if verdict.quote))
    return words, all(verdict.acceptable for verdict in ordered), quote[:_QUOTED]


@dataclass(frozen=True)
class Shared:
    """What several frameworks did alike in one probe. `tasks` are None where it is all tasks of the probe."""

    probe: str
    meaning: str
    words: str
    acceptable: bool
    frameworks: tuple[tuple[str, tuple[str, ...] | None], ...]


def shared(behaviours: Iterable[Behaviour]) -> list[Shared]:
    """The behaviours by what was done: for each probe the most common first, what will not do last."""
    tasks_of: dict[tuple[str, str], list[str]] = {}
    groups: dict[tuple[str, str, bool], dict[str, list[str]]] = {}
    for one in behaviours:
        tasks_of.setdefault((one.probe, one.framework), []).append(one.task)
        alike = groups.setdefault((one.probe, one.words, one.acceptable), {})
        alike.setdefault(one.framework, []).append(one.task)
    rows = [
        Shared(
            probe=probe,
            meaning=BY_NAME[probe].meaning,
            words=words,
            acceptable=acceptable,
            frameworks=tuple(
                (name, None if tasks == tasks_of[probe, name] else tuple(tasks)) for name, tasks in alike.items()
            ),
        )
        for (probe, words, acceptable), alike in groups.items()
    ]
    return sorted(
        rows, key=lambda row: (PROBES.index(BY_NAME[row.probe]), not row.acceptable, -len(row.frameworks), row.words)
    )


def unexpected(behaviour: Behaviour, frameworks: Mapping[str, Framework]) -> bool:
    """Whether a behaviour will not do, and no deviation of its framework says why it cannot be otherwise."""
    framework = frameworks.get(behaviour.framework)
    note = expected_failure(framework, behaviour.probe, behaviour.task) if framework else None
    return not behaviour.acceptable and note is None


def expected_failure(framework: Framework, check: str, task: str | None = None) -> str | None:
    """The note of the deviation that says why the framework fails a probe or another check, if there is one.

    Without a task, that of any task will do.
    """
    for deviation in framework.deviations:
        if (task is None or deviation.task in (None, task)) and EXPECTED_FAILURE + check in deviation.differences:
            return deviation.note
    return None
