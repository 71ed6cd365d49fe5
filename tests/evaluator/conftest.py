"""A framework that a test writes itself, and a harness that runs it against the scripted model."""

import contextlib
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import MakeFramework, OpenHarness, fake_folder
from registry import Registry, registry

from evaluator.catalog import releases
from evaluator.catalog.frameworks import Framework, read_framework
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.limiter import Limiter
from evaluator.harness.pool import Pool
from evaluator.harness.runner import Harness, harness
from evaluator.harness.watch import Watch
from evaluator.models import specs
from evaluator.providers import endpoints
from tasks.tool_calling.spec import ToolCallingCase


@pytest.fixture(autouse=True)
def _no_endpoints_of_the_developers_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have a `models.toml`."""
    monkeypatch.delenv(endpoints.FILE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def make_framework(tmp_path: Path) -> MakeFramework:
    """Writes a framework's folder; its environment is the harness's own. `modules` are task names and code."""

    def make(name: str = "fake", **modules: str) -> Framework:
        folder = fake_folder(tmp_path, name)
        for module, code in modules.items():
            (folder / f"{module}.py").write_text(textwrap.dedent(code))
        return read_framework(folder)

    return make


@pytest.fixture
def framework(make_framework: MakeFramework) -> Framework:
    """A framework's folder without modules."""
    return make_framework()


@pytest.fixture
def open_harness(tmp_path: Path) -> OpenHarness:
    """Opens a harness with the scripted model, or one at `base_url`; for `tool_calling` unless told otherwise."""

    @contextlib.asynccontextmanager
    async def opened(
        *task_names: str,
        model: str = "scripted",
        base_url: str | None = None,
        watch: Watch | None = None,
        limiter: Limiter | None = None,
        **limits: Any,
    ) -> AsyncIterator[Harness]:
        spec = specs.resolve(model, base_url, None)
        settings = Settings(model=spec, **{"timeout_s": 30.0, "jobs": 1, "logs": tmp_path / "logs", **limits})
        names = task_names or ["tool_calling"]
        async with (
            Pool(settings, names, print, watch) as pool,
            harness(settings, names, print, pool=pool, limiter=limiter) as made,
        ):
            yield made

    return opened


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry of one package; environments of releases are made below the test's folder."""
    monkeypatch.setattr(releases, "ENVIRONMENTS", tmp_path / "environments")
    made = registry(tmp_path)
    monkeypatch.setenv("UV", str(made.uv))
    return made


@pytest.fixture(scope="session")
def tool_calling() -> Task:
    return all_tasks()["tool_calling"]


@pytest.fixture
def job(tool_calling: Task) -> Callable[..., Job]:
    """One run of a case that needs no tool; `question` is what the implementation gets to see."""

    def make(framework: Framework, question: str = "Hello?", trial: int = 1, **changes: Any) -> Job:
        fields = {"id": "greeting", "kind": "no_call", "size": "quick", "answer": "Hello.", **changes}
        return Job(framework, tool_calling, ToolCallingCase(question=question, **fields), trial)

    return make
