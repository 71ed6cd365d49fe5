"""Releases: their packages are locked once, as of the right day, and the index says which there are."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from datetime import date
from typing import ClassVar

import pytest
from fakes import LOCK, PYPROJECT, MakeFramework
from registry import Registry

from evaluator.catalog import releases
from evaluator.catalog.frameworks import Framework
from evaluator.catalog.releases import read_release
from evaluator.errors import Failure, Mistake
from evaluator.harness.releases import Published, locked, published


@pytest.fixture
def fake(make_framework: MakeFramework) -> Framework:
    framework = make_framework(tool_calling="")
    text = '[project]\ndependencies = ["fake>=2"]\n' + PYPROJECT.partition('version = "0"\n')[2]
    (framework.folder / "pyproject.toml").write_text(text)
    return framework


async def test_a_day_has_what_there_was_by_its_end(fake: Framework, index: Registry) -> None:
    assert (await locked(fake, read_release("2026-03-01"))).version == "1.1.0"
    assert (await locked(fake, read_release("2026-03-05"))).version == "2.0.0"
    calls = list(index.calls)
    assert calls[0].startswith("fake@2026-03-01 lock ") and calls[0].endswith("--exclude-newer 2026-03-01")
    assert (await locked(fake, read_release("2026-03-01"))).version == "1.1.0"
    assert index.calls == calls  # it is locked already


async def test_a_version_has_the_other_packages_of_the_day_after(fake: Framework, index: Registry) -> None:
    assert (await locked(fake, read_release("1.1.0"))).version == "1.1.0"
    assert [call.partition("--exclude-newer ")[2] for call in index.calls] == ["", "2026-02-21"]


async def test_what_one_asks_for_before_a_day_is_over_is_locked_again_when_it_is(
    fake: Framework, index: Registry
) -> None:
    framework = await locked(fake, read_release("2026-03-01"))
    morning = 1772352000  # of that day
    os.utime(framework.environment / "uv.lock", (morning, morning))
    await locked(fake, read_release("2026-03-01"))
    assert len(index.calls) == 2


async def test_where_nothing_fits_uv_says_why(fake: Framework, index: Registry) -> None:
    why = "uv lock failed: No solution found when resolving dependencies: Because there are no versions of fake"
    with pytest.raises(Mistake, match=why):
        await locked(fake, read_release("2025-12-01"))
    assert not (releases.ENVIRONMENTS / "fake@2025-12-01" / "uv.lock").exists()


class _Index(http.server.BaseHTTPRequestHandler):
    files: ClassVar[list[dict[str, object]]] = []

    def do_GET(self) -> None:
        if self.path != "/simple/fake/" or "application/vnd.pypi.simple.v1+json" not in self.headers["Accept"]:
            self.send_error(404)
            return
        body = json.dumps({"files": self.files}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()


async def test_the_index_says_which_releases_there_are(
    fake: Framework, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fake.folder / "uv.lock"
    lock.write_text(f'{LOCK}source = {{ registry = "{served}" }}\n')

    def file(name: str, day: str, **more: object) -> dict[str, object]:
        return {"filename": name, "upload-time": f"{day}T10:00:00Z", **more}

    monkeypatch.setattr(
        _Index,
        "files",
        [
            file("fake-1.10.0-py3-none-any.whl", "2026-03-02"),
            file("fake-1.10.0.tar.gz", "2026-03-01"),
            file("fake-1.9.0.tar.gz", "2026-02-01"),
            file("fake-2.0.0rc1.tar.gz", "2026-03-03"),
            file("fake-1.9.1.tar.gz", "2026-02-02", yanked="broken"),
            file("fake.txt", "2026-02-03"),
        ],
    )
    assert await published(fake) == [Published("1.9.0", date(2026, 2, 1)), Published("1.10.0", date(2026, 3, 1))]
    lock.write_text(LOCK.replace("fake", "other"))
    with pytest.raises(Failure, match="does not say which index fake is from"):
        await published(fake)
    lock.write_text(f'{LOCK}source = {{ registry = "{served}/nowhere" }}\n')
    with pytest.raises(Failure, match="does not say which releases there are: HTTP Error 404"):
        await published(fake)
