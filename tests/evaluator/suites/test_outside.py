import pytest

from evaluator.catalog.suites import all_suites
from evaluator.errors import Mistake
from evaluator.harness.limits import MAX_SUITE_CALLS
from evaluator.models import specs
from evaluator.suites import outside
from tasks.suite import SuiteCase


def case(number: int, kind: str) -> SuiteCase:
    return SuiteCase(
        id=f"{kind}_{number}", kind=kind, size="full", question="?", answer="!", version="1", data="0123456789abcdef"
    )


CASES = [case(number, kind) for kind, how_many in (("multiple", 50), ("parallel", 3)) for number in range(how_many)]


def test_a_sample_is_even_over_categories_as_far_as_they_go() -> None:
    kinds = [one.kind for one in outside.sample(CASES, 10, 1)]
    assert (kinds.count("multiple"), kinds.count("parallel")) == (7, 3)
    assert kinds[:6] == ["multiple", "parallel"] * 3


def test_a_sample_is_the_same_for_the_same_seed_in_whatever_order_the_cases_come() -> None:
    drawn = outside.sample(CASES, 10, 1)
    assert drawn == outside.sample(reversed(CASES), 10, 1) != outside.sample(CASES, 10, 2)
    assert len({one.id for one in drawn}) == 10


def test_a_larger_sample_has_the_smaller_one_within_it() -> None:
    assert outside.sample(CASES, 20, 1)[:10] == outside.sample(CASES, 10, 1)


def test_a_sample_of_more_than_there_are_is_all() -> None:
    assert sorted(one.id for one in outside.sample(CASES, 100, 1)) == sorted(one.id for one in CASES)


def test_a_suite_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="there is no suite 'nope'; there are "):
        outside.chosen(["nope:simple"])


@pytest.mark.parametrize("number", ["0", "-1", "standard", "1.5"])
def test_of_suites_a_number_of_cases_is_asked_for(number: str) -> None:
    with pytest.raises(Mistake, match=f"--cases '{number}': of outside suites a number of cases, or 'all'"):
        outside.Limits.of(number)


def test_in_words() -> None:
    assert outside.in_words({"bfcl": CASES}) == "bfcl: 50 multiple, 3 parallel"


def test_suites_with_conversations_are_run_with_limits_of_their_own() -> None:
    asked = outside.chosen(["agentdojo:banking", "bfcl_multi_turn", "bfcl"])
    alike = [[one.suite.name for one in group] for group in outside.alike(asked)]
    assert alike == [["agentdojo", "bfcl"], ["bfcl_multi_turn"]]


def test_the_limit_of_model_calls_is_the_users_the_suites_or_that_of_all_suites() -> None:
    spec, suites = specs.resolve("scripted", None, None), all_suites()
    plain, conversations = suites["bfcl"], suites["bfcl_multi_turn"]

    def limit(suite: str, **given: int) -> int:
        return outside.settings(spec, suites[suite], outside.Limits.of(**given)).max_model_calls

    assert limit(plain.name) == MAX_SUITE_CALLS and plain.max_model_calls is None
    assert limit(conversations.name) == conversations.max_model_calls != MAX_SUITE_CALLS
    assert limit(plain.name, max_model_calls=7) == limit(conversations.name, max_model_calls=7) == 7


@pytest.mark.parametrize("model", ["scripted", "obeying"])
def test_conversations_are_played_by_a_model_that_knows_them(model: str) -> None:
    spec, suites = specs.resolve(model, None, None), all_suites()
    of = {name: outside.settings(spec, suites[name], outside.Limits.of()).model.played for name in suites}
    digests = {name: played.digest() for name, played in of.items() if played is not None}
    assert digests["bfcl_multi_turn"] != digests["bfcl"] == digests["agentdojo"]
