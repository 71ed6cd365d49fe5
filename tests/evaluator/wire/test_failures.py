"""What a server's failure is called, in one line."""

from typing import Any

import pytest
from factories import model_call
from model_server import completion

from evaluator.wire.failures import failure, same_for_all


def call(status: int, response: Any, **fields: Any) -> Any:
    error = f"status {status}" if status >= 400 else None
    return model_call(0, 0, 0, 0, **{"status": status, "response": response, "error": error, **fields})


def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


LONG = {"error": {"message": "too\nlong " * 100}}
FAILURES: list[tuple[int, Any, str]] = [
    (401, {"error": {"message": "Incorrect API key"}}, "401 (key refused): Incorrect API key"),
    (403, {"detail": "Forbidden"}, "403 (key refused): Forbidden"),
    (404, {"error": "model 'x' not found."}, "404 (no such model): model 'x' not found"),
    (404, None, "404 (no such model)"),
    (400, {"message": "Invalid model: x"}, "400 (no such model): Invalid model: x"),
    (400, {"error": {"message": "Model Not Exist"}}, "400 (no such model): Model Not Exist"),
    (400, {"error": {"message": "x is not a valid model ID"}}, "400 (no such model): x is not a valid model ID"),
    (402, {"error": {"message": "Insufficient Balance"}}, "402 (no credit left): Insufficient Balance"),
    (429, {"error": {"message": "slow down"}}, "429 (rate limit): slow down"),
    (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, "429 (no credit left): pay"),
    (
        400,
        {"error": {"message": "too much", "code": "context_length_exceeded"}},
        "400 (context length exceeded): too much",
    ),
    (
        400,
        {"message": "This model's maximum context length is 4096 tokens"},
        "400 (context length exceeded): This model's maximum context length is 4096 tokens",
    ),
    (
        400,
        [{"error": {"message": "The input is too long", "status": "INVALID_ARGUMENT"}}],
        "400 (context length exceeded): The input is too long",
    ),
    (400, {"detail": [{"loc": ["body", "tools"]}]}, '400 (request refused): [{"loc":["body","tools"]}]'),
    (400, {"reason": "no"}, '400 (request refused): {"reason":"no"}'),
    (408, "", "408 (time-out)"),
    (504, "<html>gateway\n time-out</html>", "504 (time-out): <html>gateway time-out</html>"),
    (500, {"error": {"message": None}}, "500 (server error)"),
    (503, [], "503 (server error)"),
    (529, {"error": 5}, "529 (server error): 5"),
]


@pytest.mark.parametrize(("status", "response", "said"), FAILURES)
def test_a_refusal_is_named(status: int, response: Any, said: str) -> None:
    assert failure(call(status, response)) == f"the model's server answered {said}"


def test_retry_after_is_named() -> None:
    said = failure(call(429, {"error": {"message": "slow down"}}, retry_after="7"))
    assert said == "the model's server answered 429 (rate limit, Retry-After: 7): slow down"


def test_a_long_message_is_one_short_line() -> None:
    said = failure(call(400, LONG)) or ""
    assert len(said) < 400 and said.endswith("…") and "\n" not in said


@pytest.mark.parametrize(
    ("response", "fields", "said"),
    [
        ("not JSON", {}, " with a body that is no chat completion"),
        (None, {}, " with a body that is no chat completion"),
        ({"choices": []}, {}, " with a body that is no chat completion"),
        ({"choices": 5}, {}, " with a body that is no chat completion"),
        ([5, "x", None], {}, " with a body that is no chat completion"),
        ({"error": {"message": "provider down"}}, {}, " with an error: provider down"),
        ([chunk("a"), {"error": {"message": "broke"}}], {"stream": True}, " with an error: broke"),
        ([chunk("a"), chunk("b")], {"stream": True}, ", and ended the stream in the middle"),
        ({"x": 1}, {"api": "responses"}, " with a body that is no response"),
        ([{"type": "response.created"}], {"api": "responses"}, " with a body that is no response"),
    ],
)
def test_an_answer_that_is_none_is_named(response: Any, fields: dict[str, Any], said: str) -> None:
    assert failure(call(200, response, **fields)) == f"the model's server answered 200{said}"


@pytest.mark.parametrize(
    ("response", "fields"),
    [
        (completion("hello"), {}),
        ({"choices": [{"message": {"content": None}}]}, {}),
        ([chunk("a"), chunk("", "stop"), {"choices": [], "usage": {}}], {"stream": True}),
        ({"output": [], "error": None}, {"api": "responses"}),
        ([{"type": "response.completed", "response": {"output": []}}], {"api": "responses"}),
    ],
)
def test_an_answer_is_no_failure(response: Any, fields: dict[str, Any]) -> None:
    assert failure(call(200, response, **fields)) is None


@pytest.mark.parametrize(("status", "error"), [(504, "timeout"), (502, "the model's server cannot be used: x")])
def test_what_the_gateway_says_is_not_the_servers(status: int, error: str) -> None:
    assert failure(call(status, None, error=error)) is None
    assert same_for_all([call(status, None, error=error)]) is None


def test_a_refusal_that_all_runs_would_meet() -> None:
    refused, good = call(401, {"error": {"message": "wrong key"}}), call(200, completion("x"))
    said = "the model's server answered 401 (key refused): wrong key"
    assert same_for_all([refused]) == same_for_all([call(500, None), refused]) == said
    assert same_for_all([call(404, None)]) and same_for_all([call(402, None)])
    assert same_for_all([]) is None
    assert same_for_all([good, refused]) is None  # the key was good a moment ago
    assert same_for_all([refused, call(500, None)]) is None
    assert same_for_all([call(429, None)]) is None
    assert same_for_all([call(404, None, api="responses")]) is None
