import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks import served
from tasks.served import Served, SuiteError

INSIDE = """
import os
from tasks.served import serve

def shout(text):
    print("a line that is no answer")
    os.write(1, b"another")
    return text.upper()

def fail():
    raise KeyError("what was asked for")

serve({"shout": shout, "fail": fail, "die": lambda: os._exit(3)})
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A suite whose environment is this one."""
    (tmp_path / "tasks" / "loud").mkdir(parents=True)
    (tmp_path / "tasks" / "__init__.py").touch()
    shutil.copy(served.__file__, tmp_path / "tasks" / "served.py")
    (tmp_path / "tasks" / "loud" / "inside.py").write_text(INSIDE)
    monkeypatch.setattr(served, "ROOT", tmp_path)
    monkeypatch.setattr(served, "python_of", lambda name: sys.executable)
    one = Served("loud")
    yield one
    one.close()


def test_it_answers_and_what_it_prints_is_no_answer(suite: Served) -> None:
    assert suite.ask("shout", text="größe\n") == "GRÖSSE\n"
    assert suite.ask("shout", text="b") == "B"


def test_what_fails_is_said_and_the_next_question_is_answered(suite: Served) -> None:
    with pytest.raises(SuiteError, match="loud: fail: KeyError: 'what was asked for'"):
        suite.ask("fail")
    assert suite.ask("shout", text="c") == "C"


def test_a_process_that_ends_is_said(suite: Served) -> None:
    with pytest.raises(SuiteError, match="loud: its process ended"):
        suite.ask("die")
    with pytest.raises(SuiteError):
        suite.ask("shout", text="d")


def test_where_the_environment_is_not_there_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SuiteError, match="bakeoff import absent"):
        Served("absent")


def test_threads_that_ask_first_at_once_ask_the_same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []

    class Slow:
        def __init__(self, suite: str) -> None:
            time.sleep(0.05)
            started.append(self)

    monkeypatch.setattr(served, "Served", Slow)
    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(served.served, ["slow"] * 4))
    assert len(started) == 1 and {*asked} == {*started}
