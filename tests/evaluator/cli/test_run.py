"""`bakeoff run`: whose cases, which models, and how it ends."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from commands import CASES, ONE, PLANTED, TASK, Bakeoff, written
from factories import key, model_call, trace
from model_server import Answer, completion, serving
from rich.console import Console

from evaluator import ROOT
from evaluator.catalog import frameworks, suites
from evaluator.catalog.capabilities import all_capabilities
from evaluator.catalog.frameworks import BASELINE, read_framework
from evaluator.cli.options import console
from evaluator.harness import engine, plans
from evaluator.models import specs, weights
from evaluator.models.embedded import LocalModel
from evaluator.models.upstreams import Upstream
from evaluator.models.upstreams.scripted import ScriptedUpstream
from evaluator.providers.prices import price_list
from evaluator.suites import estimates, planning
from evaluator.trace import Key, Trace, read_traces, trace_path, write_trace


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


def test_the_users_own_cases_can_be_run(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "mine.jsonl", [json.dumps(case) for case in CASES])
    command = ("run", "-m", "scripted", "-f", "baseline", *TASK, "--cases", file, "--traces", "traces")
    said = bakeoff(*command)
    assert said.code == 0, said.err
    assert "\x1b" not in said.out
    traces = [trace for trace in read_traces(tmp_path / "traces") if isinstance(trace, Trace)]
    assert {trace.key.case: trace.outcome.answer for trace in traces} == {case["id"]: case["answer"] for case in CASES}
    monkeypatch.delattr(engine, "harness")  # nothing is started where every run is recorded
    again = bakeoff(*command)
    assert again.code == 0
    assert "2 of 2 runs are recorded already in traces; --rerun makes them again" in again.out
    assert [trace for trace in read_traces(tmp_path / "traces")] == traces
    said = bakeoff("score", "--traces", "traces", "--out", "scores")
    assert said.code == 0, said.err
    assert (tmp_path / "scores/scorecard.json").exists()


def test_a_gguf_file_is_a_model_by_its_name_and_content(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripted model answers in place of the engine, which would refuse this file."""
    run_here: list[LocalModel | None] = []

    @contextlib.asynccontextmanager
    async def running(spec: specs.ModelSpec, _: Console) -> AsyncIterator[Upstream]:
        run_here.append(spec.own)
        yield ScriptedUpstream()

    monkeypatch.setattr(specs, "running", running)
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    for folder in ("mine-and-secret", "moved"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Tiny-Q4.gguf").write_bytes(b"GGUF and weights")
    file = written(tmp_path / "mine.jsonl", [json.dumps(case) for case in CASES])
    command = ("run", "-f", "baseline", *TASK, "--cases", file, "--traces", "traces")
    said = bakeoff(*command, "-m", f"gguf:{tmp_path}/mine-and-secret/Tiny-Q4.gguf")
    assert said.code == 0, said.err
    (model,) = run_here
    assert model is not None and model.path == tmp_path / "mine-and-secret" / "Tiny-Q4.gguf"
    files = list((tmp_path / "traces" / model.name).rglob("*.json"))
    assert len(files) == len(CASES) and not any("mine-and-secret" in file.read_text() for file in files)
    again = bakeoff(*command, "-m", f"gguf:{tmp_path}/moved/Tiny-Q4.gguf")
    assert "2 of 2 runs are recorded already in traces" in again.out and len(run_here) == 1
    assert bakeoff("score", "--traces", "traces", "--out", "scores").code == 0
    scorecard = (tmp_path / "scores/SCORECARD.md").read_text()
    assert f"## Model {model.name}" in scorecard and "the chat template that is inside the file" in scorecard


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
    assert started == ["scripted", "local-0.5b"]
    traces = [trace for trace in read_traces(tmp_path / "traces") if isinstance(trace, Trace)]
    assert Counter(trace.key.model for trace in traces) == {"scripted": 2, "local-0.5b": 2}
    assert {trace.setup.model_digest for trace in traces} == {"digest of scripted", "digest of local-0.5b"}
    sittings = {(trace.key.model, trace.setup.sitting) for trace in traces}
    assert len(sittings) == len({sitting for _, sitting in sittings}) == 2 and None not in dict(sittings).values()

    trace_path(tmp_path / "traces", traces[0].key).unlink()
    again = bakeoff(*command)
    assert again.code == 0, again.err
    assert [line for line in again.out.splitlines() if "recorded already" in line] == [
        f"{model}: {1 if model == traces[0].key.model else 2} of 2 runs are recorded already in traces"
        + ("" if model == traces[0].key.model else "; --rerun makes them again")
        for model in ("scripted", "local-0.5b")
    ]
    assert started[2:] == [traces[0].key.model]
    after = [trace for trace in read_traces(tmp_path / "traces") if isinstance(trace, Trace)]
    assert len(after) == 4 and len({trace.setup.sitting for trace in after}) == 3


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


def test_what_a_killed_harness_left_goes_also_where_all_is_recorded(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("run", "-m", "scripted", "-f", "baseline", *TASK, "--cases", "mine.jsonl", "--traces", "traces")
    written(tmp_path / "mine.jsonl", [ONE])
    assert bakeoff(*command).code == 0
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    left, own = (tmp_path / f"bakeoff-worker-{pid}-x" for pid in (gone.pid, os.getpid()))
    left.mkdir()
    own.mkdir()
    said = bakeoff(*command)
    assert said.code == 0 and "recorded already" in said.out
    assert not left.exists() and own.exists()


def test_a_run_with_several_models_ends_with_the_table_of_models(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    case = {**CASES[1], "facts": ["welcome"]}
    file = written(tmp_path / "mine.jsonl", [json.dumps({**case, "id": f"case-{n}"}) for n in range(12)])

    def answer(number: int, headers: dict[str, str]) -> Answer:
        text = "You are welcome." if json.loads(server.bodies[number])["model"] == "large" else "Goodbye."
        return Answer(body=completion(text, usage={"prompt_tokens": 120, "completion_tokens": 7}))

    with serving(answer) as server:
        said = bakeoff(
            *("run", "-m", "ollama/large", "-m", "ollama/small", "--base-url", server.url, "-f", "baseline", *TASK),
            *("--cases", file, "--traces", "traces"),
        )
    assert (said.code, said.err) == (0, "")
    table, _, rest = said.out.partition("Models, on the same 12 cases")[2].partition("Between the runs of")
    large, small = (line for line in table.splitlines() if "ollama/" in line)
    assert "ollama/large" in large and " 12/12 100% [76–100] " in large and {"120", "7"} <= {*large.split()}
    assert "ollama/small" in small and " 0/12 " in small
    assert " ".join(rest.split()).startswith(
        "2 models × 1 framework × 12 cases, one trial of each, the model explains 100% [100–100]"
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_ends_with_the_scorecard_so_far_and_one_line(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "evaluator", "run", "-f", "baseline", "-m", "scripted", "-t", "handoff"]
    command += ["--cases", "full", "--trials", "5", "--traces", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background, the signal is ignored, and so it would be here.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        until = time.monotonic() + 300
        while len(list(tmp_path.rglob("*.json"))) < 2:  # so that the first round is whole
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code
    assert errors == "bakeoff: stopped; the same command goes on from here\n"
    assert "scripted · all tasks" in said and said.endswith("The same command adds more.\n")
    assert all(isinstance(trace, Trace) for trace in read_traces(tmp_path))


@pytest.fixture
def models_played(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were started, in order: the scripted one stands in for all."""
    started: list[str] = []

    @contextlib.asynccontextmanager
    async def running(spec: specs.ModelSpec, _: Console) -> AsyncIterator[Upstream]:
        started.append(spec.name)
        yield ScriptedUpstream()

    monkeypatch.setattr(specs, "running", running)
    monkeypatch.setattr(specs, "digest", lambda spec, *_, **__: f"digest of {spec.name}")
    return started


def recorded(folder: Path) -> Counter[str]:
    """How many runs of each model are recorded."""
    return Counter(trace.key.model for trace in read_traces(folder) if isinstance(trace, Trace))


def test_without_a_model_the_scripted_one_comes_first_then_the_embedded_one_within_a_budget(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_played: list[str]
) -> None:
    monkeypatch.setattr(planning, "BUDGET", "1s")
    monkeypatch.setattr(plans, "time", Mock(monotonic=Mock(side_effect=itertools.count(step=10))))  # a round takes 10 s
    command = ("run", "-f", "baseline", "-t", "handoff", "--traces", "traces")
    said = bakeoff(*command)
    assert (said.code, said.err) == (0, "")
    assert models_played == ["scripted", "local"]
    assert recorded(tmp_path / "traces") == {"scripted": 2, "local": 1}
    words = " ".join(said.out.rpartition("runs failed")[2].split())
    assert "local: 1 of " in words and "the budget of 1 s is spent: 10 s were used." in words
    assert words.endswith("The same command adds more.")
    assert said.out.index("scripted · 2 of 2 rounds, 2 cases") < said.out.index("local · 1 of ")

    again = bakeoff(*command)
    assert (again.code, models_played) == (0, ["scripted", "local", "local"])
    assert recorded(tmp_path / "traces") == {"scripted": 2, "local": 2}


def test_a_dry_run_says_what_would_be_run_and_does_nothing(
    bakeoff: Bakeoff, tmp_path: Path, models_played: list[str]
) -> None:
    file = written(tmp_path / "mine.jsonl", [json.dumps({**case, "level": 3 - n}) for n, case in enumerate(CASES)])
    command = ("run", "-m", "scripted", "-f", "baseline", *TASK, "--cases", file, "--traces", "traces")
    assert bakeoff(*command).code == 0
    trace_path(tmp_path / "traces", next(iter(read_traces(tmp_path / "traces"))).key).unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    said = bakeoff(*command, "--budget", "90s", "--dry-run")
    assert (said.code, said.err) == (0, "")
    rows = {" ".join(line.split()) for line in said.out.splitlines()}
    assert {"level 2 1 1 1 0 1", "level 3 1 1 1 1 0", "all 2 2 2 1 1"} <= rows
    assert "no new round once the rounds have taken 90 s" in said.out
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert models_played == ["scripted"]


def test_a_dry_run_says_what_it_would_take_and_what_by(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each recorded run has 1,000,000 prompt tokens and 100,000 completion tokens, at $0.25 and $2.00 a million."""
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    monkeypatch.setattr(console, "width", 80)
    file = written(tmp_path / "mine.jsonl", [json.dumps(case) for case in CASES])
    call = model_call(0.1, 0.2, 0.5, 0.6, input_tokens=1_000_000, output_tokens=100_000)
    for case in CASES:
        run = trace(key(case["id"], model="openai/gpt-5-mini"), model_calls=[call], wall_s=90.0)
        write_trace(tmp_path / "traces", run)
    command = ("run", "-m", "openai/gpt-5-mini", "-f", "baseline", *TASK, "--cases", file, "--traces", "traces")
    said = bakeoff(*command, "--trials", "2", "--dry-run", "--max-cost", "1.2", "--rerun")
    assert (said.code, said.err) == (0, "")
    rows = {" ".join(line.split()) for line in said.out.splitlines()}
    assert {
        "estimate for 4 runs about",
        "model calls 4",
        "prompt tokens 4,000,000",
        "completion tokens 400,000",
        "cost $1.8",
        "time 6 min",
        "from recorded runs: 4 by openai/gpt-5-mini in traces, same cases",
        f"cost: at the prices of {price_list()} for openai/gpt-5-mini",
        "time: by recorded seconds, 1 at a time",
        "--max-cost: about 2 of 4 rounds for $1.20",
    } <= rows
    assert all(len(line) <= 80 for line in said.out.splitlines())


def test_a_dry_run_of_capability_tasks_says_what_it_would_take(bakeoff: Bakeoff, tmp_path: Path) -> None:
    case = next(iter(all_capabilities()["memory"].cases))
    call = model_call(0.1, 0.2, 0.5, 0.6, input_tokens=5_000, output_tokens=300)
    run = trace(key(model="capabilities"), model_calls=[call, call], wall_s=3.0)
    run = run.model_copy(update={"key": Key(**{**dict(run.key), "task": "memory", "case": case.id})})
    write_trace(tmp_path / "traces", run)
    said = bakeoff("run", "-t", "memory", "-f", "baseline", "--dry-run", "--traces", "traces")
    assert (said.code, said.err) == (0, "")
    runs = len(all_capabilities()["memory"].cases)
    assert said.out.startswith(f"memory: {runs} runs, baseline\nestimate for {runs} runs ")
    assert "1 by capabilities in traces, same cases" in said.out
    assert not (tmp_path / "traces" / ".lock").exists()


def test_a_dry_run_imports_no_suite(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "WORK", tmp_path / "work")
    said = bakeoff("run", "-t", "bfcl", "--dry-run")
    assert (said.code, said.err) == (2, "bakeoff: bfcl is not imported: `bakeoff import bfcl`\n")
    assert not (tmp_path / "work").exists()


def test_what_is_not_known_is_not_made_up(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "ROOT", Path("nowhere"))
    said = bakeoff("run", "-m", "ollama/x", "-f", "baseline", *TASK, "--dry-run")
    assert said.code == 0
    assert "no estimate for 2 runs: baseline tool_calling" in said.out
    assert f"cost: not known, {price_list()} has no price for ollama/x" in said.out
    assert "model calls" not in said.out


def test_no_round_is_begun_that_would_cost_more_than_is_left_and_more_money_goes_on(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call takes 1,000,000 prompt tokens at $0.25 a million, and 10,000 completion tokens at $2.00."""
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    file = written(tmp_path / "mine.jsonl", [json.dumps({**CASES[1], "id": f"case-{n}"}) for n in range(4)])
    command = ("run", "-m", "openai/gpt-5-mini", "-f", "baseline", *TASK, "--cases", file, "--traces", "traces")
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 10_000}
    with serving(Answer(body=completion("You are welcome.", usage=usage))) as server:
        said = bakeoff(*command, "--base-url", server.url, "--max-cost", "0.80")
        assert (said.code, said.err, len(server.bodies)) == (0, "", 2)
        assert said.out.splitlines()[-1] == (
            "--max-cost: no new round was begun: $0.54 of $0.80 were spent, and the next round is expected to cost "
            "$0.27. The same command with more goes on."
        )
        assert "openai/gpt-5-mini: 2 of 4 rounds" in said.out
        said = bakeoff(*command, "--base-url", server.url, "--max-cost", "0.90")
        assert (said.code, said.err, len(server.bodies)) == (0, "", 4)
        assert said.out.splitlines()[-1] == "--max-cost: $0.54 of $0.90 were spent."


def test_a_dry_run_fetches_no_weights(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BAKEOFF_LOCAL_GGUF", raising=False)
    monkeypatch.setattr(weights, "fetch", Mock(side_effect=AssertionError("fetched")))
    said = bakeoff("run", "--dry-run", "-f", "baseline", "--traces", "traces")
    assert (said.code, said.err) == (0, "")
    assert said.out.index("scripted") < said.out.index("local") < said.out.index("budget: no new round")
    assert not list(tmp_path.rglob("*.gguf")) and not (tmp_path / "traces").exists()


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
