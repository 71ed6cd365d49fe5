"""Checks what `bakeoff run --dry-run` says against recorded runs: of some it is told, the others it has to foretell.

`uv run python tests/benchmarks/estimates.py` takes some minutes and writes `ESTIMATES.md` beside this file.
"""

import argparse
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluator import ROOT
from evaluator.catalog.frameworks import all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.harness.jobs import Job
from evaluator.stats.intervals import percentile
from evaluator.suites.estimates import HIGH, LOW, Amount, Estimate, Recorded, estimate
from evaluator.text import table
from evaluator.trace import Trace, read_traces, trace_path

TABLE = Path(__file__).with_name("ESTIMATES.md")
COMMAND = "uv run python tests/benchmarks/estimates.py"
TRACES = ROOT / "traces"
TASKS, FRAMEWORKS = all_tasks(), all_frameworks()
_FEW = 3
"""Frameworks that are enough for a model with many cases."""


@dataclass(frozen=True)
class Quantity:
    """One of the sums that are foretold: what it is of a run, and where it stands in an estimate."""

    name: str
    of_run: Callable[[Trace], float]
    of_estimate: Callable[[Estimate], Amount | None]


QUANTITIES = (
    Quantity("model calls", lambda run: len(run.chats), lambda found: found.calls),
    Quantity(
        "prompt tokens",
        lambda run: sum(call.input_tokens or 0 for call in run.chats),
        lambda found: found.prompt_tokens,
    ),
    Quantity(
        "completion tokens",
        lambda run: sum(call.output_tokens or 0 for call in run.chats),
        lambda found: found.completion_tokens,
    ),
    Quantity("seconds", lambda run: run.resources.wall_s, lambda found: found.wall_s),
)


def runs_of(model: str) -> list[Trace]:
    """The first trials that are recorded of a model."""
    found = (trace for trace in read_traces(TRACES, [model]) if isinstance(trace, Trace))
    return [trace for trace in found if trace.key.trial == 1 and trace.outcome.fault is None]


def job_of(run: Trace) -> Job:
    """The run as one that is to be made."""
    task = TASKS[run.key.task]
    return Job(FRAMEWORKS[run.key.framework], task, task.case_type.model_validate(run.case), run.key.trial)


def level(run: Trace) -> int:
    """The level of its case."""
    return int(run.case.get("level", 2))


def foretold(model: str, runs: Sequence[Trace], told: Iterable[Trace]) -> Estimate:
    """What is said of runs against a model by whoever knows those that are told alone."""
    with tempfile.TemporaryDirectory() as folder:
        for run in told:
            path = trace_path(Path(folder), run.key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(trace_path(TRACES, run.key))
        return estimate(model, [job_of(run) for run in runs], Recorded([Path(folder)]))


def halves(runs: Sequence[Trace], repetitions: int) -> list[list[str]]:
    """How near the sums of half of the cases of each task and level are to what the others say, over many draws."""
    model = runs[0].key.model
    alike: dict[tuple[str, int], set[str]] = defaultdict(set)
    for run in runs:
        alike[run.key.task, level(run)].add(run.key.case)
    misses: dict[str, list[float]] = defaultdict(list)
    widths: dict[str, list[float]] = defaultdict(list)
    within: dict[str, int] = defaultdict(int)
    for seed in range(repetitions):
        drawn = random.Random(seed)
        asked = {case for cases in alike.values() for case in drawn.sample(sorted(cases), len(cases) // 2)}
        there = [run for run in runs if run.key.case in asked]
        found = foretold(model, there, (run for run in runs if run.key.case not in asked))
        for quantity in QUANTITIES:
            true, said = sum(map(quantity.of_run, there)), quantity.of_estimate(found)
            assert said is not None and said.low is not None and said.high is not None
            misses[quantity.name].append(abs(said.about / true - 1))
            widths[quantity.name].append((said.high - said.low) / said.about)
            within[quantity.name] += said.low <= true <= said.high
    return [
        [
            f"`{model}`",
            str(max(1, min(map(len, alike.values())) // 2)),
            str(repetitions),
            quantity.name,
            f"{percentile(misses[quantity.name], 50):.0%}",
            f"{percentile(misses[quantity.name], 90):.0%}",
            f"{percentile(widths[quantity.name], 50):.0%}",
            f"{within[quantity.name] / repetitions:.0%}",
        ]
        for quantity in QUANTITIES
    ]


def ratios(what: str, model: str, runs: Sequence[Trace], told: Sequence[Trace]) -> list[str]:
    """What is said by other runs than those of a cell's own cases, as a share of what it came to."""
    found = foretold(model, runs, told)
    shares = [what, str(len(runs))]
    for quantity in QUANTITIES:
        said = quantity.of_estimate(found)
        shares.append("–" if said is None else f"{said.about / sum(map(quantity.of_run, runs)):.0%}")
    return shares


def elsewhere() -> list[list[str]]:
    """The same where the runs that are known are of another level, or of another model."""
    models = ("scripted", "local", "local-0.5b")
    scripted, local, small = (runs_of(model) for model in models)
    easy, hard = ([run for run in local if level(run) == of] for of in (1, 2))
    return [
        ratios("`local`, level 2, by its level 1", "local", hard, easy),
        ratios("`local` by `scripted`, same cases", "local", local, scripted),
        ratios("`local-0.5b` by `local`, same cases", "local-0.5b", small, local),
        ratios("`local-0.5b` by `scripted`, same cases", "local-0.5b", small, scripted),
    ]


def main() -> None:
    """Foretell, compare, and write the tables."""
    parser = argparse.ArgumentParser(description="What is foretold of recorded runs, beside what they took.")
    parser.add_argument("--repetitions", type=int, default=100, help="how often the cases are halved")
    asked = parser.parse_args()
    names = [quantity.name for quantity in QUANTITIES]
    few = [run for run in runs_of("scripted") if run.key.framework in list(FRAMEWORKS)[:_FEW]]
    text = _WORDS.format(
        command=COMMAND,
        few=_FEW,
        promised=f"{HIGH - LOW:g} %",
        low=f"{LOW:g} %",
        high=f"{HIGH:g} %",
        halves=table(
            ["runs of", "cases a level", "draws", "sum of", "off by (median)", "off by (90 %)", "range", "within it"],
            [*halves(runs_of("local"), asked.repetitions), *halves(few, asked.repetitions // 4)],
            names=4,
        ),
        elsewhere=table(["", "runs", *names], elsewhere()),
    )
    TABLE.write_text(text, encoding="utf-8")
    print(text)


_WORDS = """\
<!-- generated by `{command}`; changes made by hand are lost -->

# What a dry run says, beside what runs took

## Other cases of the same levels

Of each task and level half of the recorded cases are drawn, and what they take is foretold from the other half: with
every framework, of `scripted` with {few} of them. *Cases a level* is how many are known at least. The range, given by
its width as a share of the sum, is from {low} to {high} of the sums that a dry run draws, so {promised} of the
true sums should lie within it.

{halves}

Two cases of a level are the fewest that a range is given for.

## Other levels, other models

What was foretold, as a share of what it came to. A dry run always says by what it judges.

{elsewhere}
"""


if __name__ == "__main__":
    main()
