"""What cannot be read is said in words; what is the user's stays."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import PYPROJECT, make_framework
from judged import run

from evaluator import files
from evaluator.analysis.judge import verdicts
from evaluator.analysis.judge.verdicts import Verdict, verdicts_path
from evaluator.catalog.code_size import code_size
from evaluator.catalog.frameworks import read_framework
from evaluator.doctor import machine
from evaluator.errors import Mistake
from evaluator.harness import environments
from evaluator.models import weights
from evaluator.providers import endpoints
from evaluator.text import shown_path


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, endless])
def test_what_may_never_end_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a")
    with pytest.raises(OSError, match="is no regular file"):
        files.read_bytes(tmp_path / "a")
    assert weights.not_gguf(tmp_path / "a") == f"{tmp_path / 'a'} is no regular file"


def test_a_link_to_itself_is_shown_and_written_to_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").symlink_to("a")
    assert shown_path(Path("a")) == "a"
    with pytest.raises(OSError), files.replacing_folder(Path("a") / "b"):
        pass


def test_nor_is_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    monkeypatch.setattr(files, "LARGEST_FILE", 4)
    with pytest.raises(OSError, match="is larger than"):
        files.read_bytes(tmp_path / "a")


def test_a_mark_and_line_breaks_of_another_system_are_read_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    assert files.read_text(tmp_path / "a") == "a\nb\n"


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "1" * 5000, "a ="], ids=["deep", "long", "cut"])
def test_no_toml_is_a_mistake_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text)
    monkeypatch.setenv(endpoints.FILE_VARIABLE, str(path))
    with pytest.raises(Mistake, match=r"models\.toml(:1)?: is not valid TOML: .") as told:
        endpoints.endpoints()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("pyproject", "lock"),
    [
        ("tool = 3", None),
        ("a = " + "[" * 5000, None),
        (PYPROJECT, "package = 3"),
        (PYPROJECT, "package = [3]"),
        (PYPROJECT, '[[package]]\nname = "x-agents"\nversion = 3\n'),
    ],
    ids=["tool", "deep", "package", "packages", "version"],
)
def test_metadata_of_another_type_is_a_mistake(tmp_path: Path, pyproject: str, lock: str | None) -> None:
    with pytest.raises(Mistake, match=r"^implementations/x/(pyproject\.toml|uv\.lock): "):
        read_framework(make_framework(tmp_path, "x", pyproject, lock or 'version = "1"\n'))


def test_a_lock_or_a_range_of_versions_that_doctor_cannot_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = "new"\n')
    (tmp_path / "uv.lock").write_text("[[package]]\nwheels = 3\n")
    with pytest.raises(Mistake, match=r"pyproject\.toml: project\.requires-python: is no range of versions: 'new'"):
        machine._requires_python(tmp_path)
    with pytest.raises(Mistake, match=r"uv\.lock: package: must be tables"):
        machine.unpacked_bytes(tmp_path / "uv.lock")


def test_code_that_no_parser_reads_is_no_python() -> None:
    with pytest.raises(SyntaxError, match=r"nested too deep|too many nested"):
        code_size("-" * 100_000 + "1")


def verdict(case: str) -> Verdict:
    key = run(case).key
    return Verdict(key=key, judge="mine", judge_digest="d", judged="j", verdict="right", why="It greets.")


def test_lines_of_a_judge_that_cannot_be_used_are_kept(tmp_path: Path) -> None:
    path = verdicts_path(tmp_path, "local", "mine")
    for case in "ba":
        verdicts.add(tmp_path, verdict(case))
    ours = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + ours + b"mended by hand\n" + b'{"half')
    found, damaged = verdicts.read_verdicts(tmp_path)
    assert len(found) == 2 and len(damaged) == 2
    verdicts.tidy(tmp_path, "local", "mine")
    lines = path.read_bytes().splitlines()
    assert sorted(lines[:2]) == sorted(ours.splitlines()) and lines[2:] == [b"mended by hand"]


def test_a_judges_file_that_cannot_be_read_stays_as_it_is(tmp_path: Path) -> None:
    path = verdicts_path(tmp_path, "local", "mine")
    path.parent.mkdir(parents=True)
    pipe(path)
    assert verdicts.read_verdicts(tmp_path)[1][0].reason == "cannot be read: is no regular file"
    with pytest.raises(OSError, match="is no regular file"):
        verdicts.tidy(tmp_path, "local", "mine")
    assert path.is_fifo()


@pytest.mark.parametrize("digest", ["\x1b[31m", 3, "a" * 63, None])
def test_a_kept_digest_that_is_none_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: object
) -> None:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a").write_bytes(b"GGUF")
    right = weights.sha256_of(tmp_path / "a")
    [note] = (tmp_path / "cache" / "digests").iterdir()
    note.write_text(json.dumps(json.loads(note.read_text()) | {"sha256": digest}))
    assert weights.sha256_of(tmp_path / "a") == right
    note.unlink()
    note.mkdir()
    assert weights.sha256_of(tmp_path / "a") == right


def test_settings_of_uv_that_are_damaged_name_no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environments._MIRRORS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    for text, names_one in (("pip = 3", False), ("[pip]\nindex-url = 'x'\n", True), ("a = " + "[" * 5000, False)):
        (tmp_path / "uv.toml").write_text(text)
        assert environments.names_a_mirror() is names_one


def test_a_damaged_stamp_is_of_no_environment(tmp_path: Path) -> None:
    framework = read_framework(make_framework(tmp_path, "x"))
    python = environments.python_of(framework)
    python.parent.mkdir(parents=True)
    python.touch()
    stamp = framework.folder / ".venv" / environments._STAMP
    for damage in (lambda: stamp.write_bytes(b"\xff"), stamp.unlink, stamp.mkdir):
        damage()
        assert not environments.is_current(framework)
