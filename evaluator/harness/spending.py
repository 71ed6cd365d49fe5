"""What a command may spend on models, and what it has spent."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean

from evaluator.harness.engine import Made
from evaluator.harness.jobs import Job, alike
from evaluator.providers.prices import PricedModel, calls_cost_usd
from evaluator.text import two_digits


@dataclass
class Spending:
    """Costs in US dollars; no round is begun that would be expected to take them above `most_usd`.

    `priced` are the models that cost something, by their name in traces. `recorded` gives what a run against one of
    them costs by what was recorded before this command, None where nothing was. `unknown` counts runs whose cost nobody
    knows: they count with what was expected of them. `refused_usd` is what the round was expected to cost that was not
    begun.
    """

    most_usd: float
    priced: Mapping[str, PricedModel]
    recorded: Callable[[str, Job], float | None]
    spent_usd: float = 0.0
    unknown: int = 0
    refused_usd: float | None = None
    _seen: dict[tuple[str, ...], list[float]] = field(default_factory=lambda: defaultdict(list))

    def allows(self, model: str, jobs: Sequence[Job]) -> bool:
        """Whether a round of these runs may be begun; once one may not, no other may that costs anything."""
        if model not in self.priced:
            return True
        expected = self.of_round(model, jobs) or 0.0
        if self.refused_usd is None and self.spent_usd + expected > self.most_usd:
            self.refused_usd = expected
        return self.refused_usd is None

    def add(self, model: str, job: Job, made: Made | None) -> None:
        """A run was made, or was begun and lost. Tokens that the harness counted in the server's place will do."""
        if (priced := self.priced.get(model)) is None:
            return
        usd = None
        if made is not None and made.tokens is not None:
            at = made.began or datetime.now(UTC)
            usd = calls_cost_usd(priced.provider, priced.entry, made.tokens, at)
        if usd is None:
            self.unknown += 1
            self.spent_usd += self.of_run(model, job) or 0.0
            return
        self.spent_usd += usd
        cell = (model, job.framework.name, job.task.name)
        self._seen[cell].append(usd)
        self._seen[*cell, alike(job)].append(usd)

    def of_run(self, model: str, job: Job) -> float | None:
        """What a run is expected to cost: the mean of its like in this command, of the same framework and task.

        Before there was one, the easiest cases coming first, it is what other runs of the framework and task cost in
        this command or what was recorded of its like, whichever is more. None where there is neither.
        """
        cell = (model, job.framework.name, job.task.name)
        if (*cell, alike(job)) in self._seen:
            return fmean(self._seen[*cell, alike(job)])
        others = fmean(self._seen[cell]) if cell in self._seen else None
        return max((usd for usd in (others, self.recorded(model, job)) if usd is not None), default=None)

    def of_round(self, model: str, jobs: Sequence[Job]) -> float | None:
        """What a round is expected to cost; a run of which nothing is known counts as the dearest of the others.

        None where nothing is known of any.
        """
        each = [self.of_run(model, job) for job in jobs]
        known = [usd for usd in each if usd is not None]
        return sum(known) + max(known) * (len(each) - len(known)) if known else None

    def in_words(self) -> str:
        """What was spent, and why no new round was begun."""
        runs = "1 run" if self.unknown == 1 else f"{self.unknown} runs"
        of_some = f" ({runs} of unknown cost, counted as expected)" if self.unknown else ""
        spent = f"{dollars(self.spent_usd)} of {dollars(self.most_usd)} were spent{of_some}"
        if self.refused_usd is None:
            return f"--max-cost: {spent}."
        return (
            f"--max-cost: no new round was begun: {spent}, and the next round is expected to cost "
            f"{dollars(self.refused_usd)}. The same command with more goes on."
        )


def dollars(amount: float) -> str:
    """Dollars and cents; what is less than ten cents in two significant digits."""
    return f"${amount:,.2f}" if amount >= 0.1 else f"${two_digits(amount)}"
