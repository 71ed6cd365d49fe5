"""All runs of a framework × task: what differs, how often, and which deviation explains it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from evaluator.analysis.parity.comparison import PARTS, Comparison
from evaluator.catalog.frameworks import CAPABILITY, FAULT, Deviation

INFORMATION = frozenset({"handoff tool"})
"""Differences that need no explanation: every framework has its own way of handing over."""

_OTHER_SUITES = ("conformance:", CAPABILITY, FAULT)
"""How a deviation names what other suites find."""


@dataclass(frozen=True)
class Finding:
    """One difference over all runs of a framework × task. `deviations` are the numbers of those that explain it."""

    name: str
    runs: int
    tokens_per_call: float | None
    example: str
    deviations: tuple[int, ...]

    @property
    def explained(self) -> bool:
        """Whether a deviation explains it, or it needs none."""
        return bool(self.deviations) or self.name in INFORMATION


@dataclass(frozen=True)
class Parity:
    """All that differs in the runs of one framework × task on one model.

    `calls` are the chat calls that could be compared, of the `made` ones; tokens are means for one of them.
    """

    model: str
    framework: str
    task: str
    runs: int
    cases: frozenset[str]
    made: int
    calls: int
    injected_per_call: float | None
    parts_per_call: dict[str, float]
    findings: tuple[Finding, ...]

    @property
    def unexplained(self) -> list[Finding]:
        """The findings that no deviation explains."""
        return [finding for finding in self.findings if not finding.explained]

    @property
    def explained(self) -> list[Finding]:
        """The findings that a deviation explains; what needs no explanation is left out."""
        return [finding for finding in self.findings if finding.deviations]


def summarise(comparisons: Sequence[Comparison], deviations: Iterable[tuple[int, Deviation]] = ()) -> Parity:
    """The findings over the runs of one framework × task on one model; at least one run.

    `deviations` are those of the framework, numbered.
    """
    first = comparisons[0].key
    concerned = [(number, one) for number, one in deviations if one.task in (None, first.task)]
    ordered = sorted(comparisons, key=lambda one: (one.key.case, one.key.trial))
    calls = sum(one.calls for one in ordered)
    examples: dict[str, str] = {}
    runs: Counter[str] = Counter()
    tokens: dict[str, int] = {}
    for comparison in ordered:
        runs.update({difference.name for difference in comparison.differences})
        for difference in comparison.differences:
            examples.setdefault(difference.name, difference.example)
            if difference.tokens is not None:
                tokens[difference.name] = tokens.get(difference.name, 0) + difference.tokens
    parts = {part: sum(one.parts.get(part, 0) for one in ordered) for part in PARTS}
    return Parity(
        model=first.model,
        framework=first.framework,
        task=first.task,
        runs=len(ordered),
        cases=frozenset(one.key.case for one in ordered),
        made=sum(one.made for one in ordered),
        calls=calls,
        injected_per_call=sum(one.injected for one in ordered) / calls if calls else None,
        parts_per_call={part: count / calls for part, count in parts.items() if count},
        findings=tuple(
            Finding(
                name=name,
                runs=runs[name],
                tokens_per_call=tokens[name] / calls if name in tokens and calls else None,
                example=examples[name],
                deviations=tuple(number for number, one in concerned if _explains(one, name)),
            )
            for name in sorted(examples, key=lambda name: (name.partition(":")[0], name))
        ),
    )


def _explains(deviation: Deviation, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in deviation.differences)


def stale(parities: Iterable[Parity], deviations: Iterable[tuple[int, Deviation]]) -> list[tuple[int, str]]:
    """The patterns of a framework's deviations that explain nothing (any more), with the deviation's number.

    `parities` must be of all cases of the tasks that the deviations are about.
    """
    found = [(parity.task, finding.name) for parity in parities for finding in parity.findings]
    return [
        (number, pattern)
        for number, deviation in deviations
        for pattern in deviation.differences
        if not pattern.startswith(_OTHER_SUITES)
        and not any(deviation.task in (None, task) and fnmatchcase(name, pattern) for task, name in found)
    ]


def mean_per_call(parities: Iterable[Parity], part: str) -> float | None:
    """The injected tokens of a call that lie in `part`, over all calls of several tasks; None where there is none."""
    every = list(parities)
    calls = sum(one.calls for one in every)
    return sum(one.parts_per_call.get(part, 0) * one.calls for one in every) / calls if calls else None
