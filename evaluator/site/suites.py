"""The page of outside suites: what their own graders say of each framework, by category, and what it costs."""

from collections.abc import Sequence
from typing import Any

from evaluator.analysis.suites import SuiteFound
from evaluator.scorecard import Scorecard
from evaluator.scorecard.suites import about, rate_in_words, reached_in_words, reasons, told, versus_in_words
from evaluator.scorecard.words import count, seconds
from evaluator.site.render import heat

PAGE = "suites.html"


def overview(card: Scorecard) -> dict[str, Any]:
    """What the page is made of."""
    return {
        "of_suites": {
            suite: [found for of, found in card.suites if of == suite]
            for suite in dict.fromkeys(suite for suite, _ in card.suites)
        },
        "about": about,
        "told": told,
        "reasons": reasons,
        "kinds": kinds,
        "in_words": reached_in_words,
        "rate": rate_in_words,
        "versus": versus_in_words,
        "count": count,
        "seconds": seconds,
        "heat": heat,
    }


def kinds(found: SuiteFound, metric: str) -> Sequence[str]:
    """The categories in which a metric is given; none where there is but one."""
    given = [kind for kind in found.cases if any(kind in row.rates[metric] for row in found.rows)]
    return given if len(given) > 1 else []
