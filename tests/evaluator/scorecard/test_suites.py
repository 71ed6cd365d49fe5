from evaluator.analysis.suites import Rate, Row, SuiteFound, Versus
from evaluator.scorecard.suites import rate_in_words, told, versus_in_words


def test_a_rate_is_all_only_where_it_is_all() -> None:
    assert rate_in_words(Rate(40, 40, 0.9, 1.0)) == "100% (40/40)"
    assert rate_in_words(Rate(199, 200, 0.97, 1.0)) == "99.5% (199/200)"
    assert rate_in_words(Rate(1, 8, 0.02, 0.47), interval=True) == "12.5% [2–47]"
    assert rate_in_words(None) == "–"


def test_what_is_told_apart_has_a_star() -> None:
    assert versus_in_words(Versus(-0.205, 0.01)) == "−20.5*"
    assert versus_in_words(Versus(0.05, 0.2)) == "+5.0"
    assert versus_in_words(None) == "–"


def found(*versus: float | None, p_value: float, smallest: float | None) -> SuiteFound:
    rows = [
        Row(
            framework=f"f{number}",
            versions=("1",),
            rates={"accuracy": {"": Rate(1, 2, 0.1, 0.9)}},
            versus={} if difference is None else {"accuracy": Versus(difference, p_value)},
            unanswered=0,
            calls=1.0,
            prompt_tokens=1.0,
            completion_tokens=1.0,
            wall_s=1.0,
            overhead_s=1.0,
            reasons=(),
            reached={},
            around=(),
        )
        for number, difference in enumerate(versus)
    ]
    return SuiteFound(
        "bfcl", "m", "1", "0" * 16, {"simple": 2}, ("accuracy",), tuple(rows), {"accuracy": smallest}, 0, 0, ()
    )


TITLES = {"f0": "Client only", "f1": "First"}


def test_it_says_who_differs_and_what_so_many_cases_can_show() -> None:
    assert told(found(None, -0.5, p_value=0.01, smallest=0.3), TITLES) == (
        "accuracy: told apart from the baseline: First (−50.0 points); a difference of 30 points would be found in "
        "80 % of all experiments."
    )
    assert told(found(None, -0.5, p_value=0.4, smallest=None), TITLES) == (
        "accuracy: no framework is told apart from the baseline; so few cases, or such equal runs, can show no "
        "difference."
    )
    assert told(found(None, p_value=1.0, smallest=None), TITLES) == ""
