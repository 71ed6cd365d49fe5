"""Simulates experiments in which it is known what differs, and counts what the scorecard claims.

`uv run python tests/benchmarks/simulation.py` takes some minutes and writes `simulation.md` beside this file.
Each repetition makes up the runs of a whole experiment and hands them to `evaluator.comparisons.compare`, which is
what the scorecard does with real ones.
"""

import argparse
import math
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np

from evaluator.comparisons import COMPARED, Pair, Table, compare_table
from evaluator.paired_statistics import power

TABLE = Path(__file__).with_suffix(".md")
NOTHING = 0.0


@dataclass(frozen=True)
class Experiment:
    """What is made up: so many frameworks, cases and trials.

    The last framework passes `points` more often (a share), and takes `slower` more wall time (a share).
    """

    frameworks: int
    cases: int
    trials: int
    points: float = NOTHING
    slower: float = NOTHING


NULL = (Experiment(9, 24, 1), Experiment(9, 90, 1), Experiment(9, 90, 4))
PASS_RATE = tuple(
    Experiment(*size, points=0.08) for size in ((2, 90, 1), (2, 90, 4), (2, 300, 4), (9, 90, 4), (9, 300, 4))
)
LATENCY = tuple(Experiment(*size, slower=0.2) for size in ((2, 24, 1), (2, 90, 1), (9, 24, 1), (9, 90, 1), (9, 90, 4)))

TASKS = ("handoff", "rag_qa", "tool_calling")


def make_table(experiment: Experiment, seed: Sequence[int]) -> Table:
    """What the runs of one experiment come to.

    Cases differ much: some nearly always fail (a pass rate of 5 %), some nearly always pass (87 %), and their wall
    times, overheads and tokens vary by factors. Trials of a case vary less. Frameworks differ by what is planted.
    """
    random = np.random.default_rng(seed)
    shape = (experiment.frameworks, experiment.cases, experiment.trials)
    rates = 0.05 + 0.82 * random.beta(0.6, 0.5, experiment.cases)
    planted = np.zeros(shape)
    planted[-1] = 1
    passed = random.random(shape) < rates[None, :, None] + experiment.points * planted

    def vary(median: float, between: float, within: float) -> np.ndarray:
        """Logarithms, of which cases share a part."""
        of_case = random.normal(0, between, (1, experiment.cases, 1))
        return math.log(median) + of_case + random.normal(0, within, shape)

    values = {
        "pass_rate": passed,
        "score": np.where(passed, 1.0, random.integers(0, 9, shape) / 10),
        "wall_s": vary(10, 0.6, 0.3) + math.log1p(experiment.slower) * planted,
        "overhead_s": vary(0.1, 0.1, 0.2),
        "tokens": vary(2000, 0.4, 0.1),
    }
    return Table(
        frameworks=tuple(_name(number) for number in range(experiment.frameworks)),
        tasks=tuple(TASKS[case % len(TASKS)] for case in range(experiment.cases)),
        values=np.stack([values[compared.name] for compared in COMPARED]).astype(float),
    )


def _name(number: int) -> str:
    return "baseline" if number == 0 else f"framework-{number}"


@dataclass(frozen=True)
class Found:
    """What one repetition claims.

    `false` differences lie between two frameworks that do not differ, or in a metric in which nothing was planted.
    `promised` is the power by the formula, for the variation that this repetition saw.
    """

    comparisons: int
    false: int
    planted: bool
    promised: float


def repeat(experiment: Experiment, number: int) -> Found:
    """Make and compare one experiment."""
    seed = [experiment.frameworks, experiment.cases, experiment.trials, number]
    comparisons = compare_table("made up", make_table(experiment, seed))
    there = [one for one in comparisons if _is_planted(one, experiment)]
    found = [one for one in comparisons if one.verdict != "tie"]
    [main] = [one for one in there if one.against == "baseline" and one.task is None and one.metric in _MAIN] or [None]
    return Found(
        comparisons=len(comparisons),
        false=sum(one not in there for one in found),
        planted=main is not None and main.verdict == "higher",
        promised=NOTHING if main is None else _promised(main, experiment, len(comparisons)),
    )


_MAIN = ("pass_rate", "wall_s")


def _is_planted(one: Pair, experiment: Experiment) -> bool:
    metrics = {"pass_rate", "score"} if experiment.points else {"wall_s"} if experiment.slower else set()
    return one.metric in metrics and _name(experiment.frameworks - 1) in (one.framework, one.against)


def _promised(main: Pair, experiment: Experiment, tests: int) -> float:
    """The power for the planted difference, from the interval's width: 1.96 standard errors each way."""
    relative = next(compared.relative for compared in COMPARED if compared.name == main.metric)
    assert main.low is not None and main.high is not None
    ends = [math.log1p(end) if relative else end for end in (main.low, main.high)]
    planted = math.log1p(experiment.slower) if relative else experiment.points
    deviation = (ends[1] - ends[0]) / (2 * 1.96) * math.sqrt(main.cases)
    return power(planted, deviation, main.cases, tests)


def run(experiment: Experiment, repetitions: int, pool: ProcessPoolExecutor) -> list[Found]:
    """All repetitions, over the cores."""
    return list(pool.map(partial(repeat, experiment), range(repetitions), chunksize=5))


def main() -> None:
    """Simulate everything and write the table."""
    parser = argparse.ArgumentParser(description="What the scorecard claims where it is known what differs.")
    parser.add_argument("--repetitions", type=int, default=1000, help="of each experiment without a difference")
    parser.add_argument("--planted", type=int, default=400, help="of each experiment with a planted difference")
    asked = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the repetitions share the cores already
    began = time.monotonic()
    nothing, planted = [], []
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for experiment in NULL:
            found = run(experiment, asked.repetitions, pool)
            claiming = sum(one.false > 0 for one in found)
            nothing.append([*_size(experiment), str(found[0].comparisons), *_share(claiming, len(found))])
            print(*nothing[-1], f"{time.monotonic() - began:.0f} s", flush=True)
        for experiment in (*PASS_RATE, *LATENCY):
            found = run(experiment, asked.planted, pool)
            what = (
                f"{experiment.points:.0%} of pass rate"
                if experiment.points
                else f"{experiment.slower:.0%} of wall time"
            )
            planted.append(
                [
                    what.replace("% of pass rate", " points of pass rate").replace("%", " %"),
                    *_size(experiment),
                    str(found[0].comparisons),
                    f"{fmean(one.promised for one in found):.1%}",
                    *_share(sum(one.planted for one in found), len(found)),
                    f"{sum(one.false > 0 for one in found) / len(found):.1%}",
                ]
            )
            print(*planted[-1], f"{time.monotonic() - began:.0f} s", flush=True)
    TABLE.write_text(_report(nothing, planted), encoding="utf-8")


def _size(experiment: Experiment) -> list[str]:
    return [str(experiment.frameworks), str(experiment.cases), str(experiment.trials)]


def _share(count: int, of: int) -> list[str]:
    """A count, and the share with twice its standard error."""
    share = count / of
    return [f"{count} of {of}", f"{share:.1%} ± {2 * math.sqrt(share * (1 - share) / of):.1%}"]


_WORDS = """\
<!-- generated by `uv run python tests/benchmarks/simulation.py`; changes made by hand are lost -->

# What the scorecard claims, where it is known what differs

Each repetition makes up the runs of a whole experiment, in which the last framework differs or none does, and compares
them as the scorecard does: every two frameworks over all tasks, and each with the baseline in each task, in five
metrics, all with Holm's correction together. Shares are given ± twice their standard error.

## Nothing differs

A repetition counts if it claims any difference at all. At most 5 % should.

{nothing}

## One framework differs

How often the difference from the baseline over all tasks is found, beside the power that
`evaluator.paired_statistics.power` promises for the first and strictest step of Holm's procedure. *False*: repetitions
that claim any difference that was not planted.

{planted}
"""


def _report(nothing: Sequence[Sequence[str]], planted: Sequence[Sequence[str]]) -> str:
    size = ["frameworks", "cases", "trials", "comparisons"]
    return _WORDS.format(
        nothing=_table([*size, "repetitions that claim a difference", "share"], nothing),
        planted=_table(["planted", *size, "promised", "found", "share", "false"], planted),
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
