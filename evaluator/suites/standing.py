"""How far a command has come: the table of its whole rounds, and what these can tell and what they cannot yet."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from evaluator.analysis.gather import Scored, gather
from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.metrics import CellRuns, measure
from evaluator.analysis.parallel import Workers
from evaluator.catalog.frameworks import baseline_first
from evaluator.harness.jobs import Job, levels_in_words
from evaluator.harness.plans import Standing
from evaluator.scorecard import Scorecard, tables, words
from evaluator.scorecard.terminal import table_of
from evaluator.text import duration
from evaluator.trace import Key, trace_path

_COLUMNS = (
    *(tables.PASSED, tables.RATE, tables.WALL, tables.OVERHEAD, tables.CALLS),
    *(tables.PROMPT, tables.COMPLETION, tables.INJECTED),
)


class WholeRounds:
    """The whole rounds of a plan in a table. The traces of each round are read once, when it has become whole."""

    def __init__(self, traces: Path) -> None:
        self._traces = traces
        self._read: set[int] = set()
        self._runs: dict[str, list[GradedRun]] = {}

    def table(self, standing: Standing) -> RenderableType | None:
        """A row for each framework, over all tasks; None where nothing of it is graded."""
        self._read_rounds(standing)
        if not self._runs:
            return None
        plan, jobs = standing.plan, standing.jobs(whole=True)
        titles = {job.framework.name: job.framework.title for job in plan.jobs}
        rounds = f"{len(standing.whole)} of {len(plan.rounds)} rounds, " if len(plan.rounds) > 1 else ""
        title = f"{plan.model} · {rounds}{_count(len(_cases(jobs)), 'case')}, {levels_in_words(jobs)}"
        rows = [
            (titles[name], measure(CellRuns(tuple(self._runs[name]), code=None)))
            for name in sorted(self._runs, key=baseline_first)
        ]
        return Group(table_of(title, rows, _COLUMNS), Text("Whole rounds only: every framework on the same cases."))

    def _read_rounds(self, standing: Standing) -> None:
        jobs = [job for number in standing.whole - self._read for job in standing.plan.rounds[number]]
        self._read |= standing.whole
        model, frameworks = standing.plan.model, {job.framework.name for job in jobs}
        with Workers() as workers:
            for one in gather(self._traces, [model], _keys(model, jobs).__contains__, frameworks, workers=workers):
                if isinstance(one, Scored):
                    self._runs.setdefault(one.run.key.framework, []).append(one.run)


def left_out(standings: Iterable[Standing]) -> set[Key]:
    """The runs of rounds that are not whole, recorded or not: not all frameworks have been asked there."""
    return {key for one in standings for key in _keys(one.plan.model, one.jobs(whole=False))}


def in_words(card: Scorecard, standings: Sequence[Standing], traces: Path) -> list[str]:
    """What the whole rounds can tell, what they cannot yet, and how to learn more."""
    in_rounds = [standing for standing in standings if len(standing.plan.rounds) > 1]
    lines = [line for standing in in_rounds for line in _of_one(card, standing, traces)]
    if any(len(standing.whole) < len(standing.plan.rounds) for standing in standings):
        lines.append("The same command adds more.")
    return lines


def _of_one(card: Scorecard, standing: Standing, traces: Path) -> list[str]:
    plan, whole, lacking = standing.plan, standing.jobs(whole=True), standing.jobs(whole=False)
    levels = Counter(level for *_, level in _cases(whole))
    said = f"{plan.model}: {len(standing.whole)} of {_count(len(plan.rounds), 'round')}"
    if whole:
        of_levels = ", ".join(f"{number} of level {level}" for level, number in sorted(levels.items()))
        frameworks = {job.framework.name for job in whole}
        said += f", {_count(levels.total(), 'case')} ({of_levels}) with {_count(len(frameworks), 'framework')}"
    if standing.spent:
        said += f"; the budget of {duration(plan.budget_s or 0)} is spent: {duration(standing.used_s)} were used"
    lines = [f"{said}."]
    if told := words.correctness(card, plan.model):
        lines.append(f"  {told}")
    if unknown := [job for job in lacking if job.case.level not in levels]:
        lines.append(f"  Nothing is known yet of {levels_in_words(unknown)}.")
    if cut := sum(trace_path(traces, key).exists() for key in _keys(plan.model, lacking)):
        lines.append(f"  Not counted here, as their rounds are not whole: {_count(cut, 'recorded run')}.")
    return lines


def _keys(model: str, jobs: Iterable[Job]) -> set[Key]:
    return {
        Key(model=model, framework=job.framework.name, task=job.task.name, case=job.case.id, trial=job.trial)
        for job in jobs
    }


def _cases(jobs: Iterable[Job]) -> set[tuple[str, str, int]]:
    """Task, case and level."""
    return {(job.task.name, job.case.id, job.case.level) for job in jobs}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
