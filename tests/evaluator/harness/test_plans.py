"""A plan is made round by round: within its budget, and from where it was left."""

import io
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import MakeFramework
from rich.console import Console

from evaluator.catalog.tasks import Task
from evaluator.harness import engine
from evaluator.harness.jobs import Job, Settings, in_rounds
from evaluator.harness.plans import Plan, Standing, make
from evaluator.harness.spending import Spending
from evaluator.harness.stopping import Stopped, stoppable
from evaluator.models import specs
from evaluator.providers.prices import PricedModel
from evaluator.trace import Trace, read_traces

MakeJob = Callable[..., Job]

ANSWERS = "async def run(brief, model):\n    return 'x'\n"


class Making:
    """A plan of three rounds with two frameworks, and what was made of it, each time as a command of its own."""

    def __init__(self, rounds: Sequence[Sequence[Job]], settings: Settings, traces: Path) -> None:
        self.rounds = rounds
        self.settings = settings
        self.traces = traces
        self.made: list[list[tuple[str, str]]] = []
        self.standings: list[Standing] = []
        self.said: list[str] = []

    def make(
        self,
        budget_s: float | None = None,
        rerun: bool = False,
        spending: Spending | None = None,
        shown: Callable[[Standing], None] = lambda standing: None,
    ) -> Standing:
        standing = Standing(Plan(self.settings, self.rounds, budget_s), spending)
        self.standings.append(standing)
        make(standing, self.traces, rerun, Console(file=io.StringIO()), self.said.append, shown)
        return standing

    def recorded(self) -> dict[Path, Trace]:
        found = {}
        for trace in read_traces(self.traces):
            assert isinstance(trace, Trace)
            found[self.traces / "scripted" / trace.key.framework / "tool_calling" / f"{trace.key.case}.1.json"] = trace
        return found


@pytest.fixture
def making(
    make_framework: MakeFramework, job: MakeJob, tool_calling: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Making:
    frameworks = [make_framework(name, tool_calling=ANSWERS) for name in ("a", "b")]
    cases = [job(frameworks[0], id=name).case for name in ("one", "two", "three")]
    settings = Settings(specs.resolve("scripted", None, None), timeout_s=30, jobs=1, logs=tmp_path / "logs")
    making = Making(in_rounds(frameworks, [(tool_calling, cases)], 1), settings, tmp_path / "traces")
    run_all = engine.run_all

    async def watched(harness: Any, jobs: Sequence[Job], *rest: Any) -> None:
        making.made.append([(each.framework.name, each.case.id) for each in jobs])
        await run_all(harness, jobs, *rest)

    async def provided(*_: object) -> None:
        """The environments are there."""

    monkeypatch.setattr(engine, "run_all", watched)
    monkeypatch.setattr(engine, "provision_all", provided)
    return making


ONE, TWO, THREE = [("a", "one"), ("b", "one")], [("b", "two"), ("a", "two")], [("a", "three"), ("b", "three")]


def test_no_round_is_begun_once_the_budget_is_spent_and_the_same_command_adds_the_next(making: Making) -> None:
    standing = making.make(budget_s=1e-9)
    assert making.made == [ONE]
    assert (standing.whole, standing.spent) == ({0}, True)
    assert making.make(budget_s=1e-9).whole == {0, 1}
    assert making.made == [ONE, TWO]
    assert "scripted: 2 of 6 runs are recorded already" in making.said[-1]
    standing = making.make(budget_s=3600)
    assert (standing.whole, standing.spent) == ({0, 1, 2}, False)
    assert making.made == [ONE, TWO, THREE]
    sittings: dict[str, set[str | None]] = {}
    for trace in making.recorded().values():
        sittings.setdefault(trace.key.case, set()).add(trace.setup.sitting)
    assert all(len(each) == 1 and None not in each for each in sittings.values())
    assert len(set.union(*sittings.values())) == 3


def test_no_round_is_begun_that_would_be_expected_to_cost_more_than_is_left(making: Making) -> None:
    """These runs make no call and cost nothing; before there was one, a dollar was expected of each."""

    def limited(most_usd: float) -> Spending:
        priced = {"scripted": PricedModel("openai/gpt-5-mini", "openai", "gpt-5-mini")}
        return Spending(most_usd, priced, lambda model, job: 1.0)

    none = limited(1.9)
    assert (making.make(spending=none).whole, making.made, none.refused_usd) == (set(), [], 2.0)
    one = limited(2.0)
    assert making.make(spending=one).whole == {0, 1, 2}
    assert (making.made, one.spent_usd, one.refused_usd) == ([ONE, TWO, THREE], 0.0, None)


def test_a_round_that_was_cut_is_finished_before_one_that_was_never_begun(making: Making) -> None:
    making.make()
    before = making.recorded()
    for path, trace in before.items():
        if trace.key.case == "three" or (trace.key.framework, trace.key.case) == ("a", "two"):
            path.unlink()
    kept = {path: path.read_bytes() for path in before if path.exists()}
    whole: list[set[int]] = []
    making.make(shown=lambda standing: whole.append(set(standing.whole)))
    assert making.made[3:] == [[("a", "two")], THREE]
    assert whole == [{0}, {0, 1}, {0, 1, 2}]
    assert {path: path.read_bytes() for path in kept} == kept
    assert making.recorded().keys() == before.keys()


def test_only_rounds_that_were_made_again_count_where_all_are_made_again(making: Making) -> None:
    making.make()
    standing = making.make(rerun=True, budget_s=1e-9)
    assert (standing.whole, making.made[3:]) == ({0}, [ONE])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order(
    making: Making, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background it is ignored
    try:
        with stoppable(), pytest.raises(Stopped) as stopped:
            making.make(shown=lambda _: signal.raise_signal(number))
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped.value.exit_code == 128 + number
    assert making.standings[0].whole == {0}
    assert sorted((trace.key.framework, trace.key.case) for trace in making.recorded().values()) == ONE
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert making.make().whole == {0, 1, 2}


def test_between_two_loops_a_signal_stops_it_too() -> None:
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.exit_code == 143


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
