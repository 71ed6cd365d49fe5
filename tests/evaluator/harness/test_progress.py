"""What is said while something is under way, on a terminal and elsewhere."""

import io
import threading
from collections.abc import Callable, Iterator

import pytest
from fakes import MakeFramework
from rich.console import Console

from evaluator.harness import progress
from evaluator.harness.jobs import Job
from evaluator.harness.progress import Progress, UnderWay
from evaluator.trace import Ended

MakeJob = Callable[..., Job]


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    yield clock


def test_what_is_under_way_is_said_with_since_when(clock: Clock) -> None:
    under_way = UnderWay(Console(file=io.StringIO()))
    assert under_way.line() == ""
    under_way.begin("one")
    clock.now += 30
    with under_way.doing("other"):
        clock.now += 100
        assert under_way.line() == "one for 2 min; other for 100 s"
    under_way.about = "two of three"
    assert under_way.line() == "two of three; one for 2 min"


def test_it_is_said_that_calls_wait_for_a_limit(clock: Clock) -> None:
    shown = Progress(Console(file=io.StringIO()), "openai/m", rounds=1, budget_s=None)
    since: list[float] = []
    shown.waiting_since = lambda: since
    with shown.round(1, [], used_s=0):
        nothing = shown.line()
        since += [clock.now]
        assert shown.line() == nothing  # a moment is not worth a word
        clock.now += 30
        assert shown.line() == f"{nothing}; 1 model call waits for a limit of the model's server (30 s so far)"
        since += [clock.now]
        assert shown.line().endswith("; 2 model calls wait for a limit of the model's server (30 s so far)")


def test_a_round_is_said_with_its_runs_and_what_is_left_of_the_budget(
    make_framework: MakeFramework, job: MakeJob, clock: Clock
) -> None:
    framework = make_framework()
    jobs = [job(framework, trial=trial, level=3) for trial in (1, 2)]
    shown = Progress(Console(file=io.StringIO()), "local", rounds=7, budget_s=600)
    assert shown.bar() is None
    with shown.round(2, jobs, used_s=450):
        shown.started(jobs[0])
        clock.now += 20
        first = "local: round 2 of 7, level 3: 0 of 2 runs; fake tool_calling greeting for 20 s"
        assert shown.line() == f"{first}; 2 min of the budget left"
        ends: Ended = "timeout"
        shown.finished(jobs[0], ends)
        shown.started(jobs[1])
        clock.now += 130
        assert shown.line() == (
            "local: round 2 of 7, level 3: 1 of 2 runs; fake tool_calling greeting.2 for 2 min; "
            "the budget is spent, this round is the last; 1 without an answer"
        )
        bar = shown.bar()
        assert bar is not None and (bar.completed, bar.total) == (1, 2)
        shown.finished(jobs[1], "answered")
    alone = Progress(Console(file=io.StringIO()), "probes", rounds=1, budget_s=None)
    with alone.round(1, jobs, used_s=0):
        assert alone.line() == "probes: 0 of 2 runs"


class Written(io.StringIO):
    """Tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.again = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        self.again.set()
        return written


def test_where_there_is_no_terminal_a_plain_line_comes_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress.LINE_INTERVAL_S <= 10
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.01)
    file = Written()
    with UnderWay(Console(file=file)) as under_way, under_way.doing("something [long]"):
        for _ in range(2):
            file.again.clear()
            assert file.again.wait(60)
    lines = file.getvalue().splitlines()
    assert len(lines) >= 2 and set(lines) == {"something [long] for 0 s"}


def test_where_there_is_no_terminal_tables_are_printed_but_not_one_upon_the_other(clock: Clock) -> None:
    file = io.StringIO()
    with UnderWay(Console(file=file)) as under_way:
        under_way.show("first")
        under_way.show("at once")
        clock.now += progress.LINE_INTERVAL_S
        under_way.show("later")
        under_way.show("skipped")
        under_way.show("last")
    assert file.getvalue().split() == ["first", "later", "last"]


def test_on_a_terminal_the_table_is_renewed_in_its_place_and_stays_at_the_end(clock: Clock) -> None:
    file = io.StringIO()
    with UnderWay(Console(file=file, force_terminal=True, width=100)) as under_way, under_way.doing("this"):
        under_way.show("first")
        under_way._live.refresh()
        under_way.show("second")
    said = file.getvalue()
    assert "first" in said and "this for 0 s" in said
    assert said.endswith("second\n\n")
