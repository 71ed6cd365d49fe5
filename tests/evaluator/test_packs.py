"""Many runs in few files: nothing is lost, and what cannot be read is said."""

import lzma
from pathlib import Path

import pytest

from evaluator import packs
from evaluator.errors import Failure
from evaluator.packs import PackError, frameworks_in, lines, pack, pack_path, read_packed
from evaluator.trace import DamagedTrace, Trace, trace_path, write_trace
from tests.support.factories import key, trace

MODEL = key().model


def names(root: Path) -> dict[str, str]:
    """The answers of what can be read, by case and framework."""
    found = [one for name in frameworks_in(root, MODEL) for one in read_packed(root, MODEL, name)]
    return {f"{one.key.framework}/{one.key.case}": one.outcome.answer for one in found if isinstance(one, Trace)}


def packed(root: Path) -> Path:
    """A pack of two runs."""
    for case in ("b", "a"):
        write_trace(root, trace(key(case)))
    pack(root, MODEL)
    return pack_path(root, key())


def test_runs_that_are_packed_are_the_same_in_one_file(tmp_path: Path) -> None:
    made = [trace(key(case, framework=framework)) for framework in ("baseline", "crewai") for case in ("a", "b")]
    for one in made:
        write_trace(tmp_path, one)
    pack(tmp_path, MODEL)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files == [f"scripted/{framework}/tool_calling.jsonl.xz" for framework in ("baseline", "crewai")]
    assert frameworks_in(tmp_path, MODEL) == ["baseline", "crewai"]
    assert [one for name in ("baseline", "crewai") for one in read_packed(tmp_path, MODEL, name)] == made


def test_a_single_run_stands_before_the_packed_one_and_takes_its_place(tmp_path: Path) -> None:
    packed(tmp_path)
    write_trace(tmp_path, trace(key("a"), answer="Anew."))
    assert names(tmp_path) == {"baseline/a": "Anew.", "baseline/b": "Hello."}
    pack(tmp_path, MODEL)
    assert names(tmp_path) == {"baseline/a": "Anew.", "baseline/b": "Hello."}
    assert not list(tmp_path.rglob("*.json"))


def test_what_is_packed_once_more_is_the_same_bytes(tmp_path: Path) -> None:
    path = packed(tmp_path)
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    pack(tmp_path, MODEL)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, changed)


def test_runs_that_are_no_longer_asked_for_go(tmp_path: Path) -> None:
    packed(tmp_path)
    pack(tmp_path, MODEL, drop=lambda folder, name: (folder.name, name) == ("tool_calling", "a.1"))
    assert set(names(tmp_path)) == {"baseline/b"}


def test_a_single_file_that_holds_no_trace_of_its_name_stays(tmp_path: Path) -> None:
    packed(tmp_path)
    damaged, misplaced = (trace_path(tmp_path, key(case)) for case in ("c", "d"))
    damaged.parent.mkdir()
    damaged.write_text("{", encoding="utf-8")
    misplaced.write_bytes(write_trace(tmp_path / "other", trace(key("e"))).read_bytes())
    pack(tmp_path, MODEL)
    assert damaged.exists() and misplaced.exists()
    assert set(lines(pack_path(tmp_path, key()))) == {"a.1", "b.1"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "breaks off"),
        (b"this is no archive at all", "is not in the format xz"),
        (lzma.compress(b'{"key": 1}\n'), "line 1: holds no trace"),
        (lzma.compress(b"[]\n"), "line 1: holds no trace"),
        (lzma.compress(b"\xff\n"), "line 1: holds no trace"),
        (lzma.compress(b"{}\n" * 1000)[:-40], "breaks off"),
    ],
)
def test_a_pack_that_cannot_be_read_is_named_and_kept(tmp_path: Path, content: bytes, why: str) -> None:
    path = packed(tmp_path)
    path.write_bytes(content)
    write_trace(tmp_path, trace(key("c")))
    damaged, whole = read_packed(tmp_path, MODEL, "baseline")
    assert isinstance(damaged, DamagedTrace) and damaged.path == path and why in damaged.reason
    assert isinstance(whole, Trace) and whole.key == key("c")
    with pytest.raises(Failure, match=r"tool_calling\.jsonl\.xz: .*; delete it, and make its runs again"):
        pack(tmp_path, MODEL)
    assert path.read_bytes() == content and trace_path(tmp_path, key("c")).exists()


def test_a_line_that_is_no_trace_is_left_out_alone(tmp_path: Path) -> None:
    path = packed(tmp_path)
    first, second = lzma.decompress(path.read_bytes()).splitlines()
    path.write_bytes(lzma.compress(first.replace(b'"schema":1', b'"schema":2') + b"\n" + second + b"\n"))
    damaged, whole = read_packed(tmp_path, MODEL, "baseline")
    assert isinstance(damaged, DamagedTrace) and damaged.reason.startswith("schema: ")
    assert isinstance(whole, Trace) and whole.key == key("b")


def test_a_pack_that_would_fill_the_memory_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path)
    monkeypatch.setattr(packs, "LARGEST_PACK", 100)
    with pytest.raises(PackError, match="larger than"):
        lines(path)
