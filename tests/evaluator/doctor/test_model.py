"""Examining a model: every double, and what is judged how. Nothing here is a real model."""

import asyncio
import socket
from typing import Any

import pytest
from doubles import DOUBLES, GOOD, KEY, NAME, Double, chunks_of, refusal, served
from factories import key, model_call, trace
from model_server import Answer, serving

from evaluator.doctor import model
from evaluator.doctor import model as doctor_model
from evaluator.doctor.model import (
    FORMS,
    Examination,
    Exchange,
    Recorded,
    Seen,
    call_problem,
    context_of,
    conversation,
    examine,
    recorded,
    sent_forms,
    times_of_content,
)
from evaluator.doctor.report import Result, Verdict
from evaluator.models.upstreams.http import HttpUpstream
from evaluator.models.upstreams.scripted import ScriptedUpstream
from evaluator.providers.endpoint import Endpoint

EVERYONE = Recorded(dict.fromkeys(sent_forms(), ("x",)), longest_prompt_tokens=1000, calls=3, completion_tokens=60)


async def examined(
    double: Double,
    *,
    model: str = NAME,
    key: str | None = None,
    wanted_key: str | None = None,
    quirks: tuple[str, ...] = (),
    needs: Recorded = EVERYONE,
    time_limit_s: float = 60,
) -> dict[str, Result]:
    async with served(double, wanted_key) as url:
        return await examined_at(url, model=model, key=key, quirks=quirks, needs=needs, time_limit_s=time_limit_s)


async def examined_at(
    url: str,
    *,
    model: str = NAME,
    key: str | None = None,
    quirks: tuple[str, ...] = (),
    needs: Recorded = EVERYONE,
    time_limit_s: float = 60,
) -> dict[str, Result]:
    upstream = HttpUpstream(Endpoint(model, url, key, quirks))
    try:
        seen = Seen(Examination(upstream, time_limit_s), needs, 120)
        return {result.name: result async for result in examine(seen, lambda title: None)}
    finally:
        await upstream.close()


def odd(results: dict[str, Result]) -> dict[str, str]:
    return {name: result.finding.verdict.value for name, result in results.items() if result.finding.verdict != "ok"}


@pytest.mark.parametrize("name", DOUBLES)
async def test_doctor_finds_what_a_double_does_otherwise_and_nothing_else(name: str) -> None:
    results = await examined(DOUBLES[name])
    assert odd(results) == DOUBLES[name].expected, {check: results[check].finding.found for check in odd(results)}
    for result in results.values():
        if result.finding.verdict in (Verdict.LIMITED, Verdict.FAILS):
            assert result.means and (result.finding.todo or result.todo)


@pytest.mark.parametrize(
    ("name", "check", "words"),
    [
        ("imitates_vllm", "empty_tools", "otherwise written it is accepted"),
        ("imitates_vllm_without_tool_parser", "tools", "--tool-call-parser to be set"),
        ("imitates_vllm_without_tool_parser", "tool_result", "it builds on 'tools'"),
        ("imitates_sglang_without_tool_parser", "tool_call", "the call comes as text: '<tool_call>"),
        ("imitates_tgi_of_2024", "tool_call", "the arguments come as an object"),
        ("imitates_tgi_of_2024", "tool_result", "status 422: missing field `content`"),
        ("imitates_tgi_of_2024", "context", "8,192 tokens"),
        ("imitates_ollama_with_a_model_without_tools", "tools", "does not support tools"),
        ("imitates_ollama_with_a_model_without_tools", "context", "4,096 tokens"),
        ("imitates_ollama_of_2025", "tool_call_streamed", "the call is lost in the stream"),
        ("imitates_openai_reasoning_models", "temperature", "does not support 0"),
        ("imitates_gemini", "two_calls_streamed", "the arguments are not JSON"),
        ("imitates_anthropic", "json_schema", "accepted, but not kept to"),
        ("imitates_deepseek", "embeddings", "runs use those of the harness"),
        ("good", "tool_call", 'get_weather({"city":"Paris"})'),
        ("good", "two_calls", "2 calls"),
        ("good", "usage", "20 prompt and 8 completion tokens"),
        ("good", "context", "32,768 tokens; the longest recorded prompt has 1,000 tokens"),
    ],
)
async def test_what_is_said_of_it(name: str, check: str, words: str) -> None:
    assert words in (await examined(DOUBLES[name]))[check].finding.found


@pytest.mark.parametrize(
    ("name", "quirks"),
    [
        ("imitates_vllm", ("drop_empty_tools",)),
        ("imitates_openai_reasoning_models", ("drop_temperature", "max_completion_tokens")),
        ("imitates_groq_of_2024", ("drop_stream_options",)),
        ("imitates_llama_cpp_python", ("null_content_to_empty", "join_text_parts")),
    ],
)
async def test_the_advised_quirk_mends_it(name: str, quirks: tuple[str, ...]) -> None:
    plain = await examined(DOUBLES[name])
    advised = {check: result.finding.todo for check, result in plain.items() if "quirks" in result.finding.todo}
    assert all(f'"{quirk}"' in " ".join(advised.values()) for quirk in quirks)
    mended = await examined(DOUBLES[name], quirks=quirks)
    assert not any(mended[check].failed for check in advised), odd(mended)


async def test_only_what_recorded_runs_send_is_needed() -> None:
    alone = await examined(DOUBLES["imitates_vllm"], needs=Recorded())
    assert alone["empty_tools"].finding.verdict is Verdict.FAILS and not alone["empty_tools"].failed
    assert "nothing is recorded" in alone["context"].finding.found
    sent = await examined(DOUBLES["imitates_vllm"], needs=Recorded({"empty_tools": ("x", "y")}))
    assert sent["empty_tools"].failed and sent["empty_tools"].sent_by == ("x", "y")


async def test_a_key_is_refused_wanted_or_not_looked_at() -> None:
    right = await examined(GOOD, key=KEY, wanted_key=KEY)
    assert right["key"].finding.found == "accepted" and not odd(right)
    wrong = await examined(GOOD, key="sk-wrong-key", wanted_key=KEY)
    assert wrong["key"].failed and wrong["key"].finding.found.startswith("refused: status 401: ")
    assert wrong["chat"].finding.verdict is Verdict.NOT_MADE
    none = await examined(GOOD, wanted_key=KEY)
    assert none["key"].failed and none["key"].finding.found.startswith("wanted, and none was given: ")
    told = str([*right.values(), *wrong.values(), *none.values()])
    assert KEY not in told and "sk-wrong-key" not in told and "***" in told and "127.0.0.1" not in told


async def test_a_bare_403_is_of_one_request_and_is_not_said_to_be_the_keys() -> None:
    double = Double(refuses=lambda request: refusal("Input was flagged by moderation", 403))
    results = await examined(double)
    assert results["key"].finding.verdict is Verdict.NOT_MADE and results["chat"].failed
    assert results["chat"].finding.found == "status 403: Input was flagged by moderation"
    named = await examined(Double(refuses=lambda request: refusal("Your account is blocked", 403)))
    assert named["key"].failed and named["chat"].finding.found == "it builds on the key"


async def test_a_404_about_an_option_is_no_wrong_address() -> None:
    double = Double(refuses=lambda request: refusal("No provider supports what you ask for", 404))
    chat = (await examined(double))["chat"]
    assert chat.failed and not chat.finding.todo


async def test_text_in_parts_and_what_is_thought_are_named_as_runs_meet_them() -> None:
    def in_parts(message: dict[str, Any]) -> dict[str, Any]:
        said = message.get("content")
        return {**message, "content": [{"type": "text", "text": said}]} if said else message

    def streamed(message: dict[str, Any]) -> list[dict[str, Any]]:
        said = message.get("content")
        return [in_parts(delta) for delta in chunks_of({**message, "content": said[0]["text"] if said else None})]

    results = await examined(Double(says=lambda request: in_parts(GOOD.says(request)), streams=streamed))
    for name in ("chat", "tool_result", "stream"):
        assert results[name].finding.verdict is Verdict.LIMITED, name
        assert "as a list of parts, which many frameworks cannot read" in results[name].finding.found

    def thinking(message: dict[str, Any]) -> dict[str, Any]:
        said = message.get("content")
        return {**message, "content": f"<think>{'Let me see. ' * 9}</think>\n\n{said}"} if said else message

    results = await examined(Double(says=lambda request: thinking(GOOD.says(request))))
    for name in ("chat", "tool_result", "stream"):
        assert results[name].finding.verdict is Verdict.OK, name
        assert "what it thinks before is kept" in results[name].finding.found
    assert results["json_schema"].finding.verdict is Verdict.OK


async def test_a_model_that_is_not_there() -> None:
    names = {"data": [{"id": "qwen2.5-7b"}, {"id": "qwen3-8b"}]}
    double = Double(lists=names, refuses=lambda request: refusal("model 'qwen3' not found", 404))
    model = (await examined(double, model="qwen3"))["model"]
    assert model.failed and model.finding.found == "not there; the server has qwen2.5-7b, qwen3-8b"
    assert model.finding.todo == "Did you mean qwen3-8b?"
    anything = (await examined(Double(lists=names), model="qwen3"))["model"]
    assert anything.finding.verdict is Verdict.LIMITED and "the server's list has only" in anything.finding.found
    unlisted = (await examined(Double(lists=None)))["model"]
    assert unlisted.finding.found == "it answers; the server has no list of models"


async def test_a_wrong_address_is_suspected() -> None:
    async with served(GOOD) as url:
        results = await examined_at(url.removesuffix("/v1"))
    assert results["chat"].failed and "ends in /v1" in results["chat"].finding.todo


async def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    results = await examined_at(f"http://127.0.0.1:{port}/v1")
    assert [name for name, result in results.items() if result.failed] == ["reachable"]
    assert "Connection refused" in results["reachable"].finding.found
    assert {verdict for name, verdict in odd(results).items() if name != "reachable"} == {"not made"}


async def test_a_server_that_is_loading_its_model() -> None:
    body = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    async with served(Double(refuses=lambda request: (503, body))) as url:
        results = await examined_at(url)
    assert "Loading model" in results["chat"].finding.found and results["chat"].failed


async def test_the_time_of_all_checks_together_is_kept() -> None:
    async with served(GOOD) as url:
        upstream = HttpUpstream(Endpoint(NAME, url))
        seen = Seen(Examination(upstream, 60), EVERYONE, 120)
        results: list[Result] = []
        async for result in examine(seen, lambda title: None):
            results.append(result)
            if result.name == "stream":
                seen.examination._deadline = 0.0
        await upstream.close()
    later = {result.name: result for result in results}
    assert later["speed"].finding.verdict is not Verdict.NOT_MADE  # it asks nothing itself
    assert later["tools"].finding.found == "no time was left" and "--time-limit" in later["tools"].finding.todo
    assert not any(result.failed for result in results)


async def test_a_server_that_goes_away_between_is_said_to() -> None:
    async with served(GOOD) as url:
        upstream = HttpUpstream(Endpoint(NAME, url))
        seen = Seen(Examination(upstream, 60), EVERYONE, 120)
        results = {}
        async for result in examine(seen, lambda title: None):
            results[result.name] = result
            if result.name == "speed":
                upstream._chat_url = upstream._chat_url.with_port(9)
        await upstream.close()
    assert results["tools"].failed and results["tools"].finding.todo.startswith("See whether the server still runs")


async def test_a_silent_server_costs_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"GET /v1/models"):
            body = b'{"data": [{"id": "another"}]}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
            writer.close()

    monkeypatch.setattr(model, "_FIRST_SHARE", 0.004)
    server = await asyncio.start_server(hangs, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    results = await examined_at(f"http://127.0.0.1:{port}/v1")
    server.close()
    assert results["reachable"].finding.verdict is Verdict.OK
    assert results["chat"].failed and results["chat"].finding.found == "no answer within 0 s"
    assert "--time-limit" in results["chat"].finding.todo
    assert results["model"].finding.verdict is Verdict.NOT_MADE  # it may well be there


async def test_the_scripted_model_can_be_examined_too() -> None:
    seen = Seen(Examination(ScriptedUpstream()), EVERYONE, 60)
    results = {result.name: result async for result in examine(seen, lambda title: None)}
    speeds = {"first_token", "speed"}
    none = {"reachable", "key", "model", "context", "embeddings"}
    assert {name: verdict for name, verdict in odd(results).items() if name not in speeds} == dict.fromkeys(
        none, "not applicable"
    )


@pytest.mark.parametrize("answered", (0, 1, 4))
async def test_a_server_that_says_to_come_back_later_is_asked_nothing_more(answered: int) -> None:
    good = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Ready."}, "finish_reason": "stop"}]}

    def limited(number: int, headers: dict[str, str]) -> Answer:
        if number < answered:
            return Answer(200, good)
        return Answer(429, {"error": "daily limit"}, {"Retry-After": "7200"})

    with serving(limited) as server:
        results = await examined_at(f"{server.url}")
    [stop] = [result for result in results.values() if "Come back in 2.0 h, at " in result.finding.found]
    assert stop.failed and "daily limit" in stop.finding.found and stop.means.startswith("Every run stops")
    assert len(server.bodies) == answered + 1
    assert not any(result.failed for result in list(results.values())[list(results).index(stop.name) + 1 :])


# --- judging ---------------------------------------------------------------------------------------


def call(**function: Any) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{}", **function}}


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (call(arguments='{"city": "Paris"}'), None),
        (call(arguments={"city": "Paris"}), Verdict.FAILS),
        (call(arguments='{"city": "Pa'), Verdict.FAILS),
        (call(arguments=None), Verdict.FAILS),
        (call(arguments="[1]"), Verdict.LIMITED),
        (call(arguments='{"town": "Paris"}'), Verdict.LIMITED),
        (call(name="get_time", arguments='{"city": "Paris"}'), Verdict.LIMITED),
        ({**call(arguments='{"city": "Paris"}'), "id": ""}, Verdict.FAILS),
    ],
)
def test_what_is_wrong_with_a_call(made: dict[str, Any], verdict: Verdict | None) -> None:
    problem = call_problem(made)
    assert (problem.verdict if problem else None) is verdict


@pytest.mark.parametrize(
    ("response", "told"), [({"error": {"message": "no\n such"}}, "status 400: no such"), (None, "status 400")]
)
def test_a_refusal_is_told_with_what_the_server_says(response: Any, told: str) -> None:
    assert Exchange(status=400, response=response).refusal == told


@pytest.mark.parametrize(
    "response", [None, "text", [], {}, {"choices": []}, {"choices": None}, [1], {"choices": [3]}, 7]
)
def test_what_is_no_chat_completion_has_no_message(response: Any) -> None:
    assert Exchange(status=200, response=response).message is None


@pytest.mark.parametrize(
    ("page", "tokens"),
    [
        ({"data": [{"id": "m", "max_model_len": 100}]}, 100),
        ({"data": [{"id": "other", "context_length": 7}, {"id": "m", "context_length": 200}]}, 200),
        ({"data": [{"id": "a", "context_length": 7}, {"id": "b", "context_length": 8}]}, None),
        ({"data": [{"id": "a.gguf", "meta": {"n_ctx_train": 32768, "n_ctx": 4096}}]}, 4096),
        ({"default_generation_settings": {"n_ctx": 8192, "params": {"n_predict": -1}}}, 8192),
        ({"models": [{"name": "m", "context_length": 4096}]}, 4096),
        ({"data": [{"id": "m", "context_length": True}]}, None),
        ({"data": []}, None),
        ("<html>", None),
        (None, None),
    ],
)
def test_where_a_context_size_is_told(page: Any, tokens: int | None) -> None:
    assert context_of(page, "m") == tokens


def test_when_text_and_calls_came() -> None:
    pieces = [
        (0.1, b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}'),
        (0.5, b'data: {"choices":[{"delta":{"content":"Hi"}}]}'),
        (0.9, b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments": "{}"}}]}}]}'),
        (1.2, b"data: [DONE]"),
    ]
    assert times_of_content(pieces) == (0.5, 0.9)
    assert times_of_content(pieces[:1]) == (0.0, 0.0)


# --- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_each_form_recognizes_what_it_writes_and_only_that(form: doctor_model.Form) -> None:
    assert not form.sent(conversation())
    written = form.write(conversation())
    assert {other.name for other in FORMS if other.sent(written)} == {form.name}
    assert conversation() == doctor_model.conversation()  # nothing was changed in place
    if form.quirk:
        mended, changes = doctor_model.quirks.applied([form.quirk], written)
        assert changes == [form.quirk] and not form.sent(mended)


def test_the_recorded_runs_say_who_sends_what() -> None:
    nulls = {**conversation(), "response_format": None}
    traces: list[Any] = [
        trace(key("a", framework="x"), model_calls=[model_call(0, 0, 1, 1, request=nulls, input_tokens=900)]),
        trace(key("b", framework="y"), model_calls=[model_call(0, 0, 1, 1, request={"stream": True})] * 3),
        trace(key("c", framework="x"), model_calls=[model_call(0, 0, 1, 1, operation="embeddings", input_tokens=5000)]),
        "a damaged one",
    ]
    found = recorded(traces, sent_forms())
    assert found.senders["nulls"] == ("x",) and found.senders["stream"] == ("y",) and found.senders["names"] == ()
    assert found.longest_prompt_tokens == 900
    assert (found.calls, found.completion_tokens) == (1, 10)
    assert recorded([], {}) == Recorded()


@pytest.mark.parametrize(
    ("message", "verdict", "found"),
    (
        ({"content": "Ready."}, Verdict.OK, "it says 'Ready.'"),
        ({"content": "<think>So.</think>Ready."}, Verdict.OK, "'Ready.'; what it thinks before"),
        (
            {"content": "Ready.", "reasoning_content": "So."},
            Verdict.OK,
            "it says 'Ready.'; what it thinks before is kept",
        ),
        (
            {"content": [{"type": "thinking", "thinking": "So."}, {"type": "text", "text": "Ready."}]},
            Verdict.LIMITED,
            "'Ready.'; what it thinks before is kept",
        ),
        ({"content": "<think>So, what", "finish_reason": "length"}, Verdict.LIMITED, "it thinks first"),
        ({"content": None, "reasoning": "So, what"}, Verdict.LIMITED, "it thinks first"),
        ({"content": None, "tool_calls": [call()]}, Verdict.LIMITED, "though it was offered none"),
        ({"content": ""}, Verdict.FAILS, "the answer is empty"),
    ),
)
def test_what_a_model_thinks_is_told_from_what_it_says(message: Any, verdict: Verdict, found: str) -> None:
    response = {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}
    seen = Seen(Examination(ScriptedUpstream()), EVERYONE, 60)
    seen.exchanges["key"] = [Exchange(status=200, response=response)]
    finding = doctor_model.judge_chat(seen)
    assert (finding.verdict, found in finding.found) == (verdict, True), finding.found
