"""No command writes the key of a model's server anywhere."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import CASES, PLANTED, TASK, Bakeoff, written
from model_server import Answer, completion, serving
from sites import runs_on

from evaluator import WORK
from evaluator.catalog import frameworks
from evaluator.catalog.frameworks import Framework
from evaluator.harness import engine
from evaluator.trace import Trace, read_traces

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
            return Answer(422, {"error": {"message": f"wrong key: {key}"}}, shown)


def test_no_planted_key_is_written_anywhere(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_framework: Callable[..., Framework]
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, PLANTED)
    framework = make_framework("planted", tool_calling=SHOWS)
    monkeypatch.setattr(frameworks, "all_frameworks", lambda: {"planted": framework})
    modules = ("export.runs", "export.run_table", "scorecard.build", "site.build")
    for module in (f"evaluator.{name}" for name in modules):
        monkeypatch.setattr(importlib.import_module(module), "framework_folders", lambda *_: [framework.folder])

    async def provided(*_: object) -> None:
        """The environment is there."""

    monkeypatch.setattr(engine, "provision_all", provided)
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
    assert [call.status for call in trace.model_calls] == [200, 200, 422]
    assert str(trace.outcome.error).startswith(
        "the model's server answered 422 (request refused, Retry-After: Bearer ***): wrong key: Bearer ***; "
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
    log = max((WORK / "logs").rglob("planted.log"), key=lambda path: path.stat().st_mtime)
    files = [log, *(path for path in tmp_path.rglob("*") if path.is_file())]
    written_from_the_trace = [tmp_path / name for name in ("scores/scorecard.failures.json", "spans.jsonl", "runs.csv")]
    assert all(b"Bearer ***" in path.read_bytes() for path in (log, *written_from_the_trace))
    unpacked = [json.dumps(runs_on(page)).encode() for page in (tmp_path / "site").rglob("*.html")]
    assert any(b"Bearer ***" in content for content in unpacked)
    for content in [*(output.encode() for output in outputs), *(path.read_bytes() for path in files), *unpacked]:
        assert b"planted-7f3a" not in content
