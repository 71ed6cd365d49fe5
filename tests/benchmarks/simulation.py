"""Simulates experiments in which it is known what differs, and counts what the scorecard claims.

`uv run python tests/benchmarks/simulation.py` takes some minutes and writes `SIMULATION.md` beside this file.
Each repetition makes up what the runs of a whole experiment come to and hands it to `evaluator.analysis.pairs.judge`,
which is what the scorecard does with real ones.
"""

import argparse
import math
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np

from evaluator.analysis.pairs import COMPARED, Judged, Table, judge
from evaluator.catalog.frameworks import BASELINE
from evaluator.stats.paired import UNIT, power, standard_deviation

TABLE = Path(__file__).with_name("SIMULATION.md")
COMMAND = "uv run python tests/benchmarks/simulation.py"
TASKS = ("handoff", "rag_qa", "tool_calling")


@dataclass(frozen=True)
class Experiment:
    """What is made up: so many frameworks, cases and trials.

    The last framework passes `points` more often (a share), and takes `slower` more wall time (a share).
    """

    frameworks: int
    cases: int
    trials: int
    points: float = 0.0
    slower: float = 0.0

    @property
    def planted(self) -> dict[str, float]:
        """The metrics that differ for the last framework, and by how much, in the scale of a `Table`."""
        points = dict.fromkeys(("pass_rate", "score"), self.points) if self.points else {}
        return points | ({"wall_s": math.log1p(self.slower)} if self.slower else {})


NOTHING = (Experiment(10, 24, 1), Experiment(10, 90, 1), Experiment(4, 90, 4))
PASS_RATE = tuple(Experiment(*size, points=0.08) for size in ((2, 90, 1), (2, 90, 4), (2, 300, 4), (4, 300, 4)))
LATENCY = tuple(Experiment(*size, slower=0.2) for size in ((2, 24, 1), (2, 90, 1), (10, 24, 1), (10, 90, 1)))


def make_table(experiment: Experiment, seed: Sequence[int]) -> Table:
    """What the runs of one experiment come to.

    Cases differ much: some nearly always fail (a pass rate of 5 %), some nearly always pass (87 %), and their wall
    times, overheads and tokens vary by factors. Trials of a case vary less. Frameworks differ by what is planted.
    """
    random = np.random.default_rng(seed)
    shape = (experiment.frameworks, experiment.cases, experiment.trials)
    rates = 0.05 + 0.82 * random.beta(0.6, 0.5, experiment.cases)
    last = np.zeros(shape)
    last[-1] = 1
    passed = random.random(shape) < rates[None, :, None] + experiment.points * last

    def vary(median: float, between: float, within: float) -> np.ndarray:
        """Logarithms, of which the runs of a case share a part."""
        of_case = random.normal(0, between, (1, experiment.cases, 1))
        return math.log(median) + of_case + random.normal(0, within, shape)

    values = {
        "pass_rate": passed,
        "score": np.where(passed, 1.0, random.integers(0, 9, shape) / 10),
        "wall_s": vary(10, 0.6, 0.3) + math.log1p(experiment.slower) * last,
        "overhead_s": vary(0.1, 0.1, 0.2),
        "tokens": vary(2000, 0.4, 0.1),
    }
    return Table(
        frameworks=(BASELINE, *(f"framework-{number}" for number in range(1, experiment.frameworks))),
        tasks=tuple(TASKS[case % len(TASKS)] for case in range(experiment.cases)),
        values=np.stack([values[compared.name] for compared in COMPARED]).astype(float),
    )


@dataclass(frozen=True)
class Found:
    """What one repetition claims.

    `false` differences lie between two frameworks that do not differ, or in a metric in which nothing was planted.
    `planted` tells whether the planted difference from the baseline over all tasks was found, and `promised` is the
    power for it by the formula, for the variation that this repetition saw; both without one, None.
    """

    tests: int
    false: int
    planted: bool | None
    promised: float | None


def repeat(experiment: Experiment, number: int) -> Found:
    """Make and judge one experiment; `number` and its sizes seed it."""
    table = make_table(experiment, [experiment.frameworks, experiment.cases, experiment.trials, number])
    judged = judge(table)
    last = table.frameworks[-1]
    there = [one for one in judged if one.compared.name in experiment.planted and last in (one.framework, one.against)]
    false = sum(one.verdict != "tie" for one in judged) - sum(one.verdict != "tie" for one in there)
    main = next((one for one in there if (one.task, one.against) == (None, BASELINE)), None)
    if main is None:
        return Found(judged[0].tests, false, None, None)
    return Found(judged[0].tests, false, main.verdict == "higher", _promised(main, experiment))


def _promised(main: Judged, experiment: Experiment) -> float:
    """The power for the planted difference, for what the differences of cases vary by."""
    cases = main.differences.cases
    planted = experiment.planted[main.compared.name]
    return power(planted, standard_deviation(cases) * UNIT, len(cases), main.tests)


def run(experiment: Experiment, repetitions: int, pool: ProcessPoolExecutor) -> list[Found]:
    """All repetitions, over the cores."""
    return list(pool.map(partial(repeat, experiment), range(repetitions), chunksize=5))


def main() -> None:
    """Simulate everything and write the table."""
    parser = argparse.ArgumentParser(description="What the scorecard claims where it is known what differs.")
    parser.add_argument("--repetitions", type=int, default=1000, help="of each experiment (default: 1000)")
    repetitions = parser.parse_args().repetitions
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the repetitions share the cores already
    nothing, planted = [], []
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for experiment in NOTHING:
            found = run(experiment, repetitions, pool)
            claiming = sum(one.false > 0 for one in found)
            nothing.append([*_size(experiment, found), *_share(claiming, repetitions)])
            print(*nothing[-1], flush=True)
        for experiment in (*PASS_RATE, *LATENCY):
            found = run(experiment, repetitions, pool)
            planted.append(
                [
                    "8 points of pass rate" if experiment.points else "20 % of wall time",
                    *_size(experiment, found),
                    f"{fmean(one.promised for one in found if one.promised is not None):.1%}",
                    *_share(sum(one.planted is True for one in found), repetitions),
                    f"{sum(one.false > 0 for one in found) / repetitions:.1%}",
                ]
            )
            print(*planted[-1], flush=True)
    TABLE.write_text(_report(repetitions, nothing, planted), encoding="utf-8")


def _size(experiment: Experiment, found: Sequence[Found]) -> list[str]:
    return [str(experiment.frameworks), str(experiment.cases), str(experiment.trials), str(found[0].tests)]


def _share(count: int, of: int) -> list[str]:
    """A count, and the share with twice its standard error."""
    share = count / of
    return [f"{count} of {of}", f"{share:.1%} ± {2 * math.sqrt(share * (1 - share) / of):.1%}"]


_WORDS = """\
<!-- generated by `{command}`; changes made by hand are lost -->

# What the scorecard claims, where it is known what differs

Each of {repetitions} repetitions makes up the runs of a whole experiment, in which one framework differs or none does,
and judges them with the scorecard's own code (`evaluator/analysis/pairs.py`): every two frameworks, over all tasks and
in each, in five metrics, all corrected together. *Tests* is how many are corrected for; with 24 cases, a task of 8
could show nothing and is left out. Shares are given ± twice their standard error. The repetitions are numbered from 0,
and the number, with the sizes, is the seed.

## Nothing differs

A repetition counts if it claims any difference at all, in whatever metric and task. At most 5 % should.

{nothing}

## One framework differs

How often its difference from the baseline over all tasks is found, beside the power that
`evaluator.stats.paired.power` promises: that for the first and strictest step of Holm's procedure, from which the
scorecard has its smallest difference that so many cases show. Where *found* lies below *promised*, the formula promises
too much: it takes differences for normally distributed, which those of pass rates are not (they are few and coarse),
and where hundreds are corrected for, the sign patterns drawn are few for p-values so small. How much each of the two
does was not measured. *False*: repetitions that claim any difference that was not planted.

{planted}
"""


def _report(repetitions: int, nothing: Sequence[Sequence[str]], planted: Sequence[Sequence[str]]) -> str:
    size = ["frameworks", "cases", "trials", "tests"]
    return _WORDS.format(
        command=COMMAND,
        repetitions=f"{repetitions:,}",
        nothing=_table([*size, "repetitions that claim a difference", "share"], nothing),
        planted=_table(["planted", *size, "promised", "found", "share", "false"], planted),
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
