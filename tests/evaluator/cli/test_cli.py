"""The command line: mistakes in one line, help with examples, plain output."""

import asyncio
import contextlib
import importlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from doubles import DOUBLES, NAME, served
from folders import PYPROJECT, make_framework
from model_server import Answer, completion, serving
from played import Change, changed, played, system
from rich.console import Console

from evaluator import ROOT, cli
from evaluator.catalog import frameworks, tasks
from evaluator.catalog.frameworks import BASELINE, Framework, all_frameworks, read_framework
from evaluator.catalog.tasks import all_tasks
from evaluator.harness import plans
from evaluator.harness.jobs import WORK
from evaluator.models import specs
from evaluator.models.upstreams import Upstream
from evaluator.models.upstreams.scripted import ScriptedUpstream
from evaluator.providers.prices import price_list
from evaluator.trace import Trace, read_traces, trace_path, write_trace

COMMANDS = ("run", "score", "report", "compare", "parity", "export", "doctor", "list", "bench")

CASES = [
    {
        "id": "my-order",
        "kind": "one_call",
        "size": "quick",
        "question": "What is the state of order O-5003?",
        "turns": [[{"tool": "get_order", "arguments": {"order_id": "O-5003"}}]],
        "facts": ["delivered"],
        "answer": "Order O-5003 is delivered.",
    },
    {"id": "my-chat", "kind": "no_call", "size": "full", "question": "Thank you!", "answer": "You are welcome."},
]


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Bakeoff = Callable[..., Said]


@pytest.fixture
def bakeoff(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Bakeoff:
    """Runs a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["bakeoff", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


def written(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n")
    return path.name


ONE = json.dumps(CASES[0])
TASK = ("-t", "tool_calling")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("run", "-f", "nope"), "bakeoff: there is no framework 'nope'; there are baseline, "),
        (("run", "-f", "baseline,nope"), "bakeoff: there is no framework 'nope'; there are baseline, "),
        (("run", "-t", "nope"), f"bakeoff: there is no task 'nope'; there are {', '.join(all_tasks())}"),
        (("run", "-m", "nope"), "bakeoff: --model 'nope' is unknown: use 'local', 'local-0.5b', 'scripted', "),
        (("run", "-m", "nope/x"), "bakeoff: --model 'nope/x' is unknown: use 'local', 'local-0.5b', 'scripted', "),
        (("run", "-m", "ollama"), "bakeoff: --model 'ollama': say which model of this endpoint, such as ollama/"),
        (("run", "-m", "groq/x"), "bakeoff: endpoint 'groq' needs a key: set the environment variable GROQ_API_KEY"),
        (("run", "-m", "azure/x"), "bakeoff: endpoint 'azure' needs the environment variable AZURE_OPENAI_RESOURCE"),
        (("run", "-m", "../x"), "bakeoff: --model '../x': a name has letters"),
        (("run", "-m", "local", "--base-url", "http://127.0.0.1:9/v1"), "bakeoff: --model 'local' is built in: "),
        (
            ("run", "-m", "x", "-m", "y", "-m", "x", "--base-url", "http://127.0.0.1:9"),
            "bakeoff: --base-url is for one server; these models are not of one endpoint: x, y",
        ),
        (
            ("run", "-m", "local", "-m", "y", "--key-variable", "HOME"),
            "bakeoff: --key-variable is for one server; these models are not of one endpoint: local, y",
        ),
        (("run", "-m", "scripted", "-m", "nope"), "bakeoff: --model 'nope' is unknown: "),
        (("run", "-m", "x", "--base-url", "localhost:9"), "bakeoff: --base-url 'localhost:9': must "),
        (
            ("run", "-m", "x", "--base-url", "http://127.0.0.1:9", "--key-variable", "NOT_SET_HERE"),
            "bakeoff: --key-variable NOT_SET_HERE: this environment variable is not set",
        ),
        (("run", "-m", "scripted", *TASK, "--cases", "no.jsonl"), "bakeoff: --cases 'no.jsonl': neither quick, "),
        (("run", "-m", "scripted", *TASK, "--cases", "."), "bakeoff: --cases '.': neither quick, standard, full nor a"),
        (("run", "-m", "scripted", "--cases", "mine.jsonl"), "bakeoff: --cases mine.jsonl: name the one task"),
        (("run", "-m", "scripted", *TASK, "--cases", "mine.jsonl"), "bakeoff: mine.jsonl:3: question: Field required"),
        (("run", "-m", "scripted", *TASK, "--cases", "json.jsonl"), "bakeoff: json.jsonl:3: the line: Invalid JSON"),
        (
            ("run", "-m", "scripted", *TASK, "--cases", "twice.jsonl"),
            "bakeoff: twice.jsonl:3: id: 'my-order' is used in",
        ),
        (("run", "-m", "scripted", *TASK, "--cases", "empty.jsonl"), "bakeoff: empty.jsonl: has no cases"),
        (("run", "-m", "scripted", *TASK, "--cases", "bytes.jsonl"), "bakeoff: bytes.jsonl: cannot be read: "),
        (
            ("run", "-m", "scripted", "-f", "baseline", *TASK, "--traces", "mine.jsonl"),
            "bakeoff: --traces mine.jsonl: ",
        ),
        (
            ("run", "-m", "replay", "--replay", "nowhere"),
            "bakeoff: nowhere: there is no such folder of recorded traces",
        ),
        (("run", "-m", "replay", "--timeout", "5"), "bakeoff: a replay has its recorded limits: leave out --timeout"),
        (("run", "-m", "local", "--replay", "."), "bakeoff: --replay is for -m replay, and not for -m local"),
        (("run", "-m", "replay", *TASK, "--cases", "mine.jsonl"), "bakeoff: mine.jsonl:3: question: Field required"),
        (("run", "--rerecord", "-m", "probes"), "bakeoff: --rerecord is for one model, for none that is probing"),
        (("run", "--rerecord", "-m", "scripted", "--traces", "."), "bakeoff: scripted: there is no such folder of "),
        (("score", "--weights", "cost=1", "--prices", ""), "bakeoff: --prices is for the scorecard, which --weights "),
        (("score", "--traces", "nowhere"), "bakeoff: --traces nowhere: there is no such folder"),
        (
            ("score", "--traces", ".", "--prices", "openai/gpt-5-mini,openai/gpt-5-minni"),
            f"bakeoff: --prices 'openai/gpt-5-minni': {price_list()} has no price for it; the nearest there are ",
        ),
        (("doctor", "-m", "nope"), "bakeoff: --model 'nope' is unknown: use "),
        (("doctor", "-m", "replay"), "bakeoff: --model 'replay' answers what was recorded, and nothing else"),
        (("doctor", "-m", "probes"), "bakeoff: --model 'probes' misbehaves on purpose: there is nothing to examine"),
        (("doctor", "--base-url", "http://127.0.0.1:9/v1"), "bakeoff: --base-url and --key-variable say where a model"),
        (("parity", "--traces", "nowhere"), "bakeoff: --traces nowhere: there is no such folder"),
        (("report", "--traces", "nowhere"), "bakeoff: --traces nowhere: there is no such folder"),
        (("report", "--traces", ".", "--out", "mine.jsonl"), "bakeoff: --out mine.jsonl: there is a file of this name"),
        (("report", "--traces", ".", "--out", "."), "bakeoff: --out .: this folder holds something else than a site"),
        (("compare", "baseline", "nope"), "bakeoff: there is no framework 'nope'; there are baseline, "),
        (
            ("compare", "baseline", "baseline", "-t", "nope"),
            f"bakeoff: there is no task 'nope'; there are {', '.join(all_tasks())}",
        ),
        (
            ("export", "--format", "nope"),
            "bakeoff: --format 'nope': there are openai, sharegpt, alpaca, csv, parquet, otlp, ",
        ),
        (
            ("export", "--format", "openai", "--traces", "nowhere"),
            "bakeoff: nowhere: there is no such folder of traces",
        ),
        (("export", "--format", "openai", "--traces", ".", "-m", "x"), "bakeoff: x: there is no such folder of traces"),
        (("export", "--format", "openai", "--traces", "."), "bakeoff: nothing to write: 0 runs looked at"),
        (("parity", "-f", "nope"), "bakeoff: there is no framework 'nope'; there are baseline, "),
        (
            ("parity", "-f", "baseline", *TASK, "--traces", "."),
            "bakeoff: scripted: baseline has no traces of tool_calling; make them with `bakeoff run -f baseline "
            "-t tool_calling -m scripted --cases full --traces .`",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_and_where(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], line: str
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.setenv("AZURE_OPENAI_RESOURCE", "")
    written(tmp_path / "mine.jsonl", [ONE, "", '{"id": "x", "kind": "no_call", "size": "quick", "answer": "y"}'])
    written(tmp_path / "json.jsonl", [ONE, "", "{not JSON"])
    written(tmp_path / "twice.jsonl", [ONE, "", ONE])
    written(tmp_path / "empty.jsonl", [""])
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    said = bakeoff(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1 and said.err.endswith("\n")


def test_a_framework_without_the_task_is_named(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "implementations" / "half"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.bakeoff]\ntitle = "Half"\nhomepage = "https://example.org"\npackage = "x"\n'
        '[tool.bakeoff.not_implemented]\nrag_qa = "it cannot search"'
    )
    (folder / "uv.lock").write_text('[[package]]\nname = "x"\nversion = "1"\n')
    monkeypatch.setattr(frameworks, "all_frameworks", lambda: {"half": read_framework(folder)})
    lacks = "rag_qa is not implemented by half (it cannot search)"
    for command, what in ((("run", "-m", "scripted"), "run"), (("compare", "half", "half"), "compare")):
        said = bakeoff(*command, "-t", "rag_qa")
        assert (said.code, said.err) == (2, f"bakeoff: nothing to {what}: {lacks}\n")
    said = bakeoff("parity", "-t", "rag_qa", "--json")
    assert (said.code, json.loads(said.out)["parity"]) == (0, [])
    assert f"left out: {lacks}" in bakeoff("parity", "-t", "rag_qa").out
    listed = json.loads(bakeoff("list", "--json").out)
    assert listed["frameworks"][0]["not_implemented"]["rag_qa"] == "it cannot search"
    assert lacks in " ".join(bakeoff("list").out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nope",), "--nope"),
        (("nope",), "nope"),
        (("run", "--nope"), "--nope"),
        (("run", "--trials", "0"), "--trials"),
        (("run", "--jobs", "many"), "--jobs"),
        (("score", "x"), "unexpected extra argument"),
    ],
)
def test_a_wrong_option_is_a_mistake_too(bakeoff: Bakeoff, arguments: tuple[str, ...], words: str) -> None:
    said = bakeoff(*arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err and "Traceback" not in said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example(bakeoff: Bakeoff, command: str) -> None:
    for option in ("--help", "-h"):
        said = bakeoff(command, option)
        assert said.code == 0 and said.err == ""
        assert "Example" in said.out
        assert f"bakeoff {command}" in said.out.split("Example")[1]
        assert "\x1b" not in said.out


def test_the_list_is_json_where_asked(bakeoff: Bakeoff) -> None:
    said = bakeoff("list", "--json")
    assert (said.code, said.err) == (0, "")
    listed = json.loads(said.out)
    assert listed["frameworks"][0]["name"] == "baseline"
    assert {task["name"] for task in listed["tasks"]} == set(all_tasks())
    assert all(
        counts["quick"] <= counts["standard"] <= counts["full"] for counts in (t["cases"] for t in listed["tasks"])
    )
    plain = bakeoff("list")
    assert plain.code == 0 and "\x1b" not in plain.out
    assert all(framework["name"] in plain.out for framework in listed["frameworks"])


def test_doctor_alone_looks_at_this_machine(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frameworks, "all_frameworks", lambda: {})
    said = bakeoff("doctor", "--json")
    assert (said.code, said.err) == (0, "")
    checked = {check["name"]: check for check in json.loads(said.out)["checks"]}
    assert checked["uv"]["verdict"] == checked["lock harness"]["verdict"] == "ok"
    assert checked["python"]["measured"] == {"version": platform.python_version()}
    monkeypatch.setenv("BAKEOFF_LOCAL_GGUF", "nowhere.gguf")
    said = bakeoff("doctor")
    assert said.code == 0 and "cannot read nowhere.gguf" in said.out  # the model 'local' alone needs it
    monkeypatch.setenv("UV", "/nowhere/uv")
    said = bakeoff("doctor")
    assert said.code == 1 and said.out.endswith("; runs will fail: uv\n") and "\x1b" not in said.out


@pytest.fixture
def double() -> Iterator[Callable[..., str]]:
    """Serves doubles from a thread, and gives their base URLs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with contextlib.ExitStack() as opened:

        def serve(name: str, key: str | None = None) -> str:
            serving = served(DOUBLES[name], key)
            url = asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
            opened.callback(
                lambda: asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
            )
            return url

        yield serve
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_doctor_examines_a_model(bakeoff: Bakeoff, double: Callable[..., str]) -> None:
    said = bakeoff("doctor", "-m", NAME, "--base-url", double("good"))
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("nothing stands in the way of runs\n") and "\x1b" not in said.out
    said = bakeoff("doctor", "-m", NAME, "--base-url", double("imitates_openai_reasoning_models"), "--json")
    assert (said.code, said.err) == (1, "")
    checks = {check["name"]: check for check in json.loads(said.out)["checks"]}
    assert checks["temperature"]["verdict"] == "fails"
    assert BASELINE in checks["temperature"]["sent_by"]  # in the committed runs
    assert checks["chat"]["verdict"] == "ok"
    assert bakeoff("doctor", "-m", "scripted").code == 0


def test_doctor_shows_no_key(bakeoff: Bakeoff, double: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "planted-7f3a")
    for name, key, code in (("good", "planted-7f3a", 0), ("good", "another", 1)):
        for form in ((), ("--json",)):
            options = ("--base-url", double(name, key), "--key-variable", "MY_KEY")
            said = bakeoff("doctor", "-m", NAME, *options, *form)
            assert said.code == code
            assert "planted-7f3a" not in said.out + said.err and "127.0.0.1" not in said.out + said.err


def test_doctor_of_a_server_that_is_gone(bakeoff: Bakeoff) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = bakeoff("doctor", "-m", "mine", "--base-url", f"http://127.0.0.1:{port}/v1")
    assert (said.code, said.err) == (1, "")
    assert "Connection refused" in " ".join(said.out.split()) and said.out.endswith(
        "; runs will fail: server answers\n"
    )


def test_the_users_own_cases_can_be_run(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "mine.jsonl", [json.dumps(case) for case in CASES])
    command = ("run", "-m", "scripted", "-f", "baseline", *TASK, "--cases", file, "--traces", "traces")
    said = bakeoff(*command)
    assert said.code == 0, said.err
    assert "\x1b" not in said.out
    traces = [trace for trace in read_traces(tmp_path / "traces") if isinstance(trace, Trace)]
    assert {trace.key.case: trace.outcome.answer for trace in traces} == {case["id"]: case["answer"] for case in CASES}
    monkeypatch.delattr(plans, "harness")  # nothing is started where every run is recorded
    again = bakeoff(*command)
    assert again.code == 0
    assert "2 of 2 runs are recorded already in traces; --rerun makes them again" in again.out
    assert [trace for trace in read_traces(tmp_path / "traces")] == traces
    said = bakeoff("score", "--traces", "traces", "--out", "scores")
    assert said.code == 0, said.err
    assert (tmp_path / "scores/scorecard.json").exists()


def test_several_models_are_run_in_turn_and_shown_together(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripted model stands in for the embedded one, whose weights are not fetched for tests."""
    started: list[str] = []

    @contextlib.asynccontextmanager
    async def running(spec: specs.ModelSpec, _: Console) -> AsyncIterator[Upstream]:
        started.append(spec.name)
        yield ScriptedUpstream()

    monkeypatch.setattr(specs, "running", running)
    monkeypatch.setattr(specs, "digest", lambda spec, _: f"digest of {spec.name}")
    file = written(tmp_path / "mine.jsonl", [json.dumps(case) for case in CASES])
    command = ("run", "-m", "scripted", "-m", "local-0.5b", "-m", "scripted", "-f", "baseline")
    command += (*TASK, "--cases", file, "--traces", "traces")
    said = bakeoff(*command)
    assert said.code == 0, said.err
    assert "scripted · tool_calling" in said.out and "local-0.5b · tool_calling" in said.out
    assert "4 of 4 runs" in said.out
    assert started == ["scripted", "local-0.5b"]
    traces = [trace for trace in read_traces(tmp_path / "traces") if isinstance(trace, Trace)]
    assert Counter(trace.key.model for trace in traces) == {"scripted": 2, "local-0.5b": 2}
    assert {trace.setup.model_digest for trace in traces} == {"digest of scripted", "digest of local-0.5b"}

    trace_path(tmp_path / "traces", traces[0].key).unlink()
    again = bakeoff(*command)
    assert again.code == 0, again.err
    assert "3 of 4 runs are recorded already in traces\n" in again.out and "1 of 1 runs" in again.out
    assert started[2:] == [traces[0].key.model]
    assert len(list(read_traces(tmp_path / "traces"))) == 4


@pytest.fixture
def compared_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the traces of one case: the baseline's, and a framework's that sends more than it should."""

    hurry = system(lambda text: f"{text}\n\n[bold]Hurry\x1b[31m")

    def write(deviations: str = "", change: Change = hurry) -> None:
        (tmp_path / "implementations").mkdir()
        for name, text in (("baseline", ""), ("x", deviations)):
            folder = make_framework(tmp_path, name, PYPROJECT.partition("[[tool")[0] + text)
            for task in all_tasks():
                (folder / f"{task}.py").touch()
            run = played("tool_calling", "stock-and-quote", framework=name)
            write_trace(tmp_path / "traces", changed(run, change) if name == "x" else run)
        monkeypatch.setattr(frameworks, "all_frameworks", lambda: found)
        found = read_all(tmp_path / "implementations")

    read_all = all_frameworks
    return write


PARITY = ("parity", "-f", "x", *TASK, "--traces", "traces")
EXPLAINED = '[[tool.bakeoff.deviations]]\nnote = "It is in a hurry."\ndifferences = ["added system text"]\n'


def test_parity_with_an_unexplained_difference(bakeoff: Bakeoff, compared_run: Callable[..., None]) -> None:
    compared_run()
    said = bakeoff(*PARITY)
    assert (said.code, said.err) == (1, "")
    [row] = [line for line in said.out.splitlines() if "added system text" in line]
    assert "1/1" in row and "UNEXPLAINED" in row and "[bold]Hurry" in row
    assert "\x1b" not in said.out
    assert said.out.endswith("0 differences explained, 1 unexplained, 0 explanations stale\n")
    data = json.loads(bakeoff(*PARITY, "--json").out)
    [parity] = data["parity"]
    assert (parity["framework"], parity["task"], parity["unexplained"]) == ("x", "tool_calling", 1)
    assert parity["differences"][0]["name"] == "added system text"
    assert parity["injected_tokens_per_call"] > 0


def test_parity_with_an_explained_difference(bakeoff: Bakeoff, compared_run: Callable[..., None]) -> None:
    compared_run(EXPLAINED)
    said = bakeoff(*PARITY)
    assert (said.code, said.err) == (0, "")
    assert "UNEXPLAINED" not in said.out
    assert "1. X, all tasks: It is in a hurry." in said.out
    assert said.out.endswith("1 differences explained, 0 unexplained, 0 explanations stale\n")
    said = bakeoff("parity", *TASK, "--traces", "traces")
    assert said.code == 0 and "no difference" in said.out  # the baseline's


def test_a_stale_explanation_is_said_where_all_cases_are_there(
    bakeoff: Bakeoff, compared_run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared_run(EXPLAINED.replace("differences", "task = 'tool_calling'\ndifferences"), change=lambda request: None)
    assert bakeoff(*PARITY).code == 0  # other cases may have it
    task = all_tasks()["tool_calling"]
    cases = [case for case in task.load() if case.id == "stock-and-quote"]
    monkeypatch.setattr(tasks, "all_tasks", lambda: {"tool_calling": replace(task, load=lambda: cases)})
    said = bakeoff(*PARITY)
    assert said.code == 1
    assert "deviation 1: 'added system text' explains nothing" in said.out
    assert said.out.endswith("0 differences explained, 0 unexplained, 1 explanations stale\n")


def test_parity_says_which_traces_are_missing_and_shows_the_rest(
    bakeoff: Bakeoff, compared_run: Callable[..., None]
) -> None:
    compared_run(EXPLAINED)
    others = ",".join(name for name in all_tasks() if name not in TASK)
    said = bakeoff("parity", "-f", "x", "--traces", "traces")
    assert said.code == 2
    assert "X · tool_calling" in said.out
    assert said.err.startswith(f"bakeoff: traces/scripted: baseline has no traces of {others}; make them with ")


def test_parity_leaves_out_damaged_traces(bakeoff: Bakeoff, compared_run: Callable[..., None], tmp_path: Path) -> None:
    compared_run(EXPLAINED)
    (tmp_path / "traces/scripted/x/tool_calling/z.1.json").write_text("{")
    said = bakeoff(*PARITY)
    assert said.code == 0
    assert "left out: traces/scripted/x/tool_calling/z.1.json: line 1: not valid JSON" in said.out


PLANTED = "planted-7f3a/5c"
SHOWS = """
import json
import urllib.error
import urllib.request

async def run(brief, model):
    seen = []
    for stream in (False, True, False):
        body = json.dumps({"model": model.name, "messages": [], "stream": stream}).encode()
        request = urllib.request.Request(f"{model.base_url}/chat/completions", body)
        try:
            with urllib.request.urlopen(request) as reply:
                seen.append(f"{reply.headers} {reply.read()}")
        except urllib.error.HTTPError as error:
            seen.append(f"{error.headers} {error.read()}")
    print(seen, flush=True)
    raise RuntimeError(str(seen))
"""


def shows_the_key(number: int, headers: dict[str, str]) -> Answer:
    """A server that shows the key wherever it can: in an answer, in the pieces of a stream, in an error, in headers."""
    key = headers["authorization"]
    shown = {"x-request-id": key, "Retry-After": key}
    match number:
        case 0:
            return Answer(200, completion(key), shown)
        case 1:
            data = f"data: {json.dumps(completion(key))}\n\n".encode()
            return Answer(200, headers=shown, pieces=tuple(data[i : i + 5] for i in range(0, len(data), 5)))
        case _:
            return Answer(500, {"error": {"message": f"wrong key: {key}"}}, shown)


def test_no_planted_key_is_written_anywhere(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_framework: Callable[..., Framework]
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, PLANTED)
    framework = make_framework("planted", tool_calling=SHOWS)
    monkeypatch.setattr(frameworks, "all_frameworks", lambda: {"planted": framework})
    for module in ("evaluator.export.runs", "evaluator.export.run_table", "evaluator.scorecard.build"):
        monkeypatch.setattr(importlib.import_module(module), "framework_folders", lambda *_: [framework.folder])

    async def provided(*_: object) -> None:
        """The environment is there."""

    monkeypatch.setattr(plans, "provision", provided)
    file = written(tmp_path / "mine.jsonl", [json.dumps(CASES[1])])
    with serving(shows_the_key) as server:
        said = bakeoff(
            *("run", "-m", "anthropic/claude-x", "--base-url", server.url, "-f", "planted", *TASK),
            *("--cases", file, "--traces", "traces"),
        )
    assert (said.code, said.err) == (0, "")
    assert [headers["authorization"] for headers in server.headers] == [f"Bearer {PLANTED}"] * 3
    [trace] = [trace for trace in read_traces(tmp_path / "traces") if isinstance(trace, Trace)]
    assert trace.key.model == "anthropic/claude-x"
    assert [call.status for call in trace.model_calls] == [200, 200, 500]
    assert str(trace.outcome.error).startswith(
        "the model's server answered 500 (server error, Retry-After: Bearer ***): wrong key: Bearer ***; RuntimeError: "
    )
    outputs = [said.out + said.err]
    for command, *options in (
        ("score", "--out", "scores"),
        ("report", "--out", "site"),
        ("export", "--format", "otlp", "--out", "spans.jsonl"),
        ("export", "--format", "csv", "--out", "runs.csv"),
    ):
        said = bakeoff(command, *options, "--traces", "traces")
        assert said.code == 0, said.err
        outputs.append(said.out + said.err)
    log = WORK / "logs" / "planted.log"
    files = [log, *(path for path in tmp_path.rglob("*") if path.is_file())]
    written_from_the_trace = [tmp_path / name for name in ("scores/scorecard.failures.json", "spans.jsonl", "runs.csv")]
    assert all(b"Bearer ***" in path.read_bytes() for path in (log, *written_from_the_trace))
    assert any(b"Bearer ***" in path.read_bytes() for path in (tmp_path / "site").rglob("*.html"))
    for content in [*(output.encode() for output in outputs), *(path.read_bytes() for path in files)]:
        assert b"planted-7f3a" not in content


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            lambda _, headers: Answer(401, {"error": {"message": f"wrong key: {headers['authorization']}"}}),
            "the model's server answered 401 (key refused): wrong key: Bearer ***",
        ),
        (
            Answer(404, {"error": {"message": "model 'x' not found"}}),
            "the model's server answered 404 (no such model): model 'x' not found",
        ),
    ],
)
def test_what_every_run_would_meet_ends_with_one_line_and_records_nothing(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, line: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    with serving(answer) as server:
        said = bakeoff(
            *("run", "-m", "openai/x", "--base-url", server.url, "-f", "baseline", *TASK, "--traces", "traces")
        )
    assert said.code == 1
    assert said.err == f"bakeoff: {line}; what was made is kept, and the same command goes on from here\n"
    assert PLANTED not in said.out
    assert list(read_traces(tmp_path / "traces")) == []


def test_a_run_with_several_models_ends_with_the_table_of_models(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    case = {**CASES[1], "facts": ["welcome"]}
    file = written(tmp_path / "mine.jsonl", [json.dumps({**case, "id": f"case-{n}"}) for n in range(8)])

    def answer(number: int, headers: dict[str, str]) -> Answer:
        text = "You are welcome." if json.loads(server.bodies[number])["model"] == "large" else "Goodbye."
        return Answer(body=completion(text, usage={"prompt_tokens": 120, "completion_tokens": 7}))

    with serving(answer) as server:
        said = bakeoff(
            *("run", "-m", "ollama/large", "-m", "ollama/small", "--base-url", server.url, "-f", "baseline", *TASK),
            *("--cases", file, "--traces", "traces"),
        )
    assert (said.code, said.err) == (0, "")
    table, _, rest = said.out.partition("Models, on the same 8 cases")[2].partition("Between the runs of")
    large, small = (line for line in table.splitlines() if "ollama/" in line)
    assert "ollama/large" in large and " 8/8 100% [68–100] " in large and large.split()[-3:] == ["120", "7", "–"]
    assert "ollama/small" in small and " 0/8 " in small
    assert " ".join(rest.split()).startswith(
        "2 models on 8 cases with one framework, the model explains 100% [100–100]"
    )


def test_ctrl_c_ends_with_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evaluator", "run", "-f", "baseline", "-m", "scripted", "-t", "handoff"]
    command += ["--cases", "full", "--trials", "5", "--traces", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, the signal is ignored, and so it would be here.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        until = time.monotonic() + 300
        while not list(tmp_path.rglob("*.json")):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert errors == "bakeoff: stopped; the same command goes on from here\n"
    assert all(isinstance(trace, Trace) for trace in read_traces(tmp_path))


def test_it_runs_from_anywhere_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evaluator", "run", "-f", "nope"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)


def test_a_model_server_that_is_gone_ends_with_one_line_and_records_nothing(bakeoff: Bakeoff, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = bakeoff(
        *("run", "-m", "mine", "--base-url", f"http://127.0.0.1:{port}/v1", "--traces", "traces"),
        *("-f", BASELINE, "-t", "tool_calling"),
    )
    assert said.code == 1
    assert said.err.count("\n") == 1 and "Connection refused" in said.err and "goes on from here" in said.err
    assert list(read_traces(tmp_path / "traces")) == []


HANDOFF = ("-f", "baseline", "-t", "handoff", "--cases", "quick")


def _copy_first_trials(folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in (ROOT / "traces" / "scripted" / "baseline" / "handoff").glob("*.1.json"):
        shutil.copy(path, folder)


def test_a_replay_says_whether_it_came_out_as_recorded(bakeoff: Bakeoff, tmp_path: Path) -> None:
    _copy_first_trials(tmp_path / "kept" / "baseline" / "handoff")
    arguments = ("run", "--replay", "kept", *HANDOFF, "--traces", "replays")
    said = bakeoff(*arguments)
    assert said.code == 0, said.err
    assert "2 of 2 runs came out as recorded in kept" in said.out
    assert "correctness and tokens are exactly those recorded, in every cell" in said.out
    again = bakeoff(*arguments)
    assert again.code == 0 and "2 of 2 runs are recorded already in replays" in again.out

    path = tmp_path / "kept" / "baseline" / "handoff" / next((tmp_path / "replays").rglob("*.json")).name
    path.write_text(path.read_text().replace("telecom", "bank"))
    changed = bakeoff(*arguments)
    assert changed.code == 1
    assert "1 of 2 runs came out as recorded in kept" in changed.out
    assert "became '" in changed.out and "correctness or tokens differ in " in changed.out

    path.rename(path.with_name("elsewhere.1.json"))
    misplaced = bakeoff(*arguments)
    assert misplaced.code == 1
    assert "the runs: 2 were replayed, and 1 can be scored as they were recorded" in misplaced.out


def test_only_recordings_that_no_longer_replay_are_recorded_again(bakeoff: Bakeoff, tmp_path: Path) -> None:
    folder = tmp_path / "scripted" / "baseline" / "handoff"
    _copy_first_trials(folder)
    arguments = ("run", "--rerecord", "-m", "scripted", *HANDOFF, "--traces", ".")
    said = bakeoff(*arguments)
    assert said.code == 0 and "0 of 2 recorded runs no longer replay" in said.out, said.err
    before = {path: path.read_bytes() for path in folder.iterdir()}
    stale = folder / "direct-outage.1.json"
    stale.write_text(stale.read_text().replace("telecom", "bank"))
    said = bakeoff(*arguments)
    assert said.code == 0 and "1 of 2 recorded runs no longer replay and are recorded again:" in said.out, said.err
    assert [path for path in folder.iterdir() if path.read_bytes() != before[path]] == [stale]
    assert "bank" not in stale.read_text()
    assert "0 of 2 recorded runs no longer replay" in bakeoff(*arguments).out
