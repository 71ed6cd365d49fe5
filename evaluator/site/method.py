"""What the page `Method` says: every metric, how the numbers behind them are made, and where the runs were recorded."""

import inspect
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from evaluator.analysis import breakdown, judge, metrics, parity, references, sittings
from evaluator.analysis import pairs as comparisons
from evaluator.analysis.graded_run import split_wall_time
from evaluator.catalog import code_size
from evaluator.providers import prices
from evaluator.scorecard import Scorecard
from evaluator.scorecard.content import SETUP_FIELDS
from evaluator.site.render import documentation
from evaluator.stats import agreement, variance
from evaluator.stats import intervals as statistics
from evaluator.stats import paired as paired_statistics
from tasks.grading import Grade

_EXPLAINED = {
    "Pass rate and its interval": statistics.pass_rate_interval,
    "Where every case has the same rate": statistics.wilson_interval,
    "pass^k": statistics.pass_hat_k,
    "The mean score": Grade,
    "Floors and the ceiling": references,
    "Levels": breakdown.by_level,
    "Components of the grade": breakdown.components,
    "Percentiles": statistics.percentile,
    "Differences and ties": comparisons.Pair,
    "The test of a pair": paired_statistics.sign_flip_p_values,
    "Its correction for many pairs": paired_statistics.holm,
    "Which pairs are corrected together": comparisons.corrected,
    "The noise floor": comparisons.by_chance,
    "The smallest difference that is found": paired_statistics.smallest_detectable,
    "How likely a case must differ for that": paired_statistics.share_needed,
    "What explains the variance": variance.shares_of_all,
    "The intervals of these shares": variance.variance_shares,
    "The parts of wall time": split_wall_time,
    "Which times compare": sittings,
    "Times over several tasks": metrics.over_tasks,
    "Costs": prices,
    "Source lines": code_size.source_lines,
    "Injected tokens, and what differs on the wire": parity,
}
"""What needs more than a line: the functions and modules that do it say how, in their own documentation."""

_OF_JUDGES = {"What a judge says": judge, "Cohen's kappa": agreement.cohens_kappa}
"""Only where there are verdicts."""

_WORDS = {None: "unknown", True: "yes", False: "no"}


def data(card: Scorecard) -> dict[str, Any]:
    """What the template needs."""
    return {
        "metrics": metrics.METRICS,
        "explained": _explained({**_EXPLAINED, **(_OF_JUDGES if card.judgements else {})}),
        "environments": _environments(card),
    }


def _explained(what: Mapping[str, Any]) -> dict[str, Markup]:
    return {title: documentation(inspect.getdoc(one) or "") for title, one in what.items()}


def _environments(card: Scorecard) -> dict[str, dict[str, str]]:
    """For each model what its runs were recorded on: every value that occurs."""
    return {
        model: {
            **{label: ", ".join(map(_said, setup[name])) for name, label in SETUP_FIELDS.items() if name in setup},
            "dates": " to ".join(dict.fromkeys((setup["dates"][0], setup["dates"][-1]))),
        }
        for model, setup in card.setups.items()
    }


def _said(value: Any) -> str:
    return _WORDS[value] if value is None or isinstance(value, bool) else str(value)
