"""One run: how it ends, and what is recorded of it."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import ASK, MakeFramework, OpenHarness
from model_server import Answer, completion, serving

from evaluator.analysis.graded_run import split_wall_time
from evaluator.catalog.tasks import all_tasks
from evaluator.harness import gateway, runner
from evaluator.harness.jobs import Job
from evaluator.harness.limiter import RateLimits
from evaluator.harness.matrix import run_all
from evaluator.harness.runner import ModelGoneError, NotMadeError
from evaluator.trace import Trace, read_trace, read_traces, write_trace

MakeJob = Callable[..., Job]

GOOD = (
    ASK
    + """
async def run(brief, model):
    return ask(model)
"""
)


async def test_a_run_is_recorded(make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob) -> None:
    framework = make_framework(
        tool_calling=ASK
        + """
async def run(brief, model):
    tools = {tool.__name__: tool for tool in brief.tools}
    tools["get_order"](order_id="O-5003")
    try:
        tools["get_order"]("O-9999")
    except Exception:
        return ask(model)
"""
    )
    site = framework.folder / ".venv" / "lib" / "python3.11" / "site-packages"
    (site / "fake-1.2.3.dist-info").mkdir(parents=True)
    (site / "fake-1.2.3.dist-info" / "RECORD").write_text("fake.py,,\n")
    (site / "fake.py").write_bytes(b"#" * 2_000)
    async with open_harness() as harness:
        trace = await harness.run(job(framework))
    assert (trace.outcome.ended, trace.outcome.answer, trace.outcome.error) == ("answered", "Hello.", None)
    assert (trace.setup.framework_version, trace.setup.event_loop) == ("1.2.3", "asyncio")
    found, refused = trace.tool_calls
    assert found.arguments == {"order_id": "O-5003"} and found.error is None
    assert refused.arguments == {"order_id": "O-9999"} and refused.error is not None and refused.result is None
    [model_call] = trace.model_calls
    moments = [0, found.start_s, found.end_s, refused.start_s, refused.end_s]
    # Not end_s: while the gateway comes round to noting it, the framework may have gone on and ended.
    moments += [model_call.start_s, model_call.received_s, trace.resources.wall_s]
    assert moments == sorted(moments)
    resources = trace.resources
    assert resources.import_s and resources.memory_after_import_mb and resources.peak_memory_mb
    assert (resources.packages, resources.installed_mb) == (1, 0.002)


@pytest.mark.parametrize(
    ("counts", "recorded"),
    [
        ("12, 3", {"input_tokens": 12, "output_tokens": 3}),
        ("0, 0", {"input_tokens": 0, "output_tokens": 0}),
        ("None, 3", None),
        ("'many', 3", None),
        ("10**400, 3", None),
        ("12, -3", None),
    ],
)
async def test_what_the_framework_counts_itself_is_kept(
    make_framework: MakeFramework,
    open_harness: OpenHarness,
    job: MakeJob,
    counts: str,
    recorded: dict[str, int] | None,
) -> None:
    framework = make_framework(
        tool_calling=f"async def run(brief, model):\n    model.report_usage({counts})\n    return 'Hello.'"
    )
    async with open_harness() as harness:
        trace = await harness.run(job(framework))
    assert (trace.reported_usage.model_dump() if trace.reported_usage else None) == recorded
    assert trace.outcome.ended == "answered"


async def test_what_a_run_leaves_behind_is_cleared_away_before_the_next_begins(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    """As a client that nobody closes: it is garbage in a circle, and closes itself in a task of its own."""
    framework = make_framework(
        tool_calling="""
        import asyncio

        closed = []


        class Client:
            def __init__(self):
                self.itself = self

            def __del__(self):
                asyncio.get_running_loop().create_task(self.close())

            async def close(self):
                await asyncio.sleep(0.05)
                closed.append(True)


        async def run(brief, model):
            Client()
            return f"{len(closed)} closed"
        """
    )
    async with open_harness() as harness:
        answers = [(await harness.run(job(framework, trial=trial))).outcome.answer for trial in (1, 2, 3)]
    assert answers == ["0 closed", "1 closed", "2 closed"]


async def test_the_owner_of_a_tool_is_recorded(make_framework: MakeFramework, open_harness: OpenHarness) -> None:
    framework = make_framework(
        handoff="""
        async def run(brief, model):
            for agent in brief.agents:
                try:
                    agent.tools[0]()
                except TypeError:
                    pass
            return "done"
        """
    )
    task = all_tasks()["handoff"]
    async with open_harness("handoff") as harness:
        trace = await harness.run(Job(framework, task, task.load()[0], 1))
    assert {call.agent for call in trace.tool_calls} == {"triage", "billing", "technical", "sales"}


@pytest.mark.parametrize("sleep", ["await asyncio.sleep(600)", "ask(model); time.sleep(600)"])
async def test_a_run_that_hangs_is_a_timeout_and_the_next_one_works(
    make_framework: MakeFramework,
    open_harness: OpenHarness,
    job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    sleep: str,
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.2)
    framework = make_framework(
        tool_calling=ASK
        + f"""
import asyncio, time

async def run(brief, model):
    if brief.question == "Hello?":
        return "Hello."
    {{tool.__name__: tool for tool in brief.tools}}["get_order"]("O-5003")
    {sleep}
"""
    )
    async with open_harness(timeout_s=1.0) as harness:
        hung = await harness.run(job(framework, "Hang!"))
        following = await harness.run(job(framework))
    assert (hung.outcome.ended, hung.outcome.error) == ("timeout", "no answer after 1 s")
    assert [call.name for call in hung.tool_calls] == ["get_order"]
    assert len(hung.model_calls) == ("ask" in sleep)
    assert (following.outcome.ended, following.outcome.answer) == ("answered", "Hello.")


class _Held:
    """A limiter that holds each request for so many seconds, whatever it is."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def enter(self, tokens: int) -> None:
        await asyncio.sleep(self._seconds)

    async def leave(self, estimated: int, used: int | None) -> None:
        """Nothing is counted."""

    async def slow_down(self, seconds: float) -> None:
        """Nothing is slower."""


async def test_waiting_for_a_limit_is_no_part_of_a_runs_time(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    """Two calls wait for longer than the run may take, and the framework's client is told to wait for them."""
    framework = make_framework(
        tool_calling=ASK
        + """
async def run(brief, model):
    ask(model)
    return f"{ask(model)} {model.timeout_s > 100}"
"""
    )
    async with open_harness(timeout_s=2.0, limiter=_Held(1.5)) as harness:
        trace = await harness.run(job(framework))
    assert (trace.outcome.ended, trace.outcome.answer, trace.outcome.error) == ("answered", "Hello. True", None)
    assert all((call.waited_s or 0) > 1 for call in trace.model_calls)
    split = split_wall_time(trace)
    assert split.waited_s > 2 and trace.resources.wall_s == pytest.approx(split.wall_s + split.waited_s)
    assert trace.setup.timeout_s == 2.0


@pytest.mark.parametrize("sleep", ["await asyncio.sleep(600)", "time.sleep(600)"])
async def test_a_run_that_hangs_is_a_timeout_within_limits_too(
    make_framework: MakeFramework,
    open_harness: OpenHarness,
    job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    sleep: str,
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.2)
    framework = make_framework(
        tool_calling=ASK
        + f"""
import asyncio, time

async def run(brief, model):
    if brief.question == "Hello?":
        return "Hello."
    ask(model)
    {sleep}
"""
    )
    async with open_harness(timeout_s=1.0, limiter=_Held(0.5)) as harness:
        hung = await harness.run(job(framework, "Hang!"))
        following = await harness.run(job(framework))
    assert (hung.outcome.ended, hung.outcome.error) == ("timeout", "no answer after 1 s")
    assert (following.outcome.ended, following.outcome.answer) == ("answered", "Hello.")


async def test_limits_of_a_server_hold_over_all_runs(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    """The server has room for one request at a time and says so, once; frameworks see none of it."""
    framework, other = make_framework("one", tool_calling=GOOD), make_framework("other", tool_calling=GOOD)

    def answer(number: int, headers: dict[str, str]) -> Answer:
        return Answer(429, headers={"Retry-After": "0.2"}) if number == 1 else Answer(body=completion("Hello."))

    limits = RateLimits(concurrency=1, rpm=6000)
    with serving(answer) as server:
        async with open_harness(model="m", base_url=server.url, limits=limits) as harness:
            traces = await asyncio.gather(harness.run(job(framework)), harness.run(job(other)))
    assert [trace.outcome.ended for trace in traces] == ["answered", "answered"]
    assert sum(call.refusals for trace in traces for call in trace.model_calls) == 1
    assert len(server.paths) == 3
    first, second = sorted((trace.model_calls[0] for trace in traces), key=lambda call: call.refusals)
    assert (first.status, second.status, first.retry_after, second.retry_after) == (200, 200, None, None)


async def test_an_answer_that_comes_too_late_is_a_timeout(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    framework = make_framework(
        tool_calling="""
        import time

        async def run(brief, model):
            time.sleep(0.5)
            return "late"
        """
    )
    async with open_harness(timeout_s=0.4) as harness:
        trace = await harness.run(job(framework))
    assert (trace.outcome.ended, trace.outcome.answer) == ("timeout", "late")


FAULTS = {
    "raise ValueError('no\\ud800 luck')": "ValueError: no\ud800 luck",
    "raise SystemExit(4)": "SystemExit: 4",
    "raise KeyboardInterrupt": "KeyboardInterrupt: ",
    "raise asyncio.CancelledError": "CancelledError: ",
    "asyncio.current_task().cancel(); await asyncio.sleep(9)": "CancelledError: ",
    "return None": "the answer is not a text but NoneType",
    "return ['a']": "the answer is not a text but list",
    "os._exit(3)": "the worker ended by itself with exit code 3",
    "os.kill(os.getpid(), 9)": "the worker was killed by SIGKILL",
}


async def test_a_run_that_fails_is_an_error_in_words_and_costs_only_itself(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    cases = "".join(f"    if brief.question == {code!r}:\n        {code}\n" for code in FAULTS)
    code = f"import asyncio, os\nasync def run(brief, model):\n{cases}    return 'fine'\n"
    framework = make_framework(tool_calling=code)
    async with open_harness() as harness:
        for fault, words in FAULTS.items():
            failed = await harness.run(job(framework, fault))
            assert failed.outcome.ended == "error"
            assert failed.outcome.error is not None and failed.outcome.error.startswith(words)
            assert isinstance(read_trace(write_trace(tmp_path, failed)), Trace)
            assert (await harness.run(job(framework))).outcome.answer == "fine"


async def test_a_worker_that_eats_memory_is_an_error_that_names_the_limit(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    framework = make_framework(
        tool_calling="""
        import time

        async def run(brief, model):
            hoard = []
            while True:
                hoard.append(bytearray(10_000_000))
                time.sleep(0.02)
        """
    )
    async with open_harness(memory_limit_mb=300.0) as harness:
        trace = await harness.run(job(framework))
    assert (trace.outcome.ended, trace.outcome.error) == ("error", "the worker used more than 300 MB of memory")


async def test_an_implementation_that_cannot_be_imported_is_an_error_of_each_run(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    broken, dead = make_framework("broken", tool_calling="import nothing_of_this_name"), make_framework("dead")
    (dead.folder / "tool_calling.py").write_text("import os; os._exit(1)")
    jobs = [job(framework, trial=trial) for framework in (broken, dead) for trial in (1, 2)]
    async with open_harness() as harness:
        await run_all(harness, jobs, tmp_path / "traces", 2)
    traces = list(read_traces(tmp_path / "traces"))
    assert len(traces) == 4
    for trace in traces:
        assert isinstance(trace, Trace) and trace.outcome.ended == "error" and trace.outcome.error
        cause = "nothing_of_this_name" if trace.key.framework == "broken" else "exit code 1"
        assert cause in trace.outcome.error
        assert (trace.resources.import_s is None) == (trace.key.framework == "dead")


async def test_too_many_model_calls_are_a_call_limit_whatever_is_made_of_it(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    framework = make_framework(
        tool_calling=ASK
        + """
async def run(brief, model):
    answers = []
    for _ in range(10):
        try:
            answers.append(ask(model))
        except OSError:
            pass
    return f"{len(answers)} answers"
"""
    )
    async with open_harness(max_model_calls=3) as harness:
        trace = await harness.run(job(framework))
    assert (trace.outcome.ended, trace.outcome.answer) == ("call_limit", "3 answers")
    assert trace.outcome.error == "no answer after 3 model calls"
    assert (len(trace.model_calls), trace.outcome.refused_calls) == (3, 7)


ANSWERS = {
    "lone surrogate": ("'a\\ud800b'", "a\\ud800b"),
    "nul": ("'a\\0b'", "a\0b"),
    "a megabyte": ("'é' * 500_000", "é" * 500_000),
    "separators": ("'\\u2028 \\x85 \\r\\n'", "\u2028 \x85 \r\n"),
}


async def test_any_answer_and_any_argument_can_be_recorded(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    answers = "".join(
        f"    if brief.question == {name!r}:\n        return {code}\n" for name, (code, _) in ANSWERS.items()
    )
    framework = make_framework(
        tool_calling=f"""
async def run(brief, model):
{answers}
    nested = []
    for _ in range(int(brief.question)):
        nested = [nested]
    for value in ("\\ud800", 10**30, -10**30, 10**5000, float("nan"), b"\\xff", nested, {{1: {{2}}}}):
        try:
            brief.tools[0](value)
        except Exception:
            pass
    return ""
"""
    )
    async with open_harness() as harness:
        for name, (_, recorded) in ANSWERS.items():
            trace = read_trace(write_trace(tmp_path, await harness.run(job(framework, name))))
            assert isinstance(trace, Trace) and trace.outcome.answer == recorded, name
        for depth in (90, 150, 400, 5000):
            trace = read_trace(write_trace(tmp_path, await harness.run(job(framework, str(depth)))))
            assert isinstance(trace, Trace) and len(trace.tool_calls) == 8


async def test_a_request_that_makes_no_sense_still_gives_a_trace(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    framework = make_framework(
        tool_calling=ASK
        + """
REQUESTS = [
    {"messages": "a text"},
    {"messages": [1, None]},
    {"messages": [{"role": "user", "content": [[]]}]},
    {"messages": [{"role": "user", "content": "\\ud800"}]},
    {"tools": "none"},
    {"tools": [{"function": None}]},
    {"temperature": 10**30},
    {"metadata": json.loads("[" * 600 + "]" * 600)},
    {"stream": True, "stream_options": 1},
    {"model": None},
]

async def run(brief, model):
    try:
        return ask(model, **REQUESTS[int(brief.question)])
    except Exception as error:
        return str(error)
"""
    )
    async with open_harness() as harness:
        for number in range(10):
            trace = await harness.run(job(framework, str(number)))
            assert isinstance(read_trace(write_trace(tmp_path, trace)), Trace)


GIVES_UP = (
    ASK
    + """
async def run(brief, model):
    answers = []
    for _ in range(brief.question.count("?")):
        try:
            answers.append(ask(model, stream="stream" in brief.question))
        except Exception as error:
            failed = error
    raise RuntimeError(f"gave up after {len(answers)}") from None
"""
)
GOOD_ANSWER = Answer(body=completion("Hello."))
BUSY = Answer(429, {"error": {"message": "slow down"}}, {"Retry-After": "7"})
FLAGGED = Answer(403, {"error": {"message": "flagged by moderation"}})
TOO_LONG = Answer(400, {"error": {"message": "too much", "code": "context_length_exceeded"}})
CUT_SHORT = Answer(pieces=(b'data: {"choices": [{"index": 0, "delta": {"content": "He"}}]}\n\n',))


@pytest.mark.parametrize(
    ("answer", "question", "said", "fault"),
    [
        (BUSY, "Hello?", "429 (rate limit, Retry-After: 7): slow down", "server"),
        (TOO_LONG, "Hello?", "400 (context length exceeded): too much", None),
        (FLAGGED, "Hello?", "403 (refused by the server): flagged by moderation", "server"),
        (Answer(500, b"oh no"), "Hello?", "500 (server error): oh no", "server"),
        (Answer(504), "Hello?", "504 (time-out)", "server"),
        (Answer(200, b"not JSON"), "Hello?", "200 with a body that is no chat completion", "server"),
        (CUT_SHORT, "stream?", "200, and ended the stream in the middle", "server"),
    ],
)
async def test_what_the_models_server_said_comes_first_in_the_error(
    make_framework: MakeFramework,
    open_harness: OpenHarness,
    job: MakeJob,
    tmp_path: Path,
    answer: Answer,
    question: str,
    said: str,
    fault: str | None,
) -> None:
    framework = make_framework(tool_calling=GIVES_UP)
    with serving(answer) as server:
        async with open_harness(model="ollama/some/model:8b", base_url=server.url) as harness:
            trace = await harness.run(job(framework, question))
            write_trace(tmp_path, trace)
            assert harness.records.has(job(framework, question), tmp_path) is (fault is None)
    assert (trace.outcome.ended, trace.outcome.fault) == ("error", fault)
    assert trace.outcome.error == f"the model's server answered {said}; RuntimeError: gave up after 0"
    assert json.loads(server.bodies[0])["model"] == trace.model_calls[0].request_model == "some/model:8b"
    assert trace.key.model == "ollama/some/model:8b"
    assert len(server.paths) == 1  # trying again is the framework's business


async def test_an_empty_answer_where_the_server_gave_none_is_no_answer(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    """As llama-cpp-python does, whose stream ends before it begins where it cannot read the request."""
    code = ASK.replace('return json.load(reply)["choices"][0]["message"]["content"]', "return reply.read().decode()")
    framework = make_framework(tool_calling=code + "async def run(brief, model):\n    return ask(model)\n")
    with serving(Answer(200)) as server:
        async with open_harness(model="vllm/x", base_url=server.url) as harness:
            trace = await harness.run(job(framework))
    said = "the model's server answered 200 with a body that is no chat completion"
    assert trace.outcome.ended == "error"
    assert trace.outcome.error == f"{said}; the framework took that for an empty answer"


async def test_an_error_after_good_answers_is_the_frameworks_own(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    framework = make_framework(tool_calling=GIVES_UP)
    with serving(lambda number, _: BUSY if number == 0 else GOOD_ANSWER) as server:
        async with open_harness(model="vllm/x", base_url=server.url) as harness:
            trace = await harness.run(job(framework, "One? Two?"))
    assert (trace.outcome.error, trace.outcome.fault) == ("RuntimeError: gave up after 1", None)
    assert [call.retry_after for call in trace.model_calls] == ["7", None]


@pytest.mark.parametrize(
    ("answer", "question", "line"),
    [
        (Answer(401, {"error": {"message": "wrong key"}}), "Hello?", "answered 401 (key refused): wrong key"),
        (Answer(404, {"error": "no model 'x'"}), "Hello? Hello?", "answered 404 (no such model): no model 'x'"),
        (Answer(402), "Hello?", "answered 402 (no credit left)"),
        (
            Answer(429, {"error": "daily limit"}, {"Retry-After": "99999999999"}),
            "Hello?",
            "answered 429 (rate limit, Retry-After: 99999999999): daily limit. Come back in more than a month",
        ),
        (
            Answer(pieces=CUT_SHORT.pieces, breaks_off=True),
            "stream?",
            "broke off its reply: it closed the connection before the end",
        ),
    ],
)
async def test_what_every_run_would_meet_is_no_run(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, answer: Answer, question: str, line: str
) -> None:
    framework = make_framework(tool_calling=GIVES_UP)
    with serving(answer) as server:
        async with open_harness(model="vllm/x", base_url=server.url) as harness:
            with pytest.raises(ModelGoneError, match=f"^the model's server {re.escape(line)}"):
                await harness.run(job(framework, question))


async def test_a_key_refused_in_the_middle_is_recorded(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    framework = make_framework(tool_calling=GIVES_UP)
    with serving(lambda number, _: GOOD_ANSWER if number == 0 else Answer(401)) as server:
        async with open_harness(model="vllm/x", base_url=server.url) as harness:
            trace = await harness.run(job(framework, "One? Two?"))
    assert trace.outcome.error == "the model's server answered 401 (key refused); RuntimeError: gave up after 1"


async def test_a_mistake_in_the_gateway_is_the_harnesss_fault_whatever_the_framework_makes_of_it(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("planted")

    framework = make_framework(tool_calling=GIVES_UP)
    monkeypatch.setattr(gateway, "_deliver", broken)
    async with open_harness() as harness:
        trace = await harness.run(job(framework))
    assert trace.outcome.fault == "harness"
    assert trace.model_calls[0].error == "the gateway failed: ZeroDivisionError('planted')"


async def test_a_worker_that_the_system_kills_is_the_machines_fault_and_one_that_crashes_its_own(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob
) -> None:
    killed = "import os, signal\nasync def run(brief, model):\n    os.kill(os.getpid(), signal.{})\n"
    async with open_harness() as harness:
        for name, number, fault in (("a", "SIGKILL", "machine"), ("b", "SIGTERM", "machine"), ("c", "SIGSEGV", None)):
            trace = await harness.run(job(make_framework(name, tool_calling=killed.format(number))))
            assert (trace.outcome.ended, trace.outcome.fault) == ("error", fault)
            assert f"the worker was killed by {number}" in str(trace.outcome.error)


async def test_a_worker_that_is_killed_as_it_starts_is_no_run_and_may_start_the_next_time(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    code = f"""
import os, signal
with open({str(starts)!r}, "a") as file:
    file.write("x")
if os.path.getsize({str(starts)!r}) <= {{}}:
    os.kill(os.getpid(), signal.SIGKILL)
async def run(brief, model):
    return "alive"
"""
    async with open_harness() as harness:
        once = await harness.run(job(make_framework("once", tool_calling=code.format(1))))
        assert (once.outcome.answer, starts.read_text()) == ("alive", "xx")
        starts.write_text("")
        framework = make_framework("thrice", tool_calling=code.format(3))
        with pytest.raises(NotMadeError, match=r"^thrice: the worker was killed by SIGKILL"):
            await harness.run(job(framework))
        assert (await harness.run(job(framework))).outcome.answer == "alive"


async def test_a_secret_that_the_server_shows_is_in_no_part_of_the_trace(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-7f3a")
    framework = make_framework(tool_calling=GOOD)
    with serving(lambda _, headers: Answer(body=completion(headers["authorization"]))) as server:
        async with open_harness(model="some-model", base_url=server.url) as harness:
            trace = await harness.run(job(framework))
    assert trace.outcome.answer == "Bearer ***"
    assert "sk-planted-7f3a" not in trace.model_dump_json()
