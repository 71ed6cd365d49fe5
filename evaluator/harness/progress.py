"""What is under way, and since when: renewed every second on a terminal, a plain line every ten seconds elsewhere."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from evaluator.harness.jobs import Job, levels_in_words
from evaluator.text import duration
from evaluator.trace import Ended

LINE_INTERVAL_S = 10.0
_REFRESHES_PER_S = 1  # drawing takes time from the gateway, which is in the same process
_BAR_WIDTH = 40
_NOTICED_S = 1.0


class UnderWay:
    """Shows what is under way. Use as a context manager. `about` stands before that, and may change."""

    def __init__(self, console: Console, about: str = "") -> None:
        self.about = about
        self._console = console
        self._since: dict[str, float] = {}
        self._table: RenderableType | None = None
        self._printed_at: float | None = None
        self._ended = threading.Event()
        self._lines = threading.Thread(target=self._say_now_and_then, daemon=True)
        self._live = Live(self, console=console, refresh_per_second=_REFRESHES_PER_S, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._lines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._lines.join()
        self._print_table()

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Show that this is under way."""
        self.begin(what)
        try:
            yield
        finally:
            self.end(what)

    def begin(self, what: str) -> None:
        """Show that this is under way from now on."""
        self._since[what] = time.monotonic()

    def end(self, what: str) -> None:
        """It is not any more."""
        del self._since[what]

    def show(self, table: RenderableType) -> None:
        """Show this table above, in place of the one before.

        Where there is no terminal it is printed, unless one was a moment ago; the last one is always printed.
        """
        self._table = table
        since = time.monotonic() - (self._printed_at or 0)
        if not self._console.is_terminal and (self._printed_at is None or since >= LINE_INTERVAL_S):
            self._print_table()

    def line(self) -> str:
        """What is under way, in a line."""
        now = time.monotonic()
        under_way = [f"{what} for {duration(now - since)}" for what, since in list(self._since.items())]
        return "; ".join(filter(None, [self.about, *under_way]))

    def bar(self) -> ProgressBar | None:
        """How far it is, where that is known."""
        return None

    def _print_table(self) -> None:
        if self._table is not None:
            self._console.print(self._table)
            self._console.print()
            self._table, self._printed_at = None, time.monotonic()

    def __rich__(self) -> RenderableType:
        """All of it, as it is now."""
        parts = Table.grid()
        if self._table is not None:
            parts.add_row(self._table)
            parts.add_row("")
        if (bar := self.bar()) is not None:
            parts.add_row(bar)
        parts.add_row(Text(self.line()))
        return parts

    def _say_now_and_then(self) -> None:
        while not self._ended.wait(LINE_INTERVAL_S):
            if line := self.line():
                self._console.print(Text(line), soft_wrap=True)


class Progress(UnderWay):
    """Shows the runs against one model as they are made, round by round. Use as a context manager."""

    def __init__(self, console: Console, model: str, rounds: int, budget_s: float | None) -> None:
        """`rounds` is how many there are, those included that are recorded already.

        `waiting_since` can be set: since when the model calls wait that wait for a limit, in monotonic seconds.
        """
        super().__init__(console)
        self.waiting_since: Callable[[], Sequence[float]] = list
        self._model = model
        self._rounds = rounds
        self._budget_s = budget_s
        self._used_s = 0.0
        self._under_way: dict[int, Sequence[Job]] = {}
        self._round_since = 0.0
        self._made = self._to_make = self._not_answered = 0

    @contextlib.contextmanager
    def round(self, number: int, jobs: Sequence[Job], used_s: float) -> Iterator[None]:
        """The runs of a round are made, of which the first has number 1; `used_s` of the budget were used before.

        There may be other rounds under way: those are then counted together.
        """
        if not self._under_way:
            self._round_since, self._used_s = time.monotonic(), used_s
            self._made = self._to_make = 0
        self._under_way[number] = jobs
        self._to_make += len(jobs)
        yield
        del self._under_way[number]

    def started(self, job: Job) -> None:
        """A run was begun."""
        self.begin(_named(job))

    def finished(self, job: Job, ended: Ended) -> None:
        """A run was made and written, which ended so."""
        self.end(_named(job))
        self._made += 1
        self._not_answered += ended != "answered"

    def not_made(self, job: Job) -> None:
        """A run could not be made."""
        self.end(_named(job))

    def line(self) -> str:
        """Which rounds they are, what is under way in them, and what is left of the budget."""
        parts = [super().line()]
        if self._under_way:
            parts.insert(0, f"{self._model}{self._rounds_in_words()}: {self._made} of {self._to_make} runs")
            if self._budget_s is not None:
                left = self._budget_s - self._used_s - (time.monotonic() - self._round_since)
                spent = "the budget is spent, this round is the last"
                parts.append(f"{duration(left)} of the budget left" if left > 0 else spent)
        if waiting := self._waiting():
            parts.append(waiting)
        if self._not_answered:
            parts.append(f"{self._not_answered} without an answer")
        return "; ".join(filter(None, parts))

    def _rounds_in_words(self) -> str:
        if self._rounds == 1:
            return ""
        first, last = min(self._under_way), max(self._under_way)
        which = f"round {first}" if first == last else f"rounds {first} to {last}"
        jobs = [job for of_round in self._under_way.values() for job in of_round]
        return f": {which} of {self._rounds}, {levels_in_words(jobs)}"

    def _waiting(self) -> str:
        """Why nothing moves, where that is a limit of the model's server."""
        since = self.waiting_since()
        longest_s = time.monotonic() - min(since) if since else 0.0
        if longest_s < _NOTICED_S:
            return ""
        calls = "1 model call waits" if len(since) == 1 else f"{len(since)} model calls wait"
        return f"{calls} for a limit of the model's server ({duration(longest_s)} so far)"

    def bar(self) -> ProgressBar | None:
        """The runs of these rounds."""
        return ProgressBar(self._to_make, self._made, width=_BAR_WIDTH) if self._under_way else None


def _named(job: Job) -> str:
    return f"{job.framework.name} {job.task.name} {job.name}" + (f".{job.trial}" if job.trial > 1 else "")
