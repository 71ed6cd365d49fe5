"""`bakeoff doctor`: this machine, and a model."""

import asyncio
import contextlib
import json
import platform
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from commands import Bakeoff
from doubles import DOUBLES, NAME, served

from evaluator.catalog import frameworks
from evaluator.catalog.frameworks import BASELINE


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
