"""A framework that a test writes itself: what its folder holds, and the fixtures that make and run it."""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from evaluator.catalog.frameworks import Framework
from evaluator.harness.runner import Harness

MakeFramework = Callable[..., Framework]
OpenHarness = Callable[..., AbstractAsyncContextManager[Harness]]

PYPROJECT = """\
[project]
name = "bakeoff-fake"
version = "0"
[tool.bakeoff]
title = "Fake"
homepage = "https://example.org"
package = "fake"
"""
LOCK = '[[package]]\nname = "fake"\nversion = "1.2.3"\n'


def fake_folder(root: Path, name: str, python: Path | str = sys.executable) -> Path:
    """The folder of a framework below `root`, without modules, whose environment is an interpreter that there is."""
    folder = root / "implementations" / name
    link = folder / ".venv" / "bin" / "python"
    link.parent.mkdir(parents=True)
    link.write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    link.chmod(0o755)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "uv.lock").write_text(LOCK)
    return folder


ASK = """
import json
import urllib.request


def ask(model, messages=({"role": "user", "content": "Hi"},), **fields):
    body = json.dumps({"model": model.name, "messages": messages, **fields}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{model.base_url}/chat/completions", body, headers)) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]

"""
"""What an implementation that calls the model itself begins with."""
