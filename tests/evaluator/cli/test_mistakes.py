"""Mistakes are one line that says what and where; each command has help; it is a module, too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ONE, TASK, Bakeoff, written

from evaluator import ROOT
from evaluator.catalog.suites import all_suites
from evaluator.catalog.tasks import all_tasks
from evaluator.providers.prices import price_list

COMMANDS = (
    "run",
    "score",
    "report",
    "compare",
    "parity",
    "faults",
    "capabilities",
    "export",
    "doctor",
    "list",
    "bench",
)


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
        (("run", "-m", "../x"), "bakeoff: --model '../x' is unknown: use 'local'"),
        (("run", "-m", "gguf:no.gguf"), "bakeoff: --model 'gguf:no.gguf': cannot read no.gguf (No such file"),
        (("doctor", "-m", "gguf:mine.jsonl"), "bakeoff: --model 'gguf:mine.jsonl': mine.jsonl is not a GGUF file"),
        (("run", "-m", "hf:mine.gguf"), "bakeoff: --model 'hf:mine.gguf': write hf:REPO/FILE, such as hf:OWNER/"),
        (("run", "-m", "local", "--base-url", "http://127.0.0.1:9/v1"), "bakeoff: --model 'local' is built in: "),
        (
            ("run", "-m", "x", "-m", "y", "-m", "x", "--base-url", "http://127.0.0.1:9"),
            "bakeoff: --base-url is for one server; these models are not of one endpoint: x, y",
        ),
        (
            ("run", "-m", "local", "-m", "y", "--key-variable", "HOME"),
            "bakeoff: --key-variable is for one server; these models are not of one endpoint: local, y",
        ),
        (("run", "-t", "approval", "--cases", "full"), "bakeoff: --cases is not for capability tasks, of which every"),
        (("run", "-t", "approval,handoff"), "bakeoff: -t approval,handoff: capability tasks are run apart from others"),
        (("run", "-m", "capabilities", "-m", "local"), "bakeoff: runs of capability tasks are made against one model"),
        (
            ("run", "-m", "capabilities", "-t", "handoff"),
            "bakeoff: there is no capability 'handoff'; there are approval",
        ),
        (("run", "-t", "bfcl,handoff"), "bakeoff: -t bfcl,handoff: outside suites are run apart from others"),
        (("run", "-t", "bfcl", "--faults", "reset"), "bakeoff: --faults is not for outside suites; leave it out"),
        (("run", "-t", "bfcl", "--budget", "10"), "bakeoff: --budget '10': must be a time such as 90s, 10m or 1h"),
        (("run", "-t", "bfcl", "--cases", "standard"), "bakeoff: --cases 'standard': of outside suites a number of"),
        (
            ("run", "-m", "scripted", "-m", "local", "--rpm", "60"),
            "bakeoff: --rpm, --tpm and --concurrency are for models of an endpoint, or with --base-url, and not for "
            "-m scripted -m local: --jobs says",
        ),
        (("run", "-t", "bfcl", "--concurrency", "2"), "bakeoff: --rpm, --tpm and --concurrency are for models of an"),
        (("run", "-t", "approval", "--tpm", "9"), "bakeoff: limits of a server are not for capability tasks: what"),
        (("run", "-m", "obeying"), "bakeoff: -m obeying is for outside suites: it obeys what a tool's result tells it"),
        (("import", "nope"), f"bakeoff: there is no suite 'nope'; there are {', '.join(all_suites())}"),
        (("capabilities", "--traces", "."), "bakeoff: capabilities: has no runs of what was asked for; make them with"),
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
        (("run", "--budget", "10"), "bakeoff: --budget '10': must be a time such as 90s, 10m or 1h, or none"),
        (("run", "--budget", "0m"), "bakeoff: --budget '0m': must be a time such as 90s, 10m or 1h, or none"),
        (("run", "-m", "probes", "--budget", "1m"), "bakeoff: --budget is not for --rerecord, -m probes, -m faults "),
        (("run", "--max-cost", "5"), "bakeoff: --max-cost: no server is asked for local, so it costs nothing; leave"),
        (("run", "-m", "faults", "--max-cost", "5"), "bakeoff: --max-cost: no server is asked for faults, so it costs"),
        (("run", "-t", "bfcl", "--max-cost", "5"), "bakeoff: --max-cost: no server is asked for scripted, so it costs"),
        (
            ("run", "-m", "ollama/x", "--max-cost", "5"),
            f"bakeoff: --max-cost: {price_list()} has no price for ollama/x",
        ),
        (("run", "-t", "memory", "-m", "ollama/x", "--max-cost", "5"), "bakeoff: --max-cost is not for capability tas"),
        (
            ("run", "--rerecord", "-m", "ollama/x", "--max-cost", "5"),
            "bakeoff: --max-cost is not for --rerecord, which",
        ),
        (
            ("run", "-m", "scripted", "--faults", "reset"),
            "bakeoff: --faults and --seed are for -m faults and outside suites, and not for ",
        ),
        (
            ("run", "-m", "faults", "--faults", "x"),
            "bakeoff: --faults 'x': there is no such fault; there are broken_json,",
        ),
        (
            ("faults", "--traces", "."),
            "bakeoff: faults: has no runs of what was asked for; make them with `bakeoff run ",
        ),
        (("run", "--rerecord", "--dry-run"), "bakeoff: --rerecord is for one model, for none that is probing"),
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


def test_it_runs_from_anywhere_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evaluator", "run", "-f", "nope"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
