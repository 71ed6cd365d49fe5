"""Replays: answered from the recording alone, fully played, and the same again; and what is said where not."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import key, model_call, trace
from fakes import ASK, MakeFramework, OpenHarness

from evaluator.analysis.graded_run import grade_run
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.harness.jobs import Job
from evaluator.harness.matrix import run_all
from evaluator.models.upstreams import Reply, UpstreamError
from evaluator.models.upstreams.replay import ReplaySession, ReplayUpstream, recorded_script, recording_digest
from evaluator.suites import replays
from evaluator.suites.replays import recordings, unlike
from evaluator.trace import ModelCall, Trace, read_trace, trace_path, write_trace
from evaluator.wire.messages import CUT_OFF

MakeJob = Callable[..., Job]


# --- one recording ---------------------------------------------------------------------------


def request(text: str = "Hi", **more: Any) -> dict[str, Any]:
    return {"model": "local", "messages": [{"role": "user", "content": text}], **more}


def answer(text: str = "Hello.") -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


def recorded(*calls: ModelCall, **fields: Any) -> ReplaySession:
    return ReplayUpstream().session(recorded_script(trace(model_calls=list(calls), **fields), given=""))


def call(asked: dict[str, Any], response: Any, **fields: Any) -> ModelCall:
    return model_call(1, 2, 5, 6, **{"request": asked, "response": response, "request_model": "local", **fields})


async def replayed(session: ReplaySession, asked: dict[str, Any]) -> tuple[Reply, bytes]:
    reply = await ReplayUpstream().chat(json.dumps(asked).encode(), asked, session, 0.01)
    if isinstance(reply.body, bytes):
        return reply, reply.body
    return reply, b"".join([piece async for piece in reply.body])


async def test_a_plain_response_comes_as_it_was_recorded() -> None:
    session = recorded(call(request(), answer()))
    reply, body = await replayed(session, dict(reversed(request().items())))
    assert (reply.status, json.loads(body)) == (200, answer())
    assert session.complaint() is None


async def test_a_stream_comes_in_the_recorded_chunks() -> None:
    chunks = [{"choices": [{"delta": {"content": "Hé"}}]}, "no JSON", {"choices": [], "usage": {"prompt_tokens": 3}}]
    session = recorded(call(request(stream=True), chunks, stream=True))
    reply, body = await replayed(session, request(stream=True))
    assert dict(reply.headers)[b"content-type"].startswith(b"text/event-stream")
    *events, done, end = body.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b"")
    data = [event.removeprefix(b"data: ").decode() for event in events]
    assert [json.loads(data[0]), data[1], json.loads(data[2])] == chunks


async def test_equal_requests_get_the_responses_in_recorded_order() -> None:
    session = recorded(call(request(), answer("1")), call(request("other"), answer("x")), call(request(), answer("2")))
    bodies = [(await replayed(session, asked))[1] for asked in (request(), request(), request("other"))]
    assert [json.loads(body) for body in bodies] == [answer("1"), answer("2"), answer("x")]
    assert session.complaint() is None


@pytest.mark.parametrize(
    ("status", "error", "response", "body"),
    [
        (429, "status 429", {"error": {"message": "slow down"}}, b'{"error":{"message":"slow down"}}'),
        (500, "status 500", "<html>", b"<html>"),
        (200, None, None, b""),
    ],
)
async def test_errors_of_the_server_come_again(status: int, error: str | None, response: Any, body: bytes) -> None:
    session = recorded(call(request(), response, status=status, error=error))
    reply, got = await replayed(session, request())
    assert (reply.status, got) == (status, body)


@pytest.mark.parametrize(
    ("error", "ended", "raised"),
    [
        ("timeout", "timeout", TimeoutError),
        (CUT_OFF, "timeout", TimeoutError),
        (CUT_OFF, "answered", TimeoutError),  # after the run's own time, which is short here
        ("the model's server cannot be used: broken pipe", "answered", UpstreamError),
    ],
)
@pytest.mark.parametrize("chunks", [None, ["first"]])
async def test_what_broke_off_breaks_off_again(error: str, ended: Any, raised: type[Exception], chunks: Any) -> None:
    fields = {"stream": bool(chunks), "status": 200 if chunks else 0, "error": error}
    session = recorded(call(request(), chunks, **fields), ended=ended)
    with pytest.raises(raised):
        await replayed(session, request())
    assert session.complaint() is None


async def test_a_response_of_which_nothing_was_kept_is_said_to_be_lost() -> None:
    session = recorded(call(request(), None, status=200, error=CUT_OFF, stream=True))
    reply, _ = await replayed(session, request())
    assert reply.status == 400
    assert session.complaint() == "the response to recorded request 1 was lost: record this run again"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            [request("Hi."), request()],
            "request 1 was never recorded; nearest recorded request 1 differs: messages[0].content: 'Hi' became 'Hi.'",
        ),
        (
            [request(), request("Bye", temperature=0.5)],
            "request 2 was never recorded; nearest recorded request 2 differs: temperature was added: 0.5",
        ),
        (
            [request(), request("Bye", a=1, b=2, c=3, d=4, e=5)],
            "request 2 was never recorded; nearest recorded request 2 differs: a was added: 1; b was added: 2; "
            "c was added: 3; and 2 more differences",
        ),
        ([request(), request()], "request 2 is recorded request 1 once more, and was recorded once only"),
        ([request()], "1 of 2 recorded model calls was never asked for"),
        ([], "2 of 2 recorded model calls were never asked for"),
        (
            [request(), request("Bye"), request("Bye")],
            "request 3 is recorded request 2 once more, and was recorded once",
        ),
    ],
)
async def test_what_does_not_fit_the_recording_is_told_in_words(asked: list[dict[str, Any]], words: str) -> None:
    session = recorded(call(request(), answer()), call(request("Bye"), answer()))
    bodies = [await replayed(session, one) for one in asked]
    assert (session.complaint() or "").startswith(words)
    told = [json.loads(body)["error"]["message"] for reply, body in bodies if reply.status == 400]
    assert all(message == session.complaint() for message in told)


async def test_after_a_request_that_was_not_recorded_nothing_is_answered() -> None:
    session = recorded(call(request(), answer()))
    assert [(await replayed(session, asked))[0].status for asked in (request("x"), request())] == [400, 400]


async def test_a_request_nested_too_deep_is_not_recorded() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    session = recorded(call(request(), answer()))
    await replayed(session, request(more=deep))
    assert session.complaint() == "request 1 was never recorded: it is nested too deep"


async def test_a_date_that_the_model_brought_up_counts_and_one_of_the_framework_does_not() -> None:
    chunks = [{"choices": [{"delta": {"content": text}}]} for text in ("On 2026-", "03-04.")]
    first = call(request(), chunks, stream=True)

    def told(model: str, framework: str) -> dict[str, Any]:
        return request(f"You said {model}, and it is {framework}")

    for said, complains in (("2026-03-04", False), ("2026-03-05", True)):
        session = recorded(first, call(told("2026-03-04", "2026-01-01"), answer()))
        await replayed(session, request())
        await replayed(session, told(said, "2027-12-31"))
        assert (session.complaint() is not None) is complains


def test_a_recordings_digest_is_that_of_its_model_calls() -> None:
    one = trace(model_calls=[call(request(), answer())])
    assert recording_digest(one) == recording_digest(one.model_copy(update={"case": {}}))
    assert recording_digest(one) != recording_digest(trace(model_calls=[call(request(), answer("x"))]))


# --- times -----------------------------------------------------------------------------------


def test_model_time_is_the_recorded_one_and_concurrent_calls_count_once() -> None:
    """Recorded: two calls that overlap, from 10 to 16 s. Replayed: a run of 1 s, two lookups of 0.1 s each."""
    times = [{"sent_s": 10, "first_byte_s": 11, "received_s": 14}, {"sent_s": 12, "first_byte_s": 13, "received_s": 16}]
    calls = [model_call(at, at, at + 0.1, at + 0.15, recorded=each) for at, each in zip((0.2, 0.6), times, strict=True)]
    run = grade_run(trace(model_calls=calls, wall_s=1.0), all_tasks()["tool_calling"])
    assert (run.split.model_s, run.wall_s) == pytest.approx((6, 1 - 0.2 + 6))
    assert (run.split.gateway_s, run.split.tool_s, run.split.overhead_s) == pytest.approx((0.1, 0, 0.7))


def test_the_recorded_times_are_written_only_where_there_are_any(tmp_path: Path) -> None:
    plain = write_trace(tmp_path, trace(model_calls=[model_call(0, 0, 1, 1)])).read_text()
    assert "recorded" not in plain
    times = {"sent_s": 1, "first_byte_s": 2, "received_s": 3}
    path = write_trace(tmp_path, trace(model_calls=[model_call(0, 0, 1, 1, recorded=times)]))
    again = read_trace(path)
    assert isinstance(again, Trace) and again.model_calls[0].recorded is not None
    assert again.model_calls[0].recorded.model_dump() == times


# --- whole runs ------------------------------------------------------------------------------

CHAT = """
async def run(brief, model):
    said = ask(model, temperature=model.temperature)
    tools = {tool.__name__: tool for tool in brief.tools}
    tools["get_order"](order_id="O-5003")
    return said + ask(model, [{"role": "user", "content": said}])
"""


@pytest.fixture
async def made(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> tuple[Job, Trace]:
    """A run against the scripted model, recorded in the folder `recorded`."""
    one = job(make_framework(tool_calling=ASK + CHAT))
    async with open_harness(temperature=0.3, max_model_calls=5) as harness:
        await run_all(harness, [one], tmp_path / "recorded", 1)
    again = read_trace(trace_path(tmp_path / "recorded", harness.records.key(one)))
    assert isinstance(again, Trace)
    return one, again


async def test_what_the_framework_itself_says_is_told_too(made: tuple[Job, Trace], open_harness: OpenHarness) -> None:
    job, recording = made
    (job.framework.folder / "tool_calling.py").write_text("async def run(brief, model):\n    1 / 0\n")
    again = await replay(open_harness, job, recording)
    words = "2 of 2 recorded model calls were never asked for; it ended with ZeroDivisionError: division by zero"
    assert (again.outcome.ended, again.outcome.error) == ("error", words)


def replay_of(job: Job, recording: Trace) -> Job:
    return dataclasses.replace(job, recording=recording)


async def replay(open_harness: OpenHarness, job: Job, recording: Trace) -> Trace:
    async with open_harness(model="replay") as harness:
        return await harness.run(replay_of(job, recording))


async def test_a_run_is_replayed_under_its_own_limits(made: tuple[Job, Trace], open_harness: OpenHarness) -> None:
    job, recording = made
    again = await replay(open_harness, job, recording)
    assert unlike(recording, again) == []
    assert again.key == recording.key.model_copy(update={"model": "replay"})
    assert again.setup.replayed_model == recording.key.model
    assert [one.request for one in again.model_calls] == [one.request for one in recording.model_calls]
    limits = {"temperature", "max_model_calls", "timeout_s"}
    assert again.setup.model_dump(include=limits) == recording.setup.model_dump(include=limits)
    for now, before in zip(again.model_calls, recording.model_calls, strict=True):
        assert now.recorded is not None and now.recorded.received_s == before.received_s


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("temperature=model", "top_p=model", "request 1 was never recorded; nearest recorded request 1 differs: "),
        ("return said +", "return said;", "1 of 2 recorded model calls was never asked for"),
        ("return said + ask(", "return said + ask(model) + ask(", "request 2 was never recorded; nearest recorded"),
        ("return said +", "return 'Well: ' +", "answer: 'Hello.Hello.' became 'Well: Hello.'"),
        ("O-5003", "O-5004", "tool call no longer made: "),
        ("return said +", "model.report_usage(1, 2); return said +", "the framework's own count: None became "),
        (
            "return said +",
            "ask(model, [{'role': 'user', 'content': said}]); 1 / 0; return said +",
            "answered became error (ZeroDivisionError: ",
        ),
    ],
)
async def test_a_framework_that_does_otherwise_is_found_out(
    made: tuple[Job, Trace], open_harness: OpenHarness, old: str, new: str, words: str
) -> None:
    job, recording = made
    code = job.framework.folder / "tool_calling.py"
    text = code.read_text()
    assert text.count(old) == 1
    code.write_text(text.replace(old, new))
    again = await replay(open_harness, job, recording)
    assert any(words in line for line in unlike(recording, again)), unlike(recording, again)
    if "recorded" in words:
        assert again.outcome.ended == "error"
        assert words in (again.outcome.error or "")


async def test_the_limit_on_model_calls_is_replayed(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    one = job(make_framework(tool_calling=ASK + "async def run(brief, model):\n    while True: ask(model)"))
    async with open_harness(max_model_calls=3) as harness:
        recording = await harness.run(one)
    again = await replay(open_harness, one, recording)
    assert (recording.outcome.ended, len(recording.model_calls)) == ("call_limit", 3)
    assert unlike(recording, again) == []


async def test_a_time_out_is_replayed_without_waiting(made: tuple[Job, Trace], open_harness: OpenHarness) -> None:
    job, recording = made
    last = recording.model_calls[-1].model_copy(
        update={"status": 504, "error": "timeout", "response": None, "input_tokens": None, "output_tokens": None}
    )
    outcome = recording.outcome.model_copy(
        update={"ended": "timeout", "error": f"no answer after {recording.setup.timeout_s:.0f} s", "answer": ""}
    )
    timed_out = recording.model_copy(update={"model_calls": [recording.model_calls[0], last], "outcome": outcome})
    again = await replay(open_harness, job, timed_out)
    assert (again.outcome.ended, again.outcome.error) == ("timeout", outcome.error)
    assert unlike(timed_out, again) == []


async def test_only_replays_of_another_recording_are_made_again(
    made: tuple[Job, Trace], open_harness: OpenHarness, tmp_path: Path
) -> None:
    job, recording = made
    async with open_harness(model="replay") as harness:
        await run_all(harness, [replay_of(job, recording)], tmp_path, 1)
        assert harness.records.missing([replay_of(job, recording)], tmp_path) == []
        other = recording.model_copy(update={"model_calls": recording.model_calls[:1]})
        assert harness.records.missing([replay_of(job, other)], tmp_path) == [replay_of(job, other)]


# --- folders ---------------------------------------------------------------------------------


async def test_each_recorded_run_that_is_chosen_becomes_a_job(made: tuple[Job, Trace], tmp_path: Path) -> None:
    job, recording = made
    second = recording.model_copy(update={"key": recording.key.model_copy(update={"trial": 2})})
    write_trace(tmp_path / "recorded", second)
    (tmp_path / "recorded" / "scripted" / "damaged.json").write_text("{")
    found, damaged = recordings(tmp_path / "recorded" / "scripted")
    assert ([one.key.trial for one in found], len(damaged)) == ([1, 2], 1)

    def made_of(*arguments: Any, **more: Any) -> list[int]:
        return [one.trial for one in replays.jobs(found, *arguments, **more)]

    assert made_of([job.framework], [job.task]) == [1, 2]
    assert made_of([job.framework], [job.task], trials=1) == [1]
    assert made_of([], [job.task]) == made_of([job.framework], []) == []
    assert made_of([job.framework], [job.task], cases={"tool_calling": []}) == []
    assert made_of([job.framework], [job.task], cases={"tool_calling": [job.case]}) == [1, 2]


def test_the_question_is_the_one_that_the_task_has_now(make_framework: MakeFramework, job: MakeJob) -> None:
    one = job(make_framework(tool_calling=""))
    known = one.task.load()[0]
    own = trace(key("my-own", framework="fake"), case={**json.loads(known.model_dump_json()), "question": "Mine?"})
    of_task = trace(key(known.id, framework="fake"), case={**own.case, "question": "Old?"})
    not_of_task = trace(key("nonsense", framework="fake")).model_copy(update={"case": {"nothing": True}})
    made = replays.jobs([own, of_task, not_of_task], [one.framework], [one.task])
    assert [(each.case.id, each.case.question) for each in made] == [("my-own", "Mine?"), (known.id, known.question)]


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ((), "no recorded run is in there"),
        (("local", "scripted"), "has runs of local, scripted; name the folder of one of them"),
        (("probes",), "has probes, which need no recording: use `bakeoff run -m probes`"),
    ],
)
def test_a_folder_that_cannot_be_replayed_is_the_users_mistake(
    tmp_path: Path, models: tuple[str, ...], words: str
) -> None:
    for model in models:
        write_trace(tmp_path, trace(key(model=model)))
    with pytest.raises(Mistake, match=words):
        recordings(tmp_path)
    with pytest.raises(Mistake, match="there is no such folder"):
        recordings(tmp_path / "nowhere")


def test_a_replay_must_give_what_was_asked_and_answered_and_not_what_the_machine_or_the_code_is_like() -> None:
    assert {"passed", "pass_rate", "mean_score", "model_calls_mean", "prompt_tokens_mean"} <= set(replays.REPRODUCED)
    of_the_code = {"source_lines", "source_tokens", "branches", "framework_names", "lines_by_hand"}
    of_the_machine = {"wall_s_p50", "packages_max", "installed_mb_max", "workers", "import_s_p50", "peak_memory_mb_max"}
    assert not (of_the_code | of_the_machine | {"cost_usd_mean"}) & set(replays.REPRODUCED)
