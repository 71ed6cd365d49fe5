"""What the verdicts on a cell's runs come to, beside the rules."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from evaluator.analysis.graded_run import GradedRun
from evaluator.analysis.judge.verdicts import Said
from evaluator.analysis.metrics import rounded
from evaluator.stats.agreement import cohens_kappa, share_alike
from evaluator.stats.intervals import pass_rate_interval
from evaluator.trace import Key


@dataclass(frozen=True)
class Judgement:
    """What a judge said of a run, and whether the run passed by the rules. `verdict` is None where there is none."""

    key: Key
    judge: str
    verdict: Said | None
    why: str
    passed: bool

    @property
    def disagrees(self) -> bool:
        """Whether the judge says otherwise than the rules."""
        return self.verdict is not None and (self.verdict == "right") != self.passed


@dataclass(frozen=True)
class Figures:
    """One judge on the runs of a cell.

    `verdicts` and `no_verdict` are of the runs that it was asked about, and `unanswered` are wrong without asking; the
    rest of the `runs` is not judged yet. `right_share` is `right` / (`verdicts` + `unanswered`), with its 95 %
    interval over the cases. `agreement` with the rules, a share, and `kappa` are over the `verdicts`, None where there
    is nothing to compute them from.
    """

    judge: str
    runs: int
    verdicts: int
    right: int
    unanswered: int
    no_verdict: int
    right_share: float | None
    right_low: float | None
    right_high: float | None
    agreement: float | None
    kappa: float | None


def figures(runs: Sequence[GradedRun], judgements: Sequence[Judgement]) -> tuple[Figures, ...]:
    """What each judge says of the `runs`, of which it has judged some; the judges by name."""
    by_judge: dict[str, list[Judgement]] = defaultdict(list)
    for one in judgements:
        by_judge[one.judge].append(one)
    return tuple(_figures(judge, runs, said) for judge, said in sorted(by_judge.items()))


def _figures(judge: str, runs: Sequence[GradedRun], judgements: Sequence[Judgement]) -> Figures:
    given = [one for one in judgements if one.verdict is not None]
    unanswered = [run.key for run in runs if run.ended != "answered"]
    counted = Counter((key.task, key.case) for key in (*(one.key for one in given), *unanswered))
    right = Counter((one.key.task, one.key.case) for one in given if one.verdict == "right")
    both = [(one.verdict == "right", one.passed) for one in given]
    low, high = pass_rate_interval((right[case], runs) for case, runs in counted.items()) if counted else (None, None)
    return Figures(
        judge=judge,
        runs=len(runs),
        verdicts=len(given),
        right=right.total(),
        unanswered=len(unanswered),
        no_verdict=len(judgements) - len(given),
        right_share=_rounded(right.total() / counted.total()) if counted else None,
        right_low=_rounded(low),
        right_high=_rounded(high),
        agreement=_rounded(share_alike(both)) if both else None,
        kappa=_rounded(cohens_kappa(both)) if both else None,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else rounded(value)
