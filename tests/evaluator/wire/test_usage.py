"""How many tokens a server says that a call took, wherever it says so."""

from typing import Any

import pytest

from evaluator.wire.usage import Usage, usage_of

WHOLE = {"prompt_tokens": 7, "completion_tokens": 2}
SAID = Usage(7, 2)


@pytest.mark.parametrize(
    "response",
    [
        {"choices": [], "usage": WHOLE},
        {"choices": [{"message": {}, "usage": WHOLE}]},
        [{"choices": [{"delta": {}}]}, {"choices": [{"delta": {}, "finish_reason": "stop", "usage": WHOLE}]}],
        [{"choices": [], "usage": WHOLE}, {"choices": [], "usage": None}],
        [{"choices": [{"delta": {}}], "x_groq": {"id": "r", "usage": WHOLE}}],
        [{"usage": {"prompt_tokens": 7, "completion_tokens": so_far}} for so_far in (0, 1, 2)],
        [{"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, {"usage": WHOLE}],
        [{"usage": WHOLE}, {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}],
        {"usage": {"input_tokens": 7, "output_tokens": 2}},
        {"usage": {"prompt_tokens": 7.0, "completion_tokens": 2.0}},
    ],
)
def test_it_is_found_wherever_it_stands(response: Any) -> None:
    assert usage_of("chat_completions", response) == SAID


@pytest.mark.parametrize(
    "more",
    [
        {"prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 1}},
        {"input_tokens_details": {"cached_tokens": 3}, "output_tokens_details": {"reasoning_tokens": 1}},
        {"prompt_cache_hit_tokens": 3, "prompt_cache_miss_tokens": 4, "reasoning_tokens": 1},
    ],
)
def test_what_was_cached_and_what_the_model_thought_with(more: dict[str, Any]) -> None:
    assert usage_of("chat_completions", {"usage": {**WHOLE, **more}}) == Usage(7, 2, cached=3, reasoning=1)


def test_of_responses_it_is_that_of_the_last_event() -> None:
    whole = {"usage": {"input_tokens": 7, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}}}
    for response in (whole, [{"type": "x"}, {"response": whole}, {"response": {"usage": None}}]):
        assert usage_of("responses", response) == Usage(7, 2, cached=1)


@pytest.mark.parametrize("impossible", [-1, 0, 10**400, 1e300, 1.5, float("inf"), float("nan"), True, "7", None, [7]])
def test_a_number_that_cannot_be_is_unknown(impossible: Any) -> None:
    def of(**usage: Any) -> Usage:
        return usage_of("chat_completions", {"usage": {**WHOLE, **usage}})

    assert of(prompt_tokens=impossible) == Usage(None, 2)
    assert of(completion_tokens=impossible) == Usage(7, None)
    assert of(prompt_tokens=impossible, completion_tokens=impossible) == Usage()
    cached = of(prompt_tokens_details={"cached_tokens": impossible}).cached
    assert cached is None or cached == impossible == 0


def test_no_part_is_more_than_the_whole() -> None:
    more = {"prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 3}}
    assert usage_of("chat_completions", {"usage": {**WHOLE, **more}}) == SAID


@pytest.mark.parametrize("response", [None, "", "text", 5, [], {}, {"usage": None}, {"usage": "7"}, {"choices": 5}])
def test_where_nothing_is_said_nothing_is_known(response: Any) -> None:
    assert usage_of("chat_completions", response) == usage_of("responses", response) == Usage()
