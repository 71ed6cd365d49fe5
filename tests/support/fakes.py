"""A framework that a test writes itself: what its folder holds, and the fixtures that make and run it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

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
