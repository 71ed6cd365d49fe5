"""Runs by how hard their case is, and by the parts of their grade."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evaluator.analysis.graded_run import GradedRun
from tasks.grading import Part


@dataclass(frozen=True, slots=True)
class Judged:
    """What a breakdown needs of a run, or of what a reference does with a case.

    `level` is None where it is not known. `parts` says of each part of the grade whether all of its checks held; a part
    without any check is not in it. `score` is None where nothing can be earned.
    """

    task: str
    case: str
    level: int | None
    passed: bool
    score: float | None
    parts: Mapping[Part, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class LevelRate:
    """The runs of one level: over how many cases, how many there are, and how many passed."""

    level: int
    cases: int
    runs: int
    passed: int

    @property
    def rate(self) -> float:
        """Passed runs / runs."""
        return self.passed / self.runs


@dataclass(frozen=True)
class Component:
    """A part of the grade: how many runs have a check of it, and in how many of these all of them held."""

    part: Part
    runs: int
    held: int

    @property
    def share(self) -> float:
        """Runs in which it held / runs that have it."""
        return self.held / self.runs


def judged(run: GradedRun) -> Judged:
    """What a breakdown needs of `run`."""
    return Judged(run.key.task, run.key.case, run.level, run.passed, run.score, run.parts)


def by_level(judged: Iterable[Judged]) -> tuple[LevelRate, ...]:
    """The pass rate of each level that occurs, the easiest first. What has no level is left out.

    Level 1 is one step with few tools or two agents, 2 one step in the full setting, 3 two dependent steps, sources
    that disagree or an error to recover from, 4 long chains and several demands at once. A run has the level of its
    case; traces of before there were levels have that of today's case, if it asks the same.
    """
    levels: dict[int, list[Judged]] = defaultdict(list)
    for one in judged:
        if one.level is not None:
            levels[one.level].append(one)
    return tuple(
        LevelRate(
            level, len({(one.task, one.case) for one in of_level}), len(of_level), sum(one.passed for one in of_level)
        )
        for level, of_level in sorted(levels.items())
    )


def components(judged: Iterable[Judged]) -> tuple[Component, ...]:
    """The parts of the grades, in their order, such as the facts and the citations of an answer.

    Each has the runs that have a check of the part, and of these the runs in which all of them held: n differs from
    part to part, for a question that the documents do not answer has nothing to cite. A run passes only if all parts
    held, so its pass rate is at most that of its worst part.
    """
    held: dict[Part, list[bool]] = defaultdict(list)
    for one in judged:
        for part, all_held in one.parts.items():
            held[part].append(all_held)
    return tuple(Component(part, len(runs), sum(runs)) for part, runs in held.items())
