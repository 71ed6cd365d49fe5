"""No round is begun that would be expected to cost more than is left."""

from collections.abc import Callable

import pytest
from factories import key, model_call, trace
from fakes import MakeFramework

from evaluator.catalog.frameworks import Framework
from evaluator.harness.engine import Made
from evaluator.harness.jobs import Job
from evaluator.harness.spending import Spending
from evaluator.providers.prices import PricedModel

MakeJob = Callable[..., Job]

MODEL = "openai/gpt-5-mini"
MINI = PricedModel(MODEL, "openai", "gpt-5-mini")
STARTED = "2026-01-01T12:00:00Z"


@pytest.fixture
def fake(make_framework: MakeFramework) -> Framework:
    return make_framework("a")


def run(usd: float, **changes: object) -> Made:
    """A run of as many prompt tokens as cost so many dollars at $0.25 a million, and of none besides."""
    call = model_call(0.1, 0.2, 0.5, 0.6, input_tokens=round(usd * 4_000_000), output_tokens=0, **changes)
    return Made.of(trace(key(model=MODEL), model_calls=[call], started_at=STARTED))


def limited(most_usd: float, recorded: float | None = None) -> Spending:
    return Spending(most_usd, {MODEL: MINI}, lambda model, job: recorded)


def test_a_round_is_begun_as_long_as_it_is_expected_to_fit(fake: Framework, job: MakeJob) -> None:
    spending, one = limited(1.0, recorded=0.3), job(fake)
    assert spending.allows(MODEL, [one, one, one])
    spending.add(MODEL, one, run(0.5))
    assert spending.spent_usd == 0.5
    assert spending.allows(MODEL, [one])  # 0.5 + 0.5
    spending.add(MODEL, one, run(0.25))  # now 0.75, and 0.375 a run
    assert not spending.allows(MODEL, [one])
    assert spending.in_words() == (
        "--max-cost: no new round was begun: $0.75 of $1.00 were spent, and the next round is expected to cost $0.38. "
        "The same command with more goes on."
    )


def test_once_a_round_did_not_fit_no_other_is_begun_but_one_that_costs_nothing(fake: Framework, job: MakeJob) -> None:
    spending, one = limited(1.0, recorded=0.4), job(fake)
    assert not spending.allows(MODEL, [one, one, one])
    assert not spending.allows(MODEL, [one])
    assert spending.allows("scripted", [one] * 100)
    spending.add("scripted", one, run(5.0))
    assert spending.spent_usd == 0.0


def test_harder_cases_cost_what_easier_ones_did_or_what_is_recorded_whichever_is_more(
    fake: Framework, job: MakeJob
) -> None:
    easy, hard = job(fake, level=2), job(fake, level=4)
    for recorded, expected in ((None, 0.2), (0.1, 0.2), (0.6, 0.6)):
        spending = limited(9.0, recorded)
        spending.add(MODEL, easy, run(0.2))
        assert spending.of_run(MODEL, hard) == expected
        spending.add(MODEL, hard, run(0.5))
        assert spending.of_run(MODEL, hard) == 0.5
        assert spending.of_run(MODEL, easy) == 0.2


def test_a_round_of_which_nothing_is_known_is_made_to_learn_what_it_costs(
    fake: Framework, make_framework: MakeFramework, job: MakeJob
) -> None:
    spending, one, other = limited(1.0), job(fake), job(make_framework("b"))
    assert spending.of_round(MODEL, [one, other]) is None
    assert spending.allows(MODEL, [one, other])
    spending.add(MODEL, one, run(0.4))
    assert spending.of_round(MODEL, [one, other, other]) == pytest.approx(1.2)  # as the dearest of the others


def test_tokens_that_the_harness_counted_cost_too_and_unknown_ones_what_was_expected(
    fake: Framework, job: MakeJob
) -> None:
    spending, one = limited(1.0, recorded=0.1), job(fake)
    spending.add(MODEL, one, run(0.5, usage_source="counted"))
    spending.add(
        MODEL, one, Made.of(trace(model_calls=[model_call(0, 0, 1, 1, input_tokens=None, output_tokens=None)]))
    )
    assert (spending.spent_usd, spending.unknown) == (1.0, 1)
    assert spending.in_words() == (
        "--max-cost: $1.00 of $1.00 were spent (1 run of unknown cost, counted as expected)."
    )


def test_a_run_that_was_begun_and_lost_counts_as_expected(fake: Framework, job: MakeJob) -> None:
    spending, one = limited(1.0, recorded=0.3), job(fake)
    spending.add(MODEL, one, None)
    assert (spending.spent_usd, spending.unknown) == (0.3, 1)
    assert spending.of_run(MODEL, one) == 0.3
