"""What runs that are to be made will take, judged by recorded ones: calls, tokens, dollars and hours."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np

from evaluator import ROOT, packs
from evaluator.analysis.graded_run import split_wall_time
from evaluator.errors import Mistake
from evaluator.harness.jobs import Job, alike, alike_in_words, by
from evaluator.harness.spending import Spending
from evaluator.models.specs import ModelSpec
from evaluator.providers.names import (
    BUILT_IN,
    CAPABILITIES_NAME,
    GGUF_PREFIX,
    IN_ONE_GO,
    PLAYED,
    SCRIPTED,
)
from evaluator.providers.prices import PricedModel, calls_cost_usd, chat_tokens, of_endpoint, price_list
from evaluator.stats.intervals import percentile
from evaluator.stats.sums import Array, drawn_deviations, expected_sum
from evaluator.text import shown_path
from evaluator.trace import Trace, model_of_folder, trace_files

LOW, HIGH = 10.0, 90.0
"""Percentiles of the sums that are drawn."""


class Taken(NamedTuple):
    """What a run took: model calls, tokens, US dollars, and seconds. The last two are 0 where they say nothing."""

    calls: float
    prompt_tokens: float
    completion_tokens: float
    usd: float
    wall_s: float


@dataclass(frozen=True)
class Source:
    """Where a run's estimate comes from: runs of a model below a folder, and of which cases. A replay has no folder."""

    root: Path | None
    model: str
    cases: Literal["same cases", "like cases", "unlike cases"] = "same cases"

    def __str__(self) -> str:
        return "their recordings" if self.root is None else f"{self.model} in {shown_path(self.root)}, {self.cases}"


@dataclass
class Cell:
    """The recorded runs of a model, framework and task: by case, and by what is alike in cases, what each run took."""

    by_case: dict[str, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    cases: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))


@dataclass(frozen=True)
class Basis:
    """The recorded runs that a run is judged by: those of some `cases`, of which it may be one."""

    source: Source
    cell: Cell
    cases: tuple[str, ...]

    def mean(self, case: str) -> Taken:
        """What the runs of a case took."""
        return Taken(*map(fmean, zip(*self.cell.by_case[case], strict=True)))


class Recorded:
    """The recorded runs below some folders, read when they are asked for; the first folder that has some is taken.

    They cost what they would on `priced` at a time; without it nothing.
    """

    def __init__(self, roots: Iterable[Path], priced: PricedModel | None = None, at: datetime | None = None) -> None:
        self._roots = list({root.resolve(): root for root in roots}.values())
        self._priced = priced
        self._at = at or datetime.now(UTC)
        self._cells: dict[tuple[Path, str, str, str], dict[str, Cell]] = {}
        self._models: list[str] | None = None

    def basis(self, model: str, job: Job) -> Basis | None:
        """What a run is judged by; None where nothing is recorded.

        Runs of the model come first: those of the same case, then of its like if they are of several cases, then all of
        the framework and task. After them those of another model, of the same case or its like if there are any.
        """
        if job.recording is not None:
            taken = self._taken(job.recording, False, False)
            cell = Cell({job.name: [taken]} if taken else {})
            return Basis(Source(None, model), cell, (job.name,)) if taken else None
        own, *others = self._candidates(model)
        looks = [partial(self._near, own), partial(self._far, own)]
        looks += [partial(look, name) for look in (self._near, self._far) for name in others]
        return next((basis for look in looks if (basis := look(model, job)) is not None), None)

    def _near(self, name: str, model: str, job: Job) -> Basis | None:
        """The recorded runs of a model that stands for `model`, of the job's own case or of its like."""
        cells = self._cells_of(name, model, job)
        for root, cell in cells:
            if job.name in cell.by_case:
                return Basis(Source(root, name), cell, (job.name,))
        for root, cell in cells:
            if len(cases := cell.cases.get(alike(job), {})) > 1:
                return Basis(Source(root, name, "like cases"), cell, tuple(cases))
        return None

    def _far(self, name: str, model: str, job: Job) -> Basis | None:
        """The same of whatever case."""
        for root, cell in self._cells_of(name, model, job):
            return Basis(Source(root, name, "unlike cases"), cell, tuple(cell.by_case))
        return None

    @property
    def has_prices(self) -> bool:
        """Whether runs cost something here."""
        return self._priced is not None

    def usd(self, model: str, job: Job) -> float | None:
        """What a run is expected to cost; None where nothing is recorded."""
        if (basis := self.basis(model, job)) is None:
            return None
        return fmean(basis.mean(case).usd for case in basis.cases)

    def _candidates(self, model: str) -> list[str]:
        """The model, and those that may stand for it: other servers', then what is run here, then the scripted one.

        What plays something of its own says nothing of others, and they say nothing of it.
        """
        if model in IN_ONE_GO:
            return [model]
        if model.startswith(f"{CAPABILITIES_NAME}/"):
            return [model, CAPABILITIES_NAME]
        if self._models is None:
            found = {name for root in self._roots for name in _models_in(root)}
            self._models = sorted((name for name in found if name == SCRIPTED or name not in PLAYED), key=_rank)
        return [model, *(name for name in self._models if name != model)]

    def _cells_of(self, name: str, model: str, job: Job) -> list[tuple[Path, Cell]]:
        found = [(root, self._cell(root, name, job, name == model)) for root in self._roots]
        return [(root, cell) for root, cell in found if cell is not None]

    def _cell(self, root: Path, model: str, job: Job, is_own: bool) -> Cell | None:
        key = (root, model, job.framework.name, by(job))
        if key not in self._cells:
            cells: dict[str, Cell] = defaultdict(Cell)
            for trace in packs.read_packed(root, model, job.framework.name):
                if not isinstance(trace, Trace) or trace.outcome.fault is not None:
                    continue
                if (trace.key.model, trace.key.framework) != (model, job.framework.name):
                    continue
                if (taken := self._taken(trace, is_own, is_own)) is None:
                    continue
                cell = cells[trace.key.task]
                cell.by_case[trace.key.case].append(taken)
                like = alike_in_words(trace.case.get(by(job), 2), trace.injected, trace.hardened)
                cell.cases[like][trace.key.case] = None
            self._cells[key] = dict(cells)
        return self._cells[key].get(job.task.name)

    def _taken(self, trace: Trace, is_timed: bool, caches: bool) -> Taken | None:
        """What a run took; None where its tokens or their price are not known.

        What came from the cache of another model's server would not from this one's.
        """
        if (tokens := chat_tokens(trace)) is None:
            return None
        usd: float | None = 0.0
        if self._priced is not None:
            calls = tokens if caches else [replace(one, cached=None) for one in tokens]
            usd = calls_cost_usd(self._priced.provider, self._priced.entry, calls, self._at)
        if usd is None:
            return None
        return Taken(
            calls=len(trace.chats),
            prompt_tokens=sum(one.prompt for one in tokens),
            completion_tokens=sum(one.completion for one in tokens),
            usd=usd,
            wall_s=split_wall_time(trace).wall_s if is_timed else 0.0,
        )


def _rank(model: str) -> tuple[int, str]:
    """In which order other models stand for one."""
    is_here = model in BUILT_IN or model.startswith(GGUF_PREFIX)
    return (2 if model == SCRIPTED else 1 if is_here else 0), model


def _models_in(root: Path) -> set[str]:
    """The models that have runs below a folder, but for those that are kept apart there."""
    single = {path.relative_to(root).parts[:-3] for path in trace_files(root)}
    names = {*packs.models_in(root), *map(model_of_folder, single)}
    return {name for name in names if name and name.partition("/")[0] not in (packs.SUITES_FOLDER, CAPABILITIES_NAME)}


# --- estimates -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Amount:
    """A sum, and what 10 % and 90 % of the sums that are drawn stay below; None where nothing can be drawn."""

    about: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What `known` of so many `runs` will take together; of the others, which are `unknown`, nobody knows.

    `sources` says by what so many runs were judged. `usd` is None where nothing is known of prices or nothing costs.
    `wall_s` is the time of the `timed` runs one after another, in seconds; None where no run is.
    """

    runs: int
    known: int
    sources: Mapping[str, int]
    unknown: Sequence[str]
    calls: Amount
    prompt_tokens: Amount
    completion_tokens: Amount
    usd: Amount | None
    wall_s: Amount | None
    timed: int


def estimate(model: str, jobs: Sequence[Job], recorded: Recorded) -> Estimate:
    """What runs against a model will take, judged by what was recorded.

    A run of a case that is recorded takes what it took there. Others take what the cases of their like took on average,
    and their sum varies as drawn cases do: see `stats.sums.drawn_deviations`.
    """
    sure = np.zeros(len(Taken._fields))
    blocks: dict[tuple[Source, str, str], list[tuple[Job, Basis]]] = defaultdict(list)
    sources: Counter[str] = Counter()
    unknown: list[str] = []
    timed = 0
    for job in jobs:
        if (basis := recorded.basis(model, job)) is None:
            unknown.append(f"{job.framework.name} {job.task.name}")
            continue
        sources[str(basis.source)] += 1
        timed += basis.source.root is not None and basis.source.model == model
        if basis.source.cases == "same cases":
            sure += np.array(basis.mean(job.name))
        else:
            like = alike(job) if basis.source.cases == "like cases" else ""
            blocks[basis.source, job.task.name, like].append((job, basis))
    drawn: list[Array] = []
    about = sure
    for number, block in enumerate(blocks.values()):
        values, runs, further = _in_groups(block)
        about = about + expected_sum(values, runs)
        if values.shape[1] > 1:
            drawn.append(drawn_deviations(values, runs, further, number))
    of_all = np.sum(drawn, axis=0) if drawn and len(drawn) == len(blocks) else None
    calls, prompt, completion, usd, wall_s = _amounts(about, of_all)
    known = len(jobs) - len(unknown)
    return Estimate(
        runs=len(jobs),
        known=known,
        sources=sources,
        unknown=list(dict.fromkeys(unknown)),
        calls=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        usd=usd if recorded.has_prices and known else None,
        wall_s=wall_s if timed else None,
        timed=timed,
    )


def _in_groups(block: Sequence[tuple[Job, Basis]]) -> tuple[Array, list[int], int]:
    """What recorded runs took, frameworks x cases x quantities; the runs of each framework; their cases."""
    bases = {job.framework.name: basis for job, basis in block}
    cases = sorted({case for basis in bases.values() for case in basis.cases})
    nothing = [np.nan] * len(Taken._fields)
    values = [[basis.mean(case) if case in basis.cases else nothing for case in cases] for basis in bases.values()]
    runs = Counter(job.framework.name for job, _ in block)
    return np.array(values, float), [runs[name] for name in bases], len({job.name for job, _ in block})


def _amounts(about: Array, drawn: Array | None) -> list[Amount]:
    if drawn is None:
        return [Amount(float(sum_)) for sum_ in about]
    return [
        Amount(float(sum_), *(max(0.0, float(sum_) + percentile(column.tolist(), at)) for at in (LOW, HIGH)))
        for sum_, column in zip(about, drawn.T, strict=True)
    ]


# --- time and money --------------------------------------------------------------------------


@dataclass(frozen=True)
class Time:
    """How long runs take, in seconds, and what it is that takes so long. With `at_least` they may take longer."""

    seconds: Amount
    because: str
    at_least: bool


def time_needed(
    found: Estimate,
    at_once: int,
    rpm: float | None = None,
    tpm: float | None = None,
    concurrency: int | None = None,
) -> Time | None:
    """The largest of requests by requests a minute, tokens by tokens a minute, and seconds by runs at once.

    `concurrency` is how many requests are made at once. None where nothing limits them and no run is timed.
    """
    ways: list[tuple[str, float, Sequence[Amount]]] = []
    if rpm is not None:
        ways.append((f"{rpm:,g} requests a minute", 60 / rpm, [found.calls]))
    if tpm is not None:
        ways.append((f"{tpm:,g} tokens a minute", 60 / tpm, [found.prompt_tokens, found.completion_tokens]))
    if found.wall_s is not None:
        lanes = at_once if concurrency is None else min(at_once, concurrency)
        ways.append((f"recorded seconds, {lanes} at a time", 1 / lanes, [found.wall_s]))
    times = [Time(_scaled(factor, amounts), because, found.timed < found.known) for because, factor, amounts in ways]
    return max(times, key=lambda time: time.seconds.about, default=None)


def _scaled(factor: float, amounts: Sequence[Amount]) -> Amount:
    """The sum of amounts that go together, times a factor."""
    lows = [one.low for one in amounts if one.low is not None]
    highs = [one.high for one in amounts if one.high is not None]
    return Amount(
        factor * sum(one.about for one in amounts),
        factor * sum(lows) if lows else None,
        factor * sum(highs) if highs else None,
    )


def roots(traces: Path, suites: bool = False) -> list[Path]:
    """Where recorded runs are looked for: in the folder of traces that was named, then in the repository's."""
    own = [traces, ROOT / "traces"]
    return [root / packs.SUITES_FOLDER for root in own] if suites else own


def priced(spec: ModelSpec, at: datetime) -> PricedModel | None:
    """What a model costs at a time by the price list; None where it is not there, or no server is asked."""
    return of_endpoint(spec.name, at) if spec.endpoint is not None else None


def spending(most_usd: float | None, models: Sequence[ModelSpec], where: Sequence[Path]) -> Spending | None:
    """What a command against these models may spend, if that is limited. Raises `Mistake`."""
    if most_usd is None:
        return None
    at = datetime.now(UTC)
    asked = [spec for spec in models if spec.endpoint is not None]
    if not asked:
        raise Mistake(f"--max-cost: no server is asked for {models[0].name}, so it costs nothing; leave it out")
    prices: dict[str, PricedModel] = {}
    for spec in asked:
        if (found := priced(spec, at)) is None:
            raise Mistake(f"--max-cost: {price_list()} has no price for {spec.name}; leave it out, or set --budget")
        prices[spec.name] = found
    recorded = {name: Recorded(where, price, at) for name, price in prices.items()}
    return Spending(most_usd, prices, lambda model, job: recorded[model].usd(model, job))
