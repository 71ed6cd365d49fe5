"""A node writes what it has made, once; what was under way when it was closed is nobody's result."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from factories import key, trace
from rich.console import Console

from evaluator.cluster import node as module
from evaluator.cluster.node import Node, Opening
from evaluator.harness.jobs import Job, Settings
from evaluator.harness.records import Records
from evaluator.models import specs
from evaluator.stores import store_at
from evaluator.trace import Key, Trace, content_digest, content_of

SITTING = "5" * 16


class Harness:
    """Ends each run when it is told to, or when it is brought down, with an error then, as stopped workers do."""

    def __init__(self) -> None:
        self.records = self
        self.goes_on = asyncio.Event()
        self.is_down = False
        self.made = 0

    def key(self, job: Job) -> Key:
        return key()

    async def run(self, job: Job) -> Trace:
        self.made += 1
        await self.goes_on.wait()
        return trace(ended="error" if self.is_down else "answered", sitting=SITTING)


class Asked:
    """A run as it comes to a node."""

    framework = "baseline"

    def __init__(self, again: bool = False) -> None:
        self.again = again

    def job(self, model: str) -> Any:
        return None


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Node, Harness, Path]]:
    made = Harness()

    @contextlib.asynccontextmanager
    async def harness(settings: Settings, modules: Any, console: Console, **_: Records) -> AsyncIterator[Harness]:
        yield made
        made.is_down = True
        made.goes_on.set()

    monkeypatch.setattr(module, "harness", harness)
    node = Node()
    settings = Settings(specs.resolve("scripted", None, None), timeout_s=30, jobs=1)
    assert await node.open(Opening(settings, (), "0" * 16, SITTING, str(tmp_path), None, "n"), None, None) is None
    yield node, made, tmp_path
    await node.close()


def written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.json") if not path.name.startswith(".")]


async def test_what_was_under_way_when_a_node_was_closed_is_not_written(opened: tuple[Node, Harness, Path]) -> None:
    node, harness, folder = opened
    running = [asyncio.create_task(node.run(Asked())) for _ in range(2)]  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    await node.close()
    results = await asyncio.gather(*running)
    assert [result.made for result in results] == [None, None]
    assert all(result.not_made for result in results)
    assert (harness.made, written(folder)) == (1, [])
    assert (await node.run(Asked())).not_made  # type: ignore[arg-type]


async def test_a_run_that_another_node_has_written_is_not_made_again(opened: tuple[Node, Harness, Path]) -> None:
    node, harness, folder = opened
    harness.goes_on.set()
    first = await node.run(Asked())  # type: ignore[arg-type]
    [path] = written(folder)
    before = path.read_bytes()
    again = await node.run(Asked(again=True))  # type: ignore[arg-type]
    assert (again, harness.made, path.read_bytes()) == (first, 1, before)


async def test_of_two_that_made_the_same_run_the_second_gives_way(opened: tuple[Node, Harness, Path]) -> None:
    node, harness, folder = opened
    harness.goes_on.set()
    other = trace(answer="what the other has made", sitting=SITTING)
    assert store_at(str(folder)).write(other)
    result = await node.run(Asked())  # type: ignore[arg-type]
    assert result.made is not None and result.digest == content_digest(content_of(other))
    [path] = written(folder)
    assert b"what the other has made" in path.read_bytes()
