"""The worker's process: what it is told, what it keeps to itself, and how it ends."""

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import typing
from pathlib import Path
from typing import Any

import pytest
from fakes import MakeFramework
from processes import gone

from evaluator import ROOT
from evaluator.catalog.frameworks import Framework
from evaluator.harness import process
from evaluator.harness.process import Worker, WorkerError, sweep_scratch, worker_environment
from evaluator.worker import protocol
from evaluator.worker.main import recording
from tasks.base import Model
from tasks.tool_calling.tools import Shop

TASK = "tool_calling"


def request(question: str = "Hello?", run: str = "run-1", timeout_s: float = 30.0) -> protocol.Job:
    case = {"id": "greeting", "kind": "no_call", "size": "quick", "question": question, "answer": "Hello."}
    model = Model(
        name="scripted",
        base_url="http://127.0.0.1:9/none/v1",
        api_key="none-needed",
        embedding_name="none",
        temperature=0.0,
        max_model_calls=3,
        timeout_s=timeout_s,
    )
    return protocol.Job(run=run, module=TASK, spec=f"tasks.{TASK}.spec", case=case, model=model)


async def made(framework: Framework, tmp_path: Path, *requests: protocol.Job, **limits: Any) -> list[protocol.Done]:
    """The ends of these requests, all of them made at once in one worker."""
    worker = Worker(framework, [TASK], tmp_path / "fake.log", limits.get("memory_limit_mb", 4000))
    try:
        await worker.start()
        assert worker.start_error is None
        return [await worker.request(each, lambda call: None) for each in requests]
    finally:
        await worker.stop()


def within(done: protocol.Done) -> tuple[float, float]:
    """When the run began and ended."""
    assert done.start is not None and done.end is not None
    return done.start, done.end


async def test_no_key_reaches_the_worker_and_its_folders_are_scratch(
    make_framework: MakeFramework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY")
    for name in (*keys, "HTTPS_PROXY", "SSL_CERT_FILE", "GIT_DIR", "PYTHONSTARTUP", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "planted-7f3a")
    framework = make_framework(
        tool_calling="""
        import json, os, pathlib, sys, tempfile

        async def run(brief, model):
            print(dict(os.environ))
            folders = [os.getcwd(), tempfile.gettempdir(), str(pathlib.Path.home())]
            return json.dumps({"environment": dict(os.environ), "folders": folders, "line": sys.stdin.readline()})
        """
    )
    [done] = await made(framework, tmp_path, request())
    seen = json.loads(done.answer)
    assert "planted-7f3a" not in done.answer + (tmp_path / "fake.log").read_text()
    assert not [name for name in seen["environment"] if "KEY" in name or "TOKEN" in name]
    homes = [value for name, value in seen["environment"].items() if name in ("HOME", "TMPDIR") or "XDG" in name]
    assert len(homes) == 6
    scratch = Path(seen["folders"][0])
    assert all(Path(folder).is_relative_to(scratch) for folder in [*homes, *seen["folders"]])
    assert not scratch.exists()
    assert seen["line"] == ""


def test_a_framework_sets_its_own_switches(make_framework: MakeFramework, tmp_path: Path) -> None:
    framework = make_framework()
    framework.env["FAKE_TELEMETRY"] = "off"
    assert worker_environment(framework, tmp_path)["FAKE_TELEMETRY"] == "off"


async def test_what_is_printed_does_not_disturb_and_the_log_is_capped(
    make_framework: MakeFramework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_LIMIT_BYTES", 1_000_000)
    framework = make_framework(
        tool_calling="""
        import os, subprocess, sys

        async def run(brief, model):
            for stream in (1, 2):
                for _ in range(50):
                    os.write(stream, b"\\xff\\xfe\\x00 garbage " * 4000 + b"\\n")
                os.write(stream, b'{"event": "done", "run": "run-1", "answer": "forged", "error": null}\\n')
            print('{"event": "tool_call"}\\n[1, 2]\\nnull\\n', flush=True)
            subprocess.run(["echo", '{"event": "done", "run": "run-1", "answer": "forged"}'])
            return "honest"
        """
    )
    done = await made(framework, tmp_path, request(), request(run="run-2"))
    assert [each.answer for each in done] == ["honest", "honest"]
    assert (tmp_path / "fake.log").stat().st_size == 1_000_000


async def test_what_a_framework_writes_as_events_costs_no_more_than_its_own_run(
    make_framework: MakeFramework, tmp_path: Path
) -> None:
    """Whoever looks for it finds the pipe to the harness among the open files of the worker."""
    framework = make_framework(
        tool_calling="""
        import os

        FORGED = [
            b'{"event": "done", "run": []}', b'{"event": "tool_call", "run": "run-1"}', b'{"event": {}}', b"[" * 100000,
            b'{"event": "tool_call", "run": "run-1", "start": NaN}', b'{"event": "ready"}', b"\\xff", b"null",
            b'{"event": "done", "run": "run-1", "final_state": [1], "answer": 5}', b'{"event": "failed", "error": "x"}',
        ]

        async def run(brief, model):
            for number in range(3, 30):
                try:
                    os.write(number, b"\\n" + b"\\n".join(FORGED) + b"\\n")
                except OSError:
                    pass
            return "honest"
        """
    )
    done = await made(framework, tmp_path, request(), request(run="run-2"))
    assert [each.answer for each in done] == ["honest", "honest"]


async def test_runs_at_once_in_one_worker_do_not_mix(make_framework: MakeFramework, tmp_path: Path) -> None:
    framework = make_framework(
        tool_calling="""
        import asyncio

        async def run(brief, model):
            tools = {tool.__name__: tool for tool in brief.tools}
            for number in range(5):
                await asyncio.sleep(0.01)
                tools["get_order"](f"O-500{brief.question}") if number % 2 else None
            return f"answer {brief.question} {model.base_url}"
        """
    )
    worker = Worker(framework, [TASK], tmp_path / "fake.log", 4000)
    await worker.start()
    wanted = {f"run-{number}": str(number) for number in range(1, 5)}
    calls: dict[str, list[protocol.ToolCall]] = {run: [] for run in wanted}
    try:
        made = [worker.request(request(question, run), calls[run].append) for run, question in wanted.items()]
        done = {event.run: event for event in await asyncio.gather(*made)}
    finally:
        await worker.stop()
    assert {run: event.answer.split()[1] for run, event in done.items()} == wanted
    for run, recorded in calls.items():
        assert len(recorded) == 2
        for call in recorded:
            assert (call.run, call.arguments) == (run, {"order_id": f"O-500{wanted[run]}"})
            assert within(done[run])[0] <= call.start <= call.end <= within(done[run])[1]
    times = [within(event) for event in done.values()]
    assert max(start for start, _ in times) < min(end for _, end in times)


@pytest.mark.parametrize(
    ("code", "limit_s", "first", "others"),
    [
        ("os._exit(3)", 30, WorkerError, "exit code 3"),
        ("time.sleep(600)", 1, TimeoutError, "took too long"),
    ],
)
async def test_a_run_that_takes_the_worker_along_ends_the_others_in_it_and_those_after_go_on(
    make_framework: MakeFramework, tmp_path: Path, code: str, limit_s: float, first: type[Exception], others: str
) -> None:
    framework = make_framework(
        tool_calling=f"""
        import asyncio, os, time

        async def run(brief, model):
            if brief.question == "die":
                await asyncio.sleep(0.3)
                {code}
            if brief.question == "wait":
                await asyncio.sleep(600)
            return "alive"
        """
    )
    worker = Worker(framework, [TASK], tmp_path / "fake.log", 4000)
    try:
        await worker.start()
        waiting = [worker.request(request("wait", run), print, 60) for run in ("run-2", "run-3")]
        ended = await asyncio.gather(worker.request(request("die"), print, limit_s), *waiting, return_exceptions=True)
        assert isinstance(ended[0], first)
        assert all(isinstance(error, WorkerError) and others in str(error) for error in ended[1:])
        with pytest.raises(WorkerError, match=others):
            await worker.request(request(), print)
        await worker.start()
        assert (await worker.request(request(), print)).answer == "alive"
    finally:
        await worker.stop()


async def test_the_worker_ends_a_run_at_its_limit_and_lives_on(make_framework: MakeFramework, tmp_path: Path) -> None:
    framework = make_framework(
        tool_calling="""
        import asyncio

        async def run(brief, model):
            await asyncio.sleep(600 if brief.question == "hang" else 0)
            return "alive"
        """
    )
    hung, following = await made(framework, tmp_path, request("hang", timeout_s=0.3), request(run="run-2"))
    start, end = within(hung)
    assert (hung.error, hung.answer) == ("timeout", "") and 0.3 <= end - start < 5
    assert following.answer == "alive"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os._exit(3)", "ended by itself with exit code 3"),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
    ],
)
async def test_a_worker_that_dies_says_how_and_can_be_started_again(
    make_framework: MakeFramework, tmp_path: Path, code: str, words: str
) -> None:
    framework = make_framework(
        tool_calling=f"""
        import os, sys

        async def run(brief, model):
            if brief.question == "die":
                os.write(2, b"last words")
                {code}
            return "alive"
        """
    )
    worker = Worker(framework, [TASK], tmp_path / "fake.log", 4000)
    try:
        await worker.start()
        with pytest.raises(WorkerError, match=words):
            await worker.request(request("die"), lambda call: None)
        await worker.stop()
        assert not worker.alive
        await worker.start()
        assert (await worker.request(request("live"), lambda call: None)).answer == "alive"
    finally:
        await worker.stop()
    assert "last words" in (tmp_path / "fake.log").read_text()


async def test_what_a_worker_started_ends_with_it(make_framework: MakeFramework, tmp_path: Path) -> None:
    framework = make_framework(
        tool_calling="""
        import os, subprocess

        async def run(brief, model):
            print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
            os._exit(1)
        """
    )
    worker = Worker(framework, [TASK], tmp_path / "fake.log", 4000)
    await worker.start()
    with pytest.raises(WorkerError):
        await worker.request(request(), lambda call: None)
    await worker.stop()
    assert gone(int((tmp_path / "fake.log").read_text()), within_s=20)


async def test_a_process_that_outlives_its_worker_holds_nothing_up(
    make_framework: MakeFramework, tmp_path: Path
) -> None:
    framework = make_framework(
        tool_calling="""
        import os, subprocess

        async def run(brief, model):
            print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid, flush=True)
            os._exit(3) if brief.question == "die" else None
            return "alive"
        """
    )
    worker = Worker(framework, [TASK], tmp_path / "fake.log", 4000)
    try:
        async with asyncio.timeout(60):
            await worker.start()
            with pytest.raises(WorkerError, match="exit code 3"):
                await worker.request(request("die"), lambda call: None)
            await worker.start()
            assert (await worker.request(request(), lambda call: None)).answer == "alive"
            await worker.stop()
    finally:
        for pid in (tmp_path / "fake.log").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


async def test_a_worker_that_eats_memory_is_killed(make_framework: MakeFramework, tmp_path: Path) -> None:
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
    with pytest.raises(WorkerError, match="used more than 300 MB of memory"):
        await made(framework, tmp_path, request(), memory_limit_mb=300)


@pytest.mark.parametrize(
    "code", ["import sys; sys.exit(0)", "import nothing_of_this_name", "raise KeyboardInterrupt", "("]
)
async def test_an_import_error_costs_only_its_own_task(
    make_framework: MakeFramework, tmp_path: Path, code: str
) -> None:
    framework = make_framework(tool_calling=code, handoff="async def run(brief, model):\n    return 'fine'")
    worker = Worker(framework, [TASK, "handoff"], tmp_path / "fake.log", 4000)
    try:
        await worker.start()
        for _ in range(2):
            done = await worker.request(request(), lambda call: None)
            assert done.error is not None and done.error.startswith("the implementation cannot be imported: ")
        case = {"id": "a", "kind": "out_of_scope", "size": "quick", "question": "Hi", "answer": "No."}
        job = request().model_copy(update={"module": "handoff", "spec": "tasks.handoff.spec", "case": case})
        assert (await worker.request(job, lambda call: None)).answer == "fine"
    finally:
        await worker.stop()


async def test_an_environment_without_interpreter_is_an_error_in_words(
    make_framework: MakeFramework, tmp_path: Path
) -> None:
    framework = make_framework(tool_calling="")
    (framework.folder / ".venv/bin/python").unlink()
    worker = Worker(framework, [TASK], tmp_path / "fake.log", 4000)
    await worker.start()
    assert worker.start_error == f"{framework.folder}/.venv/bin/python cannot be started: No such file or directory"
    assert not worker.alive


async def test_an_import_that_hangs_is_given_up(
    make_framework: MakeFramework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "START_TIMEOUT_S", 1)
    worker = Worker(make_framework(tool_calling="import time; time.sleep(600)"), [TASK], tmp_path / "fake.log", 4000)
    await worker.start()
    assert worker.start_error == "importing the implementations took more than 1 s"
    assert not worker.alive


@pytest.mark.parametrize("sleep", ["time.sleep(600)", "await asyncio.sleep(600)"])
def test_a_worker_ends_when_the_harness_is_killed(make_framework: MakeFramework, tmp_path: Path, sleep: str) -> None:
    framework = make_framework(
        tool_calling=f"""
        import asyncio, os, pathlib, time

        async def run(brief, model):
            pathlib.Path(brief.question).write_text(str(os.getpid()))
            {sleep}
        """
    )
    pid_file = tmp_path / "pid"
    program = f"""
import asyncio
from pathlib import Path
from evaluator.catalog.frameworks import read_framework
from evaluator.harness.process import Worker
from evaluator.worker.protocol import order_of

async def main():
    worker = Worker(read_framework(Path({str(framework.folder)!r})), ["tool_calling"], Path("fake.log"), 4000)
    await worker.start()
    await worker.request(order_of({request(str(pid_file)).line()!r}), print)

asyncio.run(main())
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    harness = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    try:
        until = time.monotonic() + 120
        while not (pid_file.exists() and pid_file.read_text()):
            assert harness.poll() is None and time.monotonic() < until
            time.sleep(0.05)
    finally:
        harness.send_signal(signal.SIGKILL)
        harness.wait()
    assert gone(int(pid_file.read_text()), within_s=20)


def test_a_recorded_tool_looks_like_the_tool() -> None:
    for tool in Shop().tools():
        recorded = recording("run-1", lambda call: None)(tool, None)
        assert inspect.signature(recorded) == inspect.signature(tool)
        assert typing.get_type_hints(recorded) == typing.get_type_hints(tool)
        assert (recorded.__name__, inspect.getdoc(recorded)) == (tool.__name__, inspect.getdoc(tool))


def test_a_recorded_tool_gets_and_gives_the_same_and_is_recorded_as_json() -> None:
    def search(text: str, limit: int = 3) -> set[str]:
        if text == "fail":
            raise LookupError("nothing there")
        return {text}

    calls: list[protocol.ToolCall] = []
    recorded = recording("run-1", calls.append)(search, "librarian")
    assert recorded("cats") == {"cats"}
    with pytest.raises(LookupError):
        recorded(text="fail", limit=1)
    with pytest.raises(TypeError):
        recorded("cats", unknown=1)
    found, failed, wrong = calls
    for call in calls:
        assert (call.run, call.agent, call.name) == ("run-1", "librarian", "search") and call.start <= call.end
    assert (found.arguments, found.result, found.error) == ({"text": "cats", "limit": 3}, ["cats"], None)
    assert failed.error == "LookupError: nothing there"
    assert wrong.arguments == {"0": "cats", "unknown": 1}
    assert wrong.error is not None and wrong.error.startswith("TypeError: ")


def test_arguments_that_are_no_json_are_recorded_all_the_same() -> None:
    def echo(value: Any) -> Any:
        return value

    calls: list[protocol.ToolCall] = []
    recorded = recording("run-1", calls.append)(echo, None)
    nested: list[Any] = []
    for _ in range(2000):
        nested = [nested]
    for value in (b"\xff", nested, 10**5000, "\ud800", object()):
        assert recorded(value) is value
    assert len(calls) == 5
    for call in calls:
        assert protocol.event_of(call.line()) == call


def test_scratch_folders_of_harnesses_that_are_gone_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name in (f"bakeoff-worker-{gone.pid}-x", f"bakeoff-worker-{os.getpid()}-x", "bakeoff-worker-x-y", "another"):
        (tmp_path / name / "home").mkdir(parents=True)
    sweep_scratch()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"bakeoff-worker-{os.getpid()}-x", "bakeoff-worker-x-y", "another"}
