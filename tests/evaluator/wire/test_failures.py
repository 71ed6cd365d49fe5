"""What a server's failure is called, in one line."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from factories import model_call
from model_server import completion

from evaluator.wire.failures import Refusal, failure, is_the_servers, same_for_all


def call(status: int, response: Any, **fields: Any) -> Any:
    error = f"status {status}" if status >= 400 else None
    return model_call(0, 0, 0, 0, **{"status": status, "response": response, "error": error, **fields})


def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


LONG = {"error": {"message": "too\nlong " * 100}}
FAILURES: list[tuple[int, Any, str]] = [
    (401, {"error": {"message": "Incorrect API key"}}, "401 (key refused): Incorrect API key"),
    (403, {"detail": "Forbidden"}, "403 (refused by the server): Forbidden"),
    (403, {"error": {"message": "Flagged by moderation"}}, "403 (refused by the server): Flagged by moderation"),
    (403, {"error": {"message": "Your API key has no access"}}, "403 (key refused): Your API key has no access"),
    (403, {"error": {"code": "unauthorized", "message": "no"}}, "403 (key refused): no"),
    (400, {"error": {"message": "Invalid api_key"}}, "400 (key refused): Invalid api_key"),
    (403, {"error": {"message": "model x does not exist"}}, "403 (no such model): model x does not exist"),
    (404, {"error": "model 'x' not found."}, "404 (no such model): model 'x' not found"),
    (404, None, "404 (no such address: is the base URL right?)"),
    (404, {"detail": "Not Found"}, "404 (no such address: is the base URL right?): Not Found"),
    (404, "404 page not found", "404 (no such address: is the base URL right?): 404 page not found"),
    (404, "<html>nginx</html>", "404 (no such address: is the base URL right?): <html>nginx</html>"),
    (405, {"detail": "Cannot POST /v1"}, "405 (no such address: is the base URL right?): Cannot POST /v1"),
    (404, {"error": {"message": "no endpoints support tools"}}, "404 (request refused): no endpoints support tools"),
    (
        400,
        {"error": {"message": "Your credit balance is too low"}},
        "400 (no credit left): Your credit balance is too low",
    ),
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


@pytest.mark.parametrize(
    ("retry_after", "stops"),
    [("3600", True), ("120", False), ("7", False), ("0", False), (None, False), ("soon", False), ("-5", False)],
)
@pytest.mark.parametrize("status", [429, 529])
def test_a_server_that_says_to_come_back_much_later_is_as_good_as_gone(
    status: int, retry_after: str | None, stops: bool
) -> None:
    good, limited = call(200, completion("x")), call(status, {"error": "daily limit"}, retry_after=retry_after)
    said = same_for_all([good, limited])
    assert (said is not None) is stops
    if said is not None:
        assert "daily limit. Come back in 60 min, at 2" in said
        assert "same command" not in said  # who stops says that, once


def test_when_to_come_back_may_be_a_date() -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    waits_s = Refusal(503, None, in_an_hour).wait_s
    assert waits_s is not None and 3500 < waits_s <= 3600
    assert Refusal(429, None, format_datetime(datetime(2020, 1, 1, tzinfo=UTC))).wait_s == 0


@pytest.mark.parametrize(
    ("status", "response", "servers"),
    [
        *((status, None, True) for status in (401, 402, 403, 404, 408, 429, 500, 503, 504, 529)),
        *((status, {"error": "no"}, False) for status in (400, 413, 422)),
        (404, {"error": "tools are not supported"}, False),
        (500, {"error": "the prompt is too long"}, False),
        (200, "not JSON", True),
        (200, [chunk("a")], True),
        (200, completion("x"), False),
    ],
)
def test_whose_fault_a_failed_call_is(status: int, response: Any, servers: bool) -> None:
    assert is_the_servers(call(status, response)) is servers


def test_what_the_gateway_itself_says_is_no_fault_of_the_server() -> None:
    assert not is_the_servers(call(504, None, error="timeout"))


def test_a_refusal_that_all_runs_would_meet() -> None:
    refused, good = call(401, {"error": {"message": "wrong key"}}), call(200, completion("x"))
    said = "the model's server answered 401 (key refused): wrong key"
    assert same_for_all([refused]) == same_for_all([call(500, None), refused]) == said
    no_model = call(404, {"error": "model 'x' not found"})
    assert same_for_all([no_model]) and same_for_all([call(402, None)])
    assert same_for_all([]) is None
    assert same_for_all([good, refused]) is None  # the key was good a moment ago
    assert same_for_all([refused, call(500, None)]) is None
    assert same_for_all([call(429, None)]) is None
    assert same_for_all([call(403, {"error": "flagged"})]) is None  # one request, perhaps
    assert same_for_all([call(404, None)]) is None
    assert same_for_all([no_model.model_copy(update={"api": "responses"})]) is None


@pytest.mark.parametrize(
    ("stream", "response", "words"),
    [
        (
            False,
            [{"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}],
            "with a body that is no chat completion",
        ),
        (True, {"choices": [{"message": {"content": "x"}}]}, "without the stream that it was asked for"),
    ],
)
def test_a_reply_in_another_form_than_was_asked_for_is_the_servers(stream: bool, response: object, words: str) -> None:
    call = model_call(0, 0, 1, 1, stream=stream, response=response)
    assert failure(call) == f"the model's server answered 200 {words}"
    assert is_the_servers(call)
