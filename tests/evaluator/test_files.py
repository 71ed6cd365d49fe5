"""Files and folders that appear whole or not at all."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evaluator import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for content in ("ä\r\n", b"\xff"):
        files.write_whole(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(path.parent) == ["a.txt"]


def test_it_is_not_there_before_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with files.written_whole(path) as file:
        file.write(b"half")
        file.flush()
        assert names(tmp_path) == [f".a.txt.{threading.get_native_id()}.{os.getpid()}.tmp"]
    assert names(tmp_path) == ["a.txt"]


def test_after_an_error_the_old_one_is_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.written_whole(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert names(tmp_path) == ["a.txt"] and path.read_text() == "old"


def test_what_is_complete_is_not_lost_where_it_cannot_take_its_place(tmp_path: Path) -> None:
    (tmp_path / "a" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError):
        files.write_whole(tmp_path / "a", "recorded")
    assert (tmp_path / f".a.{threading.get_native_id()}.{os.getpid()}.tmp").read_text() == "recorded"


@pytest.mark.parametrize("linked", [False, True])
def test_nothing_takes_the_place_of_a_pipe_or_a_device(linked: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        (tmp_path / "link").symlink_to(pipe)
    with pytest.raises(OSError, match="is no regular file"):
        files.write_whole(tmp_path / "link" if linked else pipe, "recorded")
    assert pipe.is_fifo() and names(tmp_path) == ["link", "pipe"][not linked :]


def test_a_folder_takes_the_place_of_the_old_one_with_all_that_is_in_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("first", "second"):
        with files.replacing_folder(out) as folder:
            (folder / name).write_text("")
    with pytest.raises(RuntimeError), files.replacing_folder(out) as folder:
        (folder / "third").write_text("")
        raise RuntimeError
    assert names(out) == ["second"] and names(tmp_path) == ["out"]


WRITES = """
import os, sys
from pathlib import Path
from evaluator import files
folder = Path(sys.argv[1])
with files.replacing_folder(folder / "site") as made, files.replacing(folder / "a.json") as file:
    (made / "index.html").write_text("half")
    file.write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_was_writing_goes_with_the_next_that_is_whole(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    others = [".a.json.tmp", ".a.json.1.bak", f".b.json.{os.getpid()}.tmp", ".other.99999.tmp.txt"]
    for name in others:
        (tmp_path / name).touch()
    subprocess.run([sys.executable, "-c", WRITES, str(tmp_path)])
    assert len(names(tmp_path)) == len(others) + 3
    with files.replacing_folder(tmp_path / "site") as made:
        (made / "index.html").write_text("whole")
    assert [name for name in names(tmp_path) if ".site." in name] == []
    files.sweep(tmp_path.iterdir())
    assert names(tmp_path) == sorted([*others, "site"])
    assert (tmp_path / "site" / "index.html").read_text() == "whole"


HOLDS = """
import os, sys
from pathlib import Path
from evaluator.files import own_folder
with own_folder(Path(sys.argv[1])) as own:
    print(own, os.getpid(), flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_folder_is_one_processs_and_the_next_has_its_own_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "logs"
    with holder(folder) as first:
        assert first.stdout and first.stdout.readline() == f"{folder} {first.pid}\n"
        with files.own_folder(folder) as own:
            assert own == folder / str(os.getpid()) and own.is_dir()
        with holder(folder) as second:
            assert second.stdout and second.stdout.readline() == f"{folder / str(second.pid)} {second.pid}\n"
            second.kill()
        first.kill()
    (folder / f"0{second.pid}").write_text("a file that happens to be called so")
    with files.own_folder(folder) as own:  # however the others ended
        assert own == folder and (folder / f"0{second.pid}").exists()
        assert not (folder / str(second.pid)).exists() and (folder / str(os.getpid())).exists()
