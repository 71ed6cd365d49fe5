"""Simulates experiments in which it is known what differs, and counts what the scorecard claims.

`uv run python tests/benchmarks/simulation.py` takes some minutes and writes `SIMULATION.md` beside this file.
Each repetition makes up what the runs of a whole experiment come to and hands it to `evaluator.analysis.pairs.judge`,
which is what the scorecard does with real ones.
"""

import argparse
import math
import multiprocessing
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np

from evaluator.analysis.pairs import COMPARED, Judged, Table, judge
from evaluator.catalog.frameworks import BASELINE
from evaluator.stats.paired import ALPHA, UNIT, power, standard_deviation

TABLE = Path(__file__).with_name("SIMULATION.md")
COMMAND = "uv run python tests/benchmarks/simulation.py"
TASKS = ("handoff", "rag_qa", "tool_calling")


@dataclass(frozen=True)
class Experiment:
    """What is made up: so many frameworks, cases and trials.

    The last framework passes `points` more often (a share), and takes `slower` more wall time (a share). With `easy`
    nearly all runs pass, so that many frameworks cannot be told apart.
    """

    frameworks: int
    cases: int
    trials: int
    points: float = 0.0
    slower: float = 0.0
    easy: bool = False

    @property
    def planted(self) -> dict[str, float]:
        """The metrics that differ for the last framework, and by how much, in the scale of a `Table`."""
        points = dict.fromkeys(("pass_rate", "score"), self.points) if self.points else {}
        return points | ({"wall_s": math.log1p(self.slower)} if self.slower else {})


NOTHING = (Experiment(10, 24, 1), Experiment(10, 24, 1, easy=True), Experiment(10, 90, 1), Experiment(4, 90, 4))
PASS_RATE = tuple(Experiment(*size, points=0.08) for size in ((2, 90, 1), (2, 90, 4), (4, 300, 4)))
LATENCY = tuple(Experiment(*size, slower=0.2) for size in ((2, 24, 1), (2, 90, 1), (10, 90, 1)))


def make_table(experiment: Experiment, seed: Sequence[int]) -> Table:
    """What the runs of one experiment come to.

    Cases differ much: some nearly always fail (a pass rate of 5 %), some nearly always pass (87 %), and their wall
    times, overheads and tokens vary by factors. Trials of a case vary less. Frameworks differ by what is planted.
    """
    random = np.random.default_rng(seed)
    shape = (experiment.frameworks, experiment.cases, experiment.trials)
    rates = 0.05 + 0.82 * random.beta(0.6, 0.5, experiment.cases)
    if experiment.easy:
        rates = 1 - 0.1 * rates
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
        sittings=np.zeros(shape, int),
    )


@dataclass(frozen=True)
class Main:
    """The planted difference from the baseline over all tasks, as one repetition saw it.

    `promised` is the power for it by the formula, for the variation and the noise floor that this repetition saw, and
    `by_test_promised` that without the floor. `by_test` tells whether the first and strictest step of Holm's procedure
    finds it, and `without_steps` how likely that would be if p-values did not come in steps; None where they do not.
    """

    promised: float
    found: bool
    by_test_promised: float
    by_test: bool
    without_steps: float | None


@dataclass(frozen=True)
class Found:
    """What one repetition claims: the most tests of a family, what is claimed wrongly, and the planted difference.

    `false` has the metrics in which a difference is claimed between two frameworks that do not differ in it.
    """

    tests: int
    false: frozenset[str]
    main: Main | None


def repeat(experiment: Experiment, number: int) -> Found:
    """Make and judge one experiment; `number` and its sizes seed it."""
    table = make_table(experiment, [experiment.frameworks, experiment.cases, experiment.trials, number])
    judged = judge(table)
    last = table.frameworks[-1]
    there = [one for one in judged if one.compared.name in experiment.planted and last in (one.framework, one.against)]
    false = frozenset(one.compared.name for one in judged if one.verdict != "tie" and one not in there)
    main = next((one for one in there if (one.task, one.against) == (None, BASELINE)), None)
    return Found(max(one.tests for one in judged), false, None if main is None else _main(main, experiment))


def _main(main: Judged, experiment: Experiment) -> Main:
    cases = main.differences.cases
    planted, level = experiment.planted[main.compared.name], ALPHA / main.tests
    known = (planted, standard_deviation(cases) * UNIT, len(cases), main.tests)
    upward = sum(cases) > 0
    return Main(
        promised=power(*known, floor=(main.floor or 0.0) * UNIT),
        found=main.verdict == "higher",
        by_test_promised=power(*known),
        by_test=upward and main.p <= level,
        without_steps=_within_the_step(cases, level) * upward if main.compared.name == "pass_rate" else None,
    )


def _within_the_step(cases: Sequence[int], level: float) -> float:
    """How likely a p-value that is drawn evenly from within its step lies at or below the level.

    The exact distribution of the sum of all cases with signs drawn at random, by convolution.
    """
    grain = math.gcd(*cases)
    sizes = [abs(value) // grain for value in cases if value]
    chances = np.ones(1)
    for size in sizes:
        chances = (np.pad(chances, (0, 2 * size)) + np.pad(chances, (2 * size, 0))) / 2
    distances = np.abs(np.arange(len(chances)) - len(chances) // 2)
    seen = abs(sum(cases)) // grain
    farther, as_far = chances[distances > seen].sum(), chances[distances == seen].sum()
    return float(np.clip((level - farther) / as_far, 0, 1))


def run(experiment: Experiment, repetitions: int, pool: ProcessPoolExecutor) -> list[Found]:
    """All repetitions, over the cores."""
    return list(pool.map(partial(repeat, experiment), range(repetitions), chunksize=5))


def main() -> None:
    """Simulate everything and write the table."""
    parser = argparse.ArgumentParser(description="What the scorecard claims where it is known what differs.")
    parser.add_argument("--repetitions", type=int, default=200, help="of each experiment (default: 200)")
    repetitions = parser.parse_args().repetitions
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the repetitions share the cores already
    nothing, planted = [], []
    causes: list[tuple[float, float, float]] = []
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for experiment in NOTHING:
            found = run(experiment, repetitions, pool)
            what = "nearly all runs pass" if experiment.easy else ""
            claiming = Counter(name for one in found for name in one.false)
            most = max(claiming.values(), default=0)
            nothing.append(
                [
                    *_size(experiment, found),
                    what,
                    *_share(claiming.total(), len(COMPARED) * repetitions),
                    f"{most / repetitions:.1%}",
                ]
            )
            print(*nothing[-1], flush=True)
        for experiment in (*PASS_RATE, *LATENCY):
            found = run(experiment, repetitions, pool)
            seen = [one.main for one in found if one.main is not None]
            steps = [one.without_steps for one in seen if one.without_steps is not None]
            if steps and experiment.trials > 1:
                causes.append(
                    (
                        fmean(one.by_test_promised for one in seen) - fmean(one.promised for one in seen),
                        fmean(steps) - fmean(one.by_test for one in seen),
                        fmean(one.by_test_promised for one in seen) - fmean(one.found for one in seen),
                    )
                )
            planted.append(
                [
                    "8 points of pass rate" if experiment.points else "20 % of wall time",
                    *_size(experiment, found),
                    f"{fmean(one.promised for one in seen):.1%}",
                    *_share(sum(one.found for one in seen), repetitions)[1:],
                    f"{fmean(one.by_test_promised for one in seen):.1%}",
                    f"{fmean(one.by_test for one in seen):.1%}",
                    f"{fmean(steps):.1%}" if steps else "–",
                    f"{sum(bool(one.false) for one in found) / repetitions:.1%}",
                ]
            )
            print(*planted[-1], flush=True)
    TABLE.write_text(_report(repetitions, nothing, planted, causes), encoding="utf-8")


def _size(experiment: Experiment, found: Sequence[Found]) -> list[str]:
    return [
        *map(str, (experiment.frameworks, experiment.cases, experiment.trials)),
        str(max(one.tests for one in found)),
    ]


def _share(count: int, of: int) -> list[str]:
    """A count, and the share with twice its standard error."""
    share = count / of
    return [f"{count} of {of}", f"{share:.1%} ± {2 * math.sqrt(share * (1 - share) / of):.1%}"]


_WORDS = """\
<!-- generated by `{command}`; changes made by hand are lost -->

# What the scorecard claims, where it is known what differs

Each of {repetitions} repetitions makes up the runs of a whole experiment, in which one framework differs or none does,
and judges them with the scorecard's own code (`evaluator/analysis/pairs.py`): every two frameworks, over all tasks and
in each, in five metrics, with one family of tests for each metric. *Tests* is how many are corrected for together; with
24 cases, a task of 8 could show nothing and is left out. Shares are given ± twice their standard error. The repetitions
are numbered from 0, and the number, with the sizes, is the seed.

## Nothing differs

A family counts if it claims any difference at all, in whatever task. At most 5 % of them should. *Worst metric* is the
one in which most do: the largest of five shares, which chance alone takes above 5 %.

{nothing}

## One framework differs

How often its difference from the baseline over all tasks is found, beside the power that
`evaluator.stats.paired.power` promises for the variation and the noise floor that were seen: that for the first and
strictest step of Holm's procedure, from which the scorecard has its smallest difference that is found. *By the test*
are both without the noise floor, found at that first step. *Without its steps* is the share that the test would find if
its p-values did not come in steps: few and coarse differences, as those of pass rates are, leave only some p-values
possible, and the one next below the limit may lie far below it. *False*: repetitions that claim any difference that was
not planted, in whatever metric.

{planted}

{causes}
"""


def _report(
    repetitions: int,
    nothing: Sequence[Sequence[str]],
    planted: Sequence[Sequence[str]],
    causes: Sequence[tuple[float, float, float]],
) -> str:
    size = ["frameworks", "cases", "trials", "tests"]
    by_test = ["by the test: promised", "by the test: found", "without its steps"]
    return _WORDS.format(
        command=COMMAND,
        repetitions=f"{repetitions:,}",
        nothing=_table([*size, "", "families that claim a difference", "share", "worst metric"], nothing),
        planted=_table(["planted", *size, "promised", "found", *by_test, "false"], planted),
        causes=_causes(causes),
    )


def _causes(causes: Sequence[tuple[float, float, float]]) -> str:
    """What keeps pass rates from being found, of each experiment with a noise floor."""
    floors, steps, gaps = ([f"{100 * value:.1f}" for value in values] for values in zip(*causes, strict=True))
    return (
        "Where pass rates have several trials, and so a noise floor, a formula for the test alone would promise "
        f"{_listed(gaps)} points more than are found. The floor takes {_listed(floors)} of these points, and the "
        f"formula counts with it; the test's steps take {_listed(steps)}, which it does not."
    )


def _listed(values: Sequence[str]) -> str:
    return f"{', '.join(values[:-1])} and {values[-1]}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
