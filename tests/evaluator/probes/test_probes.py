"""The probes: a plain loop passes them all, and each way of getting something wrong is noticed and named."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from fakes import MakeFramework, OpenHarness

from evaluator.catalog.frameworks import Deviation, Framework
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.harness import runner
from evaluator.harness.jobs import Job
from evaluator.harness.matrix import run_all
from evaluator.models import specs
from evaluator.models.upstreams import probes
from evaluator.models.upstreams.probes import ProbeUpstream
from evaluator.probes import judges
from evaluator.probes.behaviours import Behaviour, behaviours, expected_failure, shared, unexpected
from evaluator.probes.script import ProbeScript
from evaluator.probes.table import PROBES
from evaluator.suites import probing
from evaluator.trace import Trace, read_trace, read_traces, write_trace

LOOP = """
import asyncio, inspect, json, os, time, urllib.error, urllib.request
from pydantic import TypeAdapter, validate_call

def post(model, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(model.base_url + "/chat/completions", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["choices"][0]["message"]

def schema(tool):
    function = {"name": tool.__name__, "parameters": TypeAdapter(tool).json_schema()}
    return {"type": "function", "function": function}

def invoke(tools, call):
    try:
        arguments = json.loads(call["function"]["arguments"])
        return validate_call(tools[call["function"]["name"]])(**arguments)
    except Exception as error:
        return f"Error: {error!r}"

def as_text(result):
    return result if isinstance(result, str) else json.dumps(result)

async def run(brief, model):
    tools = {tool.__name__: tool for tool in brief.tools}
    question = brief.question
    messages = [{"role": "system", "content": brief.instructions}, {"role": "user", "content": question}]
    for _ in range(model.max_model_calls):
        body = {"messages": messages, "temperature": model.temperature, "tools": [schema(t) for t in brief.tools]}
        message = await asyncio.to_thread(post, model, body)
        if not message.get("tool_calls"):
            return message["content"] or ""
        messages.append(message)
        for call in message["tool_calls"]:
            result = as_text(invoke(tools, call))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    raise RuntimeError("no answer")
"""


def defective(*replacements: tuple[str, str]) -> str:
    code = LOOP
    for old, new in replacements:
        assert old in code
        code = code.replace(old, new)
    return code


def jobs_of(framework: Framework, *names: str) -> list[Job]:
    return [job for job in probing.jobs([framework], ["tool_calling"]) if job.case.kind in names or not names]


def limits() -> dict[str, Any]:
    settings = probing.settings()
    names = ("timeout_s", "temperature", "max_model_calls")
    return {name: getattr(settings, name) for name in names}


async def probed(open_harness: OpenHarness, framework: Framework, *names: str, **changes: Any) -> list[Behaviour]:
    jobs = [dataclasses.replace(job, **changes) for job in jobs_of(framework, *names)]
    async with open_harness(model="probes", **limits()) as harness:
        return behaviours(await asyncio.gather(*(harness.run(job) for job in jobs)))


# --- the table -------------------------------------------------------------------------------


def test_each_probe_has_a_name_of_its_own_and_is_made_in_some_task() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    made = {case.kind for task in all_tasks().values() for case in task.probes}
    for probe in PROBES:
        assert probe.meaning.endswith(".") and probe.name in made


def test_the_runs_of_a_framework_have_keys_of_their_own_in_every_task(make_framework: MakeFramework) -> None:
    tasks = {name: LOOP for name, task in all_tasks().items() if task.probes}
    jobs = probing.jobs([make_framework(**tasks)])
    assert len({(job.task.name, job.case.id) for job in jobs}) == len(jobs)
    assert {job.task.name for job in jobs} == tasks.keys()
    assert {job.task.name for job in probing.jobs([make_framework("other", **tasks)], ["handoff"])} == {"handoff"}
    assert {job.task.name for job in probing.jobs([make_framework("third", rag_qa=LOOP)])} == {"rag_qa"}


def test_a_deviation_explains_a_failure_in_its_own_task(make_framework: MakeFramework) -> None:
    deviations = (
        Deviation(task="handoff", note="cannot", differences=("conformance: unicode", "other")),
        Deviation(note="never", differences=("conformance: tool_error",)),
    )
    framework = dataclasses.replace(make_framework(), deviations=deviations)
    assert expected_failure(framework, "unicode", "handoff") == "cannot"
    assert expected_failure(framework, "unicode", "rag_qa") is None
    assert expected_failure(framework, "unicode") == "cannot"
    assert expected_failure(framework, "tool_error", "rag_qa") == "never"
    assert expected_failure(framework, "other", "handoff") is None


def test_only_an_unexplained_failure_is_unexpected(make_framework: MakeFramework) -> None:
    deviations = (Deviation(task="handoff", note="cannot", differences=("conformance: unicode",)),)
    frameworks = {"fake": dataclasses.replace(make_framework(), deviations=deviations)}
    fails = Behaviour("unicode", "handoff", "fake", "question changed", acceptable=False)
    assert not unexpected(fails, frameworks)
    assert unexpected(dataclasses.replace(fails, task="rag_qa"), frameworks)
    assert unexpected(dataclasses.replace(fails, framework="gone"), frameworks)
    assert not unexpected(dataclasses.replace(fails, task="rag_qa", acceptable=True), frameworks)


def test_what_frameworks_do_alike_is_said_once() -> None:
    told = ("the model is told", True)
    seen = [
        Behaviour("unknown_tool", "handoff", "a", *told, quote="no such tool"),
        Behaviour("unknown_tool", "handoff", "b", *told, quote="what?"),
        Behaviour("unknown_tool", "handoff", "c", "lost", acceptable=False),
        Behaviour("unknown_tool", "rag_qa", "a", *told),
        Behaviour("unknown_tool", "rag_qa", "b", "the answer is empty", acceptable=True),
        Behaviour("temperature", "rag_qa", "a", "sent", acceptable=True),
    ]
    rows = [(row.probe, row.words, row.frameworks) for row in shared(seen)]
    assert rows == [
        ("temperature", "sent", (("a", None),)),
        ("unknown_tool", "the model is told", (("a", None), ("b", ("handoff",)))),
        ("unknown_tool", "the answer is empty", (("b", ("rag_qa",)),)),
        ("unknown_tool", "lost", (("c", None),)),
    ]


def test_the_probing_model_is_built_in() -> None:
    assert probing.settings().model == specs.resolve("probes", None, None)
    with pytest.raises(Mistake, match="built in"):
        specs.resolve("probes", "http://127.0.0.1:9/v1", None)


# --- what is seen ----------------------------------------------------------------------------


async def test_a_plain_loop_passes_and_its_behaviours_are_in_words(
    make_framework: MakeFramework, open_harness: OpenHarness
) -> None:
    seen = {each.probe: each for each in await probed(open_harness, make_framework(tool_calling=LOOP))}
    assert {name for name, each in seen.items() if not each.acceptable} == set()
    assert {name: each.words for name, each in seen.items()} == {
        "endless_calls": "6 of 6 calls, then the run ends without an answer, by its own cap",
        "slow_model": "ends at its time limit",
        "temperature": "sent with each request",
        "tool_error": "the model is told why",
        "typed_values": "as annotated",
        "wrong_type": "the model is told, the run goes on to its answer",
        "unicode": "all unchanged",
        "long_input": "all unchanged",
        "empty_content": "the answer is empty",
        "unknown_tool": "the model is told, the run goes on to its answer",
        "malformed_arguments": "the model is told, the run goes on to its answer",
        "two_calls": "makes both",
        "concurrency": "kept apart",
    }
    assert seen["tool_error"].quote == "Error: ToolError('The note is locked away until the 7th of May.')"
    assert "fetch_moon_phase" in seen["unknown_tool"].quote


DEFECTS: list[tuple[str, str, list[tuple[str, str]], str]] = [
    (
        "tries again what was refused",
        "endless_calls",
        [
            ("message = await", "try: message = await"),
            ("(post, model, body)", "(post, model, body)\n        except OSError: continue"),
            ("range(model.max_model_calls)", "range(19)"),
        ],
        "asks again and again after the gateway has refused",
    ),
    ("stops far too early", "endless_calls", [("range(model.max_model_calls)", "range(2)")], "2 of 6 calls, then"),
    ("a temperature of its own", "temperature", [("model.temperature", "0.0")], "sends 0.0 in place of 0.7"),
    ("no temperature", "temperature", [('"temperature": model.temperature, ', "")], "sends None in place of 0.7"),
    ("hides errors", "tool_error", [("Error: {error!r}", "Something went wrong.")], "the model is not told why"),
    (
        "an error ends the run",
        "tool_error",
        [('return f"Error: {error!r}"', "raise")],
        "the model is not told why: the run ends with ToolError",
    ),
    ("does not validate", "typed_values", [("validate_call(tools", "(tools")], "not as annotated"),
    ("does not validate", "wrong_type", [("validate_call(tools", "(tools")], "the tool is called with values of"),
    ("a template of the question", "unicode", [("= brief.question", "= brief.question.format(placeholder=1)")], "asks"),
    (
        "ASCII only",
        "unicode",
        [("= brief.question", "= brief.question.encode('ascii', 'ignore').decode()")],
        "question",
    ),
    ("escapes", "unicode", [("return result if isinstance(result, str) else ", "return ")], "result escaped"),
    ("normalises", "unicode", [('message["content"] or ""', '" ".join(message["content"].split())')], "answer cut or"),
    ("dies", "empty_content", [('return message["content"] or ""', "os._exit(3)")], "the worker is lost"),
    (
        "drops a result",
        "two_calls",
        [('for call in message["tool_calls"]:', 'for call in message["tool_calls"][:1]:')],
        "leaves calls without",
    ),
    (
        "makes one call twice",
        "two_calls",
        [("result = as_text(", "invoke(tools, call); result = as_text(")],
        "makes first and first",
    ),
    (
        "no request that makes sense",
        "unknown_tool",
        [('"messages": messages', '"messages": [1]')],
        "sends what the model's",
    ),
    (
        "asks nothing",
        "unknown_tool",
        [("    tools = {tool", "    raise ValueError('no')\n    tools = {tool")],
        "asks the model nothing",
    ),
    (
        "keeps state",
        "concurrency",
        [
            ("async def run(", "messages = []\nasync def run("),
            ("    messages = [{", "    messages.extend([{"),
            ('"content": question}]', '"content": question}])'),
        ],
        "something of another run",
    ),
]


@pytest.mark.parametrize(("defect", "probe", "replacements", "words"), DEFECTS)
async def test_a_defect_is_named(
    make_framework: MakeFramework,
    open_harness: OpenHarness,
    defect: str,
    probe: str,
    replacements: list[tuple[str, str]],
    words: str,
) -> None:
    framework = make_framework(tool_calling=defective(*replacements))
    [behaviour] = await probed(open_harness, framework, probe)
    assert behaviour.words.startswith(words), behaviour
    assert not behaviour.acceptable


HANGS = [
    ("slow_model", "message = post(model, body)", 1.0, "the worker is lost"),
    (
        "unknown_tool",
        "message = await asyncio.to_thread(post, model, body); await asyncio.sleep(99)",
        1.0,
        "hangs until",
    ),
]


@pytest.mark.parametrize(("probe", "code", "timeout_s", "words"), HANGS)
async def test_a_run_that_hangs_is_named(
    make_framework: MakeFramework,
    open_harness: OpenHarness,
    monkeypatch: pytest.MonkeyPatch,
    probe: str,
    code: str,
    timeout_s: float,
    words: str,
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.3)
    framework = make_framework(tool_calling=defective(("message = await asyncio.to_thread(post, model, body)", code)))
    [behaviour] = await probed(open_harness, framework, probe, timeout_s=timeout_s)
    assert behaviour.words.startswith(words) and not behaviour.acceptable


REASONABLE: list[tuple[str, list[tuple[str, str]], str]] = [
    (
        "two_calls",
        [("messages.append(message)", 'del message["tool_calls"][1:]; messages.append(message)')],
        "makes first of first and second, the other when asked again",
    ),
    ("unknown_tool", [('return f"Error: {error!r}"', "raise")], "the run ends with KeyError"),
    ("malformed_arguments", [('return f"Error: {error!r}"', "raise")], "the run ends with JSONDecodeError"),
    (
        "empty_content",
        [('return message["content"] or ""', 'if message["content"]: return message["content"]\n            continue')],
        "the model is asked again, the run goes on to its answer",
    ),
    ("empty_content", [('return message["content"] or ""', 'return message["content"]')], "the run ends with an error"),
    (
        "endless_calls",
        [('raise RuntimeError("no answer")', 'return "I give up."')],
        "6 of 6 calls, then the run ends with words as its answer, by its own cap",
    ),
    (
        "endless_calls",
        [("range(model.max_model_calls)", "range(model.max_model_calls - 1)")],
        "5 of 6 calls, then the run ends with RuntimeError, by its own cap",
    ),
    (
        "endless_calls",
        [("range(model.max_model_calls)", "range(99)")],
        "6 of 6 calls, then the run ends without an answer, by the gateway's cap",
    ),
    (
        "endless_calls",
        [
            ("message = await", "try: message = await"),
            ("(post, model, body)", "(post, model, body)\n        except OSError: return 'I was refused.'"),
            ("range(model.max_model_calls)", "range(99)"),
        ],
        "6 of 6 calls, then the run ends with words as its answer, by the gateway's cap",
    ),
    ("long_input", [('content": result', 'content": result[:100]')], "result cut or changed after 100 characters"),
    ("two_calls", [('"tools": [schema', '"parallel_tool_calls": False, "tools": [schema')], "asks for one call a turn"),
    (
        "concurrency",
        [("await asyncio.to_thread(post, model, body)", "post(model, body)")],
        "kept apart, by making them one after another",
    ),
]


@pytest.mark.parametrize(("probe", "replacements", "words"), REASONABLE)
async def test_what_is_reasonable_too_passes_and_is_named(
    make_framework: MakeFramework,
    open_harness: OpenHarness,
    monkeypatch: pytest.MonkeyPatch,
    probe: str,
    replacements: list[tuple[str, str]],
    words: str,
) -> None:
    monkeypatch.setattr(probes, "MEETING_PATIENCE_S", 0.3)
    [behaviour] = await probed(open_harness, make_framework(tool_calling=defective(*replacements)), probe)
    assert (behaviour.words, behaviour.acceptable) == (words, True)


async def test_a_run_that_waits_after_the_cap_is_named(
    make_framework: MakeFramework, open_harness: OpenHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        judges, "GRACE_S", -5.0
    )  # for the gateway may note the end after the framework has come to its own
    [behaviour] = await probed(open_harness, make_framework(tool_calling=LOOP), "endless_calls")
    assert behaviour.words == "ends more than -5 s after its last model call" and not behaviour.acceptable


async def test_behaviours_are_read_off_the_recorded_traces_alone(
    make_framework: MakeFramework, open_harness: OpenHarness, tmp_path: Path
) -> None:
    framework = make_framework(tool_calling=LOOP)
    async with open_harness(model="probes", **limits()) as harness:
        traces = [await harness.run(job) for job in jobs_of(framework, "tool_error", "unknown_tool")]
    for trace in traces:
        write_trace(tmp_path, trace)
    read = [trace for trace in read_traces(tmp_path) if isinstance(trace, Trace)]
    assert behaviours(read) == behaviours(reversed(traces)) != []
    [first, second] = behaviours(read)
    assert (first.probe, first.task, first.framework) == ("tool_error", "tool_calling", "fake")
    assert second.probe == "unknown_tool"
    scripted = [trace.model_copy(update={"key": trace.key.model_copy(update={"model": "scripted"})}) for trace in read]
    gone = [trace.model_copy(update={"case": {**trace.case, "kind": "no_more"}}) for trace in read]
    broken = [trace.model_copy(update={"case": {}}) for trace in read]
    assert behaviours([*scripted, *gone, *broken]) == []


# --- how probes are run ----------------------------------------------------------------------


async def test_runs_that_belong_together_are_made_together_and_again_only_together(
    make_framework: MakeFramework, open_harness: OpenHarness, tmp_path: Path
) -> None:
    framework = make_framework(tool_calling=LOOP)
    jobs = jobs_of(framework, "temperature", "concurrency")
    ended: list[Job] = []
    under_way: list[str] = []
    most = 0

    def started(job: Job) -> None:
        nonlocal most
        under_way.append(job.case.id)
        most = max(most, len(under_way))

    def finished(job: Job, trace: Trace) -> None:
        under_way.remove(job.case.id)
        ended.append(job)

    async with open_harness(model="probes", **limits()) as harness:
        assert harness.records.missing(jobs, tmp_path) == jobs
        await run_all(harness, jobs, tmp_path, 1, started, finished)
        assert harness.records.missing(jobs, tmp_path) == []
        (tmp_path / "probes/fake/tool_calling/concurrency-2.1.json").unlink()
        assert [job.case.id for job in harness.records.missing(jobs, tmp_path)] == [
            f"concurrency-{n}" for n in (1, 2, 3, 4)
        ]
    assert most == 4 and len(ended) == 5
    [both] = [each for each in behaviours(read(tmp_path)) if each.probe == "concurrency"] or [None]
    assert both is not None and both.words == "kept apart"


def read(traces: Path) -> Iterable[Trace]:
    return [trace for trace in map(read_trace, sorted(traces.rglob("*.json"))) if isinstance(trace, Trace)]


async def chat(model: ProbeUpstream, session: Any, **request: Any) -> dict[str, Any]:
    reply = await model.chat(b"", {"messages": [{"role": "user", "content": "Hi"}], **request}, session, 9)
    assert isinstance(reply.body, bytes)
    message: dict[str, Any] = json.loads(reply.body)["choices"][0]["message"]
    return message


async def test_those_who_wait_for_others_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MEETING_PATIENCE_S", 0.1)
    model = ProbeUpstream()
    script = ProbeScript(answer="Done.", meeting="us", parties=3)
    two = await asyncio.gather(*(chat(model, model.session(script)) for _ in range(2)))
    three = await asyncio.gather(*(chat(model, model.session(script)) for _ in range(3)))
    assert {message["content"] for message in two} == {"Done. Runs at once: 2."}
    assert {message["content"] for message in three} == {"Done. Runs at once: 3."}


FIND: dict[str, Any] = {
    "type": "function",
    "function": {"name": "find_note", "parameters": {"properties": {"title": {"type": "string"}}}},
}


async def test_a_model_that_may_not_call_tools_answers() -> None:
    model = ProbeUpstream()
    session = model.session(ProbeScript(fault="endless_calls", answer="Done."))
    for turn in (1, 2, 3):
        [call] = (await chat(model, session, tools=[FIND]))["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"title": f"part {turn}"}
    assert (await chat(model, session, tools=[FIND], tool_choice="none"))["content"] == "Done."
    assert (await chat(model, session))["content"] == "Done."


async def test_the_same_request_gets_another_reply_after_the_fault() -> None:
    model = ProbeUpstream()
    session = model.session(ProbeScript(fault="empty_content", answer="Done."))
    assert [(await chat(model, session)).get("content") for _ in range(3)] == [None, "", "Done."]


@pytest.mark.parametrize("stream", [False, True])
async def test_broken_arguments_are_broken_on_the_wire(stream: bool) -> None:
    model = ProbeUpstream()
    session = model.session(ProbeScript(fault="malformed_arguments", answer="Done."))
    request = {"messages": [{"role": "user", "content": "Hi"}], "tools": [FIND], "stream": stream}
    reply = await model.chat(b"", request, session, 9)
    body = reply.body if isinstance(reply.body, bytes) else b"".join([piece async for piece in reply.body])
    written: Callable[[str], bool] = lambda text: json.dumps(text)[1:-1].encode() in body  # noqa: E731
    assert written('{"title"' if not stream else '{"tit') and not written('"the plan"}')
