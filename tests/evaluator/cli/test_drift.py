"""`bakeoff drift`: what other packages send, beside recorded runs and beside a release."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import TASK, Bakeoff
from fakes import fake_folder

from evaluator.catalog import frameworks
from evaluator.catalog.frameworks import Framework, read_framework
from evaluator.catalog.releases import Release, at_release
from evaluator.harness import engine, releases
from evaluator.suites import drifting
from evaluator.trace import read_traces

AGENT = """
import asyncio, json, os, urllib.request
from pydantic import TypeAdapter, validate_call


def post(model, body):
    data = json.dumps({"model": model.name, "temperature": model.temperature, **body}).encode()
    request = urllib.request.Request(f"{model.base_url}/chat/completions", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["choices"][0]["message"]


async def run(brief, model):
    tools = {tool.__name__: tool for tool in brief.tools}
    offered = [
        {"type": "function", "function": {"name": name, "parameters": TypeAdapter(tool).json_schema()}}
        for name, tool in tools.items()
    ]
    messages = [{"role": "system", "content": brief.instructions}, {"role": "user", "content": brief.question}]
    while True:
        message = await asyncio.to_thread(post, model, {"messages": messages, "tools": offered})
        if not message.get("tool_calls"):
            return message["content"]
        messages.append(message)
        for call in message["tool_calls"]:
            function = call["function"]
            result = validate_call(tools[function["name"]])(**json.loads(function["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result, default=str)})
"""
LOUDER = AGENT.replace("brief.instructions", 'brief.instructions + "\\n\\nHurry."')
BROKEN = f"import a_module_that_went_away\n{AGENT}"

DRIFT = ("drift", "-f", "fake", *TASK, "--cases", "quick", "--traces", "traces")


@pytest.fixture
def write(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes the module of a framework, of which runs of the quick cases are recorded with the plain agent."""
    folder = fake_folder(tmp_path, "fake")
    module = folder / "tool_calling.py"
    module.write_text(AGENT)

    async def nothing(frameworks: Iterable[Framework], *_: object) -> None:
        assert frameworks

    monkeypatch.setattr(engine, "provision_all", nothing)
    monkeypatch.setattr(drifting, "FOLDER", tmp_path / "drift")
    monkeypatch.setattr(frameworks, "all_frameworks", lambda: {"fake": read_framework(folder)})
    said = bakeoff("run", "-f", "fake", "-m", "scripted", *TASK, "--cases", "quick", "--traces", "traces")
    assert said.code == 0, said.err

    def write(code: str) -> None:
        module.write_text(code)

    return write


def test_what_the_lock_sends_beside_the_recorded_runs(
    bakeoff: Bakeoff, write: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = bakeoff(*DRIFT)
    assert (said.code, said.err) == (0, "")
    assert "**Fake 1.2.3, the same packages**: sends the same, " in said.out
    assert "fake: its lock is the one that these runs were recorded with" in said.out

    write(LOUDER)
    said = bakeoff(*DRIFT, "--markdown", "drift.md")
    assert (said.code, said.err) == (0, "")
    assert "- **system text**: 2 lines added, in all 2 runs, +" in said.out and "\n+Hurry.\n" in said.out
    assert "the module tool_calling has changed" in said.out
    words = (tmp_path / "drift.md").read_text()
    assert words.startswith("**Fake 1.2.3") and words.endswith("+Hurry.\n```\n") and said.out == words

    monkeypatch.delattr(engine, "harness")  # what is made already is not made again
    said = bakeoff(*DRIFT, "--markdown", "-")
    assert (said.code, said.out) == (0, words)
    assert "2 of 2 runs are recorded already" in said.err
    [data] = json.loads(bakeoff(*DRIFT, "--json").out)
    assert (data["framework"], data["runs"]) == ("fake", {"tool_calling": 2})
    assert data["changes"][0]["what"] == "2 lines added"


def test_runs_that_passed_and_no_longer_do(bakeoff: Bakeoff, write: Callable[[str], None]) -> None:
    write(BROKEN)
    said = bakeoff(*DRIFT)
    assert (said.code, said.err) == (1, "")
    assert "2 runs no longer passed." in said.out
    [line] = [line for line in said.out.splitlines() if line.startswith("- **outcome**: no longer passed")]
    assert "a_module_that_went_away" in line


def test_from_a_release_to_the_lock_and_to_another_release(
    bakeoff: Bakeoff, write: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(framework: Framework, release: Release) -> Framework:
        environment = fake_folder(tmp_path / str(release), framework.name)
        lock = '[[package]]\nname = "fake"\nversion = "1.0"\nsource = { registry = "x" }\n'
        (environment / "uv.lock").write_text(lock)
        return replace(at_release(framework, release), environment=environment)

    monkeypatch.setattr(releases, "locked", locked)
    said = bakeoff(*DRIFT, "--since", "1.0")
    assert (said.code, said.err) == (0, "")
    assert "**Fake 1.0 → 1.2.3**: sends the same, " in said.out
    assert "Packages: fake 1.0 → none." in said.out
    made = {trace.key.framework for trace in read_traces(tmp_path / "drift")}  # type: ignore[union-attr]
    assert made == {"fake", "fake@1.0"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("-f", "none"), "there is no framework 'none'; there are fake"),
        (("-f", "fake", "--since", "soon"), "@soon: is neither a version such as 1.12.0 nor a day such as 2026-03-01"),
        (("-f", "fake", "--since", "code-2026-11"), "fake/@2026-11: no modules are kept of that month"),
        (("-f", "fake", *TASK, "--cases", "full", "--traces", "none"), "--traces none: there is no such folder"),
        (("-f", "fake", "-t", "rag_qa", "--traces", "traces"), "traces/scripted/fake: has no recorded run of what"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    bakeoff: Bakeoff, write: Callable[[str], None], arguments: tuple[str, ...], line: str
) -> None:
    said = bakeoff("drift", *arguments)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert line in said.err
