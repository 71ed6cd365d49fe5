"""Which runs' times compare: those that were recorded turn by turn, in one sitting on one machine.

A machine is slower at noon than at night, and another one is slower all day. So two runs of a case and trial compare in
time only if both were made in the same sitting, an uninterrupted recording in which the frameworks take turns. A trace
names its sitting; one that was made on several machines is several here.

Older traces name none. Of those, runs on one machine are of one sitting as long as nobody paused for ten minutes, and
of these the runs of one case and trial only as far as each was started within ten minutes of the end of the one before:
where frameworks were recorded one after the other, these are not interleaved.

A framework's median stands beside the others' in a table, so all of them must be over the same runs. Of each model and
task, therefore, the largest part counts in which all frameworks took turns: a framework that was recorded apart has no
times, and what was left half done in one sitting and completed in another counts for none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.models import largest_grid
from evaluator.catalog.frameworks import BASELINE
from evaluator.trace import Key

PAUSE = timedelta(minutes=10)
"""So long nothing was recorded between two sittings whose traces do not name them."""

_Round = tuple[str, int]
"""Case and trial of a task."""


@dataclass(frozen=True)
class Apart:
    """What has no time in one task: the frameworks that were recorded apart, and in how many rounds none has."""

    task: str
    frameworks: tuple[str, ...]
    rounds: int


def in_sittings(runs: Sequence[GradedRun]) -> tuple[list[GradedRun], list[Apart]]:
    """The runs of one model in their order, each with its sitting and whether it is timed, and what is not."""
    names = _names(runs)
    placed = [replace(run, sitting=names[run.key]) for run in runs]
    sizes = Counter(names.values())
    of_task: dict[str, list[GradedRun]] = defaultdict(list)
    for run in placed:
        of_task[run.key.task].append(run)
    untimed: set[Key] = set()
    apart = []
    for task, its_runs in sorted(of_task.items()):
        keys, frameworks, rounds = _untimed(its_runs, sizes)
        untimed |= keys
        if frameworks or rounds:
            apart.append(Apart(task, frameworks, rounds))
    return [replace(run, timed=run.key not in untimed) for run in placed], apart


# --- what the sittings are -------------------------------------------------------------------


def _names(runs: Iterable[GradedRun]) -> dict[Key, str]:
    """The sitting of each run, named by its machine and by its token or, where there is none, by its start."""
    names: dict[Key, str] = {}
    unnamed = []
    for run in runs:
        if run.sitting is None:
            unnamed.append(run)
        else:
            names[run.key] = f"{run.machine}, {run.sitting}"
    for sitting in _without_pause(unnamed):
        rounds: dict[tuple[str, str, int], list[GradedRun]] = defaultdict(list)
        for run in sitting:
            rounds[run.key.task, run.key.case, run.key.trial].append(run)
        for of_round in rounds.values():
            for number, together in enumerate(_without_pause(of_round)):
                name = f"{sitting[0].machine}, from {_start(sitting[0]):%Y-%m-%d %H:%M:%S}, {number}"
                names.update((run.key, name) for run in together)
    return names


def _without_pause(runs: Iterable[GradedRun]) -> Iterator[list[GradedRun]]:
    """The runs of each machine in the order of their starts, cut where for longer than `PAUSE` none was under way."""
    together: list[GradedRun] = []
    ended = datetime.min.replace(tzinfo=UTC)
    for run in sorted(runs, key=lambda run: (run.machine, _start(run), run.key.framework)):
        if together and (run.machine != together[-1].machine or _start(run) - ended > PAUSE):
            yield together
            together = []
        end = _start(run) + timedelta(seconds=run.wall_s + run.split.waited_s)
        ended = max(ended, end) if together else end
        together.append(run)
    if together:
        yield together


def _start(run: GradedRun) -> datetime:
    return run.started_at or datetime.min.replace(tzinfo=UTC)


# --- what of a task is timed -----------------------------------------------------------------


def _untimed(runs: Sequence[GradedRun], sizes: Mapping[str, int]) -> tuple[set[Key], tuple[str, ...], int]:
    """The runs of one task that have no time, the frameworks that have none at all, and the rounds in which none has.

    A round is split if not all of its frameworks are in its main sitting. A framework counts as having taken its turn
    in all rounds in which it is not beside the main sitting; one that was not run there takes nothing from the others.
    Trials that only some frameworks were recorded in count if they were in a sitting that all were in for that case.
    """
    rounds: dict[_Round, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for run in runs:
        rounds[run.key.case, run.key.trial][run.sitting or ""].add(run.key.framework)
    main = {
        name: max(sittings, key=lambda one: (len(sittings[one]), BASELINE in sittings[one], sizes[one], one))
        for name, sittings in rounds.items()
    }
    ran = {name: len(set().union(*sittings.values())) for name, sittings in rounds.items()}
    widest: dict[str, int] = defaultdict(int)
    for (case, _), frameworks in ran.items():
        widest[case] = max(widest[case], frameworks)
    whole = {(case, sitting) for (case, trial), sitting in main.items() if ran[case, trial] == widest[case]}
    counted = {name for name, sitting in main.items() if (name[0], sitting) in whole}

    beside: dict[str, set[_Round]] = {run.key.framework: set() for run in runs}
    for name in counted:
        for sitting, of_sitting in rounds[name].items():
            for framework in of_sitting if sitting != main[name] else ():
                beside[framework].add(name)
    taking_turns, kept = largest_grid({framework: counted - apart for framework, apart in beside.items()})
    untimed = {
        run.key for run in runs if run.key.framework not in taking_turns or (run.key.case, run.key.trial) not in kept
    }
    split = {name for name in counted.difference(kept) if len(rounds[name]) > 1}
    return untimed, tuple(sorted(beside.keys() - set(taking_turns))), len(split)
