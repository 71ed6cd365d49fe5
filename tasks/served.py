"""A suite's own package, asked across a pipe: it lives in an environment of its own, as frameworks do.

`tasks/<suite>/inside.py` runs there, and answers with `serve`; harness and workers ask with `Served`. A question and
its answer are a line of JSON each. Both ends need the standard library only.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class SuiteError(Exception):
    """The suite's package could not be asked, or failed. The message is for people."""


def python_of(suite: str) -> Path:
    """The interpreter of the suite's environment. It may not be there."""
    return ROOT / "tasks" / suite / ".venv" / "bin" / "python"


class SuiteGoneError(SuiteError):
    """The suite's process is no more, whatever it was asked."""


class Served:
    """A process inside a suite's environment. It ends with this one. May be asked from any thread, one at a time."""

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._lock = threading.Lock()
        try:
            self._process = subprocess.Popen(
                [python_of(suite), "-m", f"tasks.{suite}.inside"],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            raise SuiteError(f"{suite}: {error.strerror}: `bakeoff import {suite}` installs it") from None
        atexit.register(self.close)

    def ask(self, what: str, **given: Any) -> Any:
        """What the suite answers. Raises `SuiteError`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._lock:
            try:
                self._process.stdin.write(json.dumps({"ask": what, "given": given}) + "\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
            except (OSError, ValueError) as error:
                raise SuiteGoneError(f"{self._suite}: its process cannot be asked: {error}") from None
        if not line:
            raise SuiteGoneError(f"{self._suite}: its process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise SuiteError(f"{self._suite}: {what}: {answer['error']}")
        return answer["answer"]

    def close(self) -> None:
        """End the process."""
        atexit.unregister(self.close)
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not read by it any more
                    stream.close()
        self._process.wait()


_STARTING = threading.Lock()


def served(suite: str) -> Served:
    """The one process of this suite that this process asks, however many threads ask first at once."""
    with _STARTING:
        return _served(suite)


@cache
def _served(suite: str) -> Served:
    return Served(suite)


def serve(answers: Mapping[str, Callable[..., Any]]) -> None:
    """Answer questions from standard input on standard output until there are no more; what is printed is moved away.

    What fails is answered with the error; the process goes on.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said = {"answer": answers[asked["ask"]](**asked["given"])}
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(said) + "\n")
        out.flush()
