import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import psutil
import pytest
from processes import gone
from rich.console import Console

from evaluator.errors import Failure
from evaluator.models import specs, weights
from evaluator.models.embedded import EMBEDDED, LocalModel, Settings, embedded_digest, engine_version, model_digest
from evaluator.models.local import LocalServer, local_model
from evaluator.models.template import TEMPLATE

CHILD = "from evaluator.models.local import die_with_parent; die_with_parent(); import time; time.sleep(60)"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE)
print(child.pid, flush=True)
time.sleep(60)
"""
HEALTHY_STUB = """
import http.server, os
from evaluator.models.local import die_with_parent
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
die_with_parent()
server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path))
    return tmp_path


def stub_server(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> LocalServer:
    monkeypatch.setattr(LocalServer, "_command", lambda _: [sys.executable, "-c", script])
    model = LocalModel("local", folder / "model.gguf", "0" * 64, None)
    return LocalServer(model, log=folder / "model.log", console=Console(file=io.StringIO()))


def test_the_child_dies_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        time.sleep(1)
        assert psutil.pid_exists(child)
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(child, within_s=10)


def test_the_child_ends_when_its_standard_input_closes() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE) as child:
        assert child.stdin
        child.stdin.close()
        assert child.wait(60) == 0


async def test_started_healthy_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stub_server(HEALTHY_STUB, tmp_path, monkeypatch) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert server.base_url.endswith("/v1")
        assert await server.healthy()
        assert server._process
        pid = server._process.pid
    assert gone(pid, within_s=10)
    assert server.base_url == ""
    assert not await server.healthy()
    await server.stop()


async def test_a_server_that_was_killed_is_not_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stub_server(HEALTHY_STUB, tmp_path, monkeypatch) as server:
        assert server._process
        server._process.kill()
        await server._process.wait()
        assert not await server.healthy()


async def test_a_failed_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = stub_server("import sys; sys.exit('no such tensor')", tmp_path, monkeypatch)
    with pytest.raises(Failure, match=r"did not start: no such tensor \(log: .*model.log\)"):
        await server.__aenter__()


async def test_a_start_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.models.local._START_TIMEOUT_S", 0.2)
    monkeypatch.setattr("evaluator.models.local._STOP_TIMEOUT_S", 0.2)
    server = stub_server("import time; time.sleep(60)", tmp_path, monkeypatch)
    with pytest.raises(Failure, match="did not start within"):
        await server.__aenter__()
    assert server._process is None


async def test_weights_that_are_none_are_refused_by_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF and nothing behind it")
    model = LocalModel("local", path, "0" * 64, None)
    server = LocalServer(model, log=tmp_path / "log", console=Console(file=io.StringIO()))
    with pytest.raises(Failure, match="did not start"):
        await server.__aenter__()


def test_a_users_own_weights(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = cache / "own.gguf"
    monkeypatch.setenv("BAKEOFF_LOCAL_GGUF", str(own))
    with pytest.raises(Failure, match=r"BAKEOFF_LOCAL_GGUF: cannot read .*own.gguf"):
        local_model()
    own.write_bytes(b"<html>")
    with pytest.raises(Failure, match="is not a GGUF file"):
        local_model()
    own.write_bytes(b"GGUF...")
    model = local_model()
    assert (model.name, model.path, model.template, len(model.sha256)) == ("local", own, None, 64)


def test_a_users_own_weights_are_those_of_local_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_LOCAL_GGUF", str(cache / "own.gguf"))
    monkeypatch.setattr(weights, "fetch", lambda file, _: file.path)
    half_b = EMBEDDED["local-0.5b"].weights
    assert local_model("local-0.5b") == LocalModel("local-0.5b", cache / half_b.name, half_b.sha256, TEMPLATE)


def test_each_embedded_model_answers_to_its_own_name_and_logs_by_itself(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "fetch", lambda file, _: file.path)
    servers = [LocalServer(local_model(name)) for name in EMBEDDED]
    commands = [server._command() for server in servers]
    assert [command[command.index("--name") + 1] for command in commands] == ["local", "local-0.5b"]
    assert [server.log for server in servers] == [cache / "local.log", cache / "local-0.5b.log"]


def test_the_digest_of_an_embedded_model_is_the_one_that_runs_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "fetch", lambda file, _: file.path)
    monkeypatch.delenv("BAKEOFF_LOCAL_GGUF", raising=False)
    recorded = [specs.digest(specs.resolve(name, None, None), Console(file=io.StringIO())) for name in EMBEDDED]
    assert recorded == [embedded_digest(name) for name in EMBEDDED] and len(set(recorded)) == len(EMBEDDED)


def test_the_digest_covers_what_decides_the_answers(tmp_path: Path) -> None:
    model, settings = LocalModel("local", tmp_path / "a", "0" * 64, TEMPLATE), Settings()
    digest = model_digest(model, settings)
    template = tmp_path / "template"
    template.write_bytes(TEMPLATE.read_bytes())
    assert (
        model_digest(replace(model, name="b", path=tmp_path / "b", template=template), Settings(threads=64)) == digest
    )
    template.write_text("other")
    others = {
        model_digest(replace(model, sha256="1" * 64), settings),
        model_digest(replace(model, template=None), settings),
        model_digest(replace(model, template=template), settings),
        model_digest(model, Settings(flash_attention=True)),
    }
    assert len(others | {digest}) == 5
    assert engine_version().startswith("xllamacpp 20")


@pytest.mark.live
@pytest.mark.parametrize("name", EMBEDDED)
async def test_the_real_model_calls_tools_and_counts_its_cache(name: str) -> None:
    parameters = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
    tool = {"name": "look_up_order", "description": "Looks up an order.", "parameters": parameters}
    body = {
        "messages": [{"role": "user", "content": "Look up order X-12, please."}],
        "tools": [{"type": "function", "function": tool}],
        "temperature": 0,
    }
    async with LocalServer(local_model(name)) as server, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(f"{server.base_url}/chat/completions", json=body) as response:
                answer = await response.json()
            (call,) = answer["choices"][0]["message"]["tool_calls"]
            assert call["function"]["name"] == "look_up_order"
            assert "X-12" in call["function"]["arguments"]
        assert answer["model"] == name
        usage = answer["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] == usage["prompt_tokens"] - 1
        assert server._process
        pid = server._process.pid
    assert await asyncio.to_thread(gone, pid, 10)
