"""The names of models that providers of many have, with slashes in them, arrive as they are from every framework."""

from dataclasses import replace
from typing import Any

import pytest
from doubles import GOOD, served
from rich.console import Console

from evaluator.catalog.frameworks import Framework, all_frameworks
from evaluator.catalog.tasks import all_tasks
from evaluator.harness.environments import provision
from evaluator.harness.jobs import Job
from evaluator.harness.runner import harness
from evaluator.models import specs
from evaluator.pytest_plugin import marks_of
from evaluator.trace import Trace
from tasks.cases import of_size

TASK = all_tasks()["tool_calling"]


@pytest.mark.parametrize(
    "framework",
    [pytest.param(one, marks=marks_of(one, TASK.name), id=name) for name, one in all_frameworks().items()],
)
@pytest.mark.parametrize("name", ["openai/gpt-oss-20b", "anthropic/claude-sonnet-4.5"])  # some read the first part
def test_a_name_with_a_slash_arrives_as_it_is(
    framework: Framework, name: str, shared_workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "a-key-of-openrouter")
    asked: list[Any] = []
    double = replace(
        GOOD,
        refuses=lambda request: asked.append(request["model"]),
        says=lambda request: {"role": "assistant", "content": "ready"},
    )

    async def made() -> Trace:
        await provision(framework, shared_workers.say)
        async with served(double) as url:
            settings = replace(shared_workers.settings, model=specs.resolve(f"openrouter/{name}", url, None))
            opened = harness(settings, [TASK.name], Console(stderr=True), pool=shared_workers.pool)
            async with opened as up:
                return await up.run(Job(framework, TASK, of_size(TASK.load(), "quick")[0], 1))

    trace = shared_workers.background.run(made())
    assert trace.outcome.ended == "answered", trace.outcome.error
    assert asked and set(asked) == {name}
