"""Traces in a folder, in fsspec's memory, and in buckets of S3: written once, read in a copy, never lost."""

import contextlib
import errno
import importlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import buckets
import fsspec
import pytest
from factories import key, trace
from racing import raced

from evaluator import ROOT, stores
from evaluator.analysis.judge.verdicts import Verdict, add, read_verdicts
from evaluator.cli import main
from evaluator.errors import Failure, Mistake
from evaluator.history import Cell, read_cells, write_cell
from evaluator.packs import SUFFIX, lines, pack
from evaluator.stores import Store, store_at
from evaluator.text import shown_path
from evaluator.trace import Trace, content_of, read_trace, trace_path, write_trace
from tasks.cases import of_size
from tasks.tool_calling import spec as tool_calling

pytestmark = pytest.mark.xdist_group("stores")  # one server for all

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server of S3."""
    with buckets.served() as address:
        yield address


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies are made in a test."""
    monkeypatch.setattr(stores, "FOLDER", tmp_path / "copies")
    return tmp_path / "copies"


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a folder in a new bucket, with the environment that reaches it."""
    for name, value in buckets.environment(server).items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{next(_numbers)}-{os.getpid()}"
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # of clients that have another environment
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}/deep/traces"


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of a folder in the memory of this process."""
    yield "memory://traces"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture(params=["folder", "memory", "bucket"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of each kind for traces."""
    return str(tmp_path / "traces") if request.param == "folder" else str(request.getfixturevalue(request.param))


@pytest.fixture(params=["memory", "bucket"])
def url(request: pytest.FixtureRequest) -> str:
    """A place of each kind that is no folder."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def another_machine(copies: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Store]:
    """Opens the same store with a copy of its own."""

    def opened(url: str) -> Store:
        with monkeypatch.context() as patch:
            patch.setattr(stores, "FOLDER", copies.with_name(f"copies-{next(_numbers)}"))
            return store_at(url)

    return opened


def content(store: Store, case: str = "greeting") -> bytes:
    return trace_path(store.folder, key(case)).read_bytes()


def cases(store: Store) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in store.folder.rglob("*.json"))


def fails(store: Any, monkeypatch: pytest.MonkeyPatch, name: str = "pipe_file") -> pytest.MonkeyPatch:
    """Let the store be out of reach for what `name` does."""

    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("the network is unreachable")

    monkeypatch.setattr(store._system, name, unreachable)
    return monkeypatch


# --- written once ----------------------------------------------------------------------------


def test_a_run_is_written_once_in_a_sitting_and_again_in_another(where: str) -> None:
    store = store_at(where)
    first, second, later = (
        trace(answer="first", sitting="a"),
        trace(answer="second", sitting="a"),
        trace(answer="later", sitting="b"),
    )
    for written, taken, there in ((first, True, first), (second, False, first), (later, True, later)):
        assert store.write(written) is taken
        assert content(store) == content_of(there)
        again = store_at(where)
        again.refresh()
        assert content(again) == content_of(there)
    store.update(trace(answer="mended", sitting="b"))
    assert content(store) == content_of(trace(answer="mended", sitting="b"))


def test_runs_without_a_sitting_and_damaged_traces_are_replaced(where: str) -> None:
    store = store_at(where)
    assert store.write(trace(answer="first")) and store.write(trace(answer="second"))
    assert content(store) == content_of(trace(answer="second"))
    name = trace_path(Path(), key()).as_posix()
    if store.elsewhere:
        fsspec.filesystem(where.partition(":")[0]).pipe_file(f"{where}/{name}", b"{")
    else:
        (store.folder / name).write_bytes(b"{")
    assert store.write(trace(sitting="a")) and isinstance(read_trace(trace_path(store.folder, key())), Trace)


def by_writers(sitting: str, number: int) -> list[Trace]:
    """A run that so many writers of one sitting made."""
    return [trace(answer=f"from {writer}", sitting=sitting) for writer in range(number)]


def test_of_threads_that_write_a_run_at_once_one_is_kept_whole_and_all_know(where: str) -> None:
    number = 8
    opened = [store_at(where) for _ in range(number)]
    for sitting in ("a", "b", "c"):  # the first is new, the others replace one of another sitting
        barrier, written = Barrier(number), by_writers(sitting, number)

        def write(store: Store, one: Trace, barrier: Barrier = barrier) -> bool:
            barrier.wait(60)
            return store.write(one)

        with ThreadPoolExecutor(number) as pool:
            kept = list(pool.map(write, opened, written))
        assert kept.count(True) == 1
        opened[0].refresh()
        assert content(opened[0]) == content_of(written[kept.index(True)])


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_so_it_is_of_processes(kind: str, request: pytest.FixtureRequest, tmp_path: Path, copies: Path) -> None:
    place = str(tmp_path / "traces") if kind == "folder" else str(request.getfixturevalue(kind))
    races = [by_writers(sitting, 3) for sitting in ("a", "b", "c")]
    for written, kept in zip(races, raced(place, races, copies), strict=True):
        assert kept.count(True) == 1
        store = store_at(place)
        store.refresh()
        assert content(store) == content_of(written[kept.index(True)])


def test_where_files_cannot_have_two_names_it_is_written_once_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", link)
    store = store_at(str(tmp_path))
    assert [store.write(one) for one in by_writers("a", 2)] == [True, False]
    assert content(store) == content_of(trace(answer="from 0", sitting="a"))


def test_a_write_of_which_the_answer_was_lost_and_that_is_made_again_counts_as_ours(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = store_at(bucket)
    write = store._system.pipe_file

    def lost(path: str, value: bytes, **how: Any) -> None:
        write(path, value, **how)
        write(path, value, **how)

    monkeypatch.setattr(store._system, "pipe_file", lost)
    assert store.write(trace(sitting="a"))


# --- the copy --------------------------------------------------------------------------------


def test_the_copy_follows_the_store(url: str, another_machine: Callable[[str], Store]) -> None:
    here, there = store_at(url), another_machine(url)
    there.refresh()
    assert not there.folder.exists()
    for case in ("one", "two"):
        here.write(trace(key(case), answer="a"))
    there.refresh()
    assert cases(there) == ["one", "two"]
    here.write(trace(key("one"), answer="b"))  # as many bytes
    here.write(trace(key("three")))
    fsspec.filesystem(url.partition(":")[0]).rm(f"{url}/{trace_path(Path(), key('two')).as_posix()}")
    there.refresh()
    assert cases(there) == ["one", "three"]
    assert content(there, "one") == content_of(trace(key("one"), answer="b"))


def test_what_is_unchanged_is_not_fetched_again_and_a_model_is_listed_once(
    url: str, another_machine: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = store_at(url), another_machine(url)
    for model, case in itertools.product(("scripted", "openai/gpt"), ("one", "two", "three")):
        here.write(trace(key(case, model=model)))
    calls: list[str] = []

    def counted(name: str) -> None:
        original = getattr(there._system, name)  # type: ignore[attr-defined]

        def called(*arguments: Any, **how: Any) -> Any:
            calls.append(name)
            return original(*arguments, **how)

        monkeypatch.setattr(there._system, name, called)  # type: ignore[attr-defined]

    counted("find")
    counted("get")
    there.refresh(["openai/gpt"])
    assert (calls, cases(there)) == (["find", "get"], ["one", "three", "two"])
    assert not (there.folder / "scripted").exists()
    there.refresh(["openai/gpt", "scripted"])
    assert calls[2:] == ["find", "find", "get"]
    there.refresh()
    assert calls[5:] == ["find"]


def test_nothing_but_what_is_ours_is_fetched(url: str, tmp_path: Path) -> None:
    store = store_at(url)
    store.write(trace(key("one")))
    system = fsspec.filesystem(url.partition(":")[0])
    for name in ("scripted/../../../planted.json", ".hidden/x.json", "scripted/.x.json", "notes.txt", "big.bin"):
        system.pipe_file(f"{url}/{name}", b"{}")
    store.refresh()
    there = {path.relative_to(tmp_path).name for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {"one.1.json", "index.sqlite"}


def test_what_goes_while_it_is_fetched_is_listed_again(url: str, another_machine: Callable[[str], Store]) -> None:
    here, there = store_at(url), another_machine(url)
    for case in ("one", "two"):
        here.write(trace(key(case)))
    system = there._system  # type: ignore[attr-defined]
    listed, gone = system.find, trace_path(Path(), key("one")).as_posix()

    def find(*arguments: Any, **how: Any) -> Any:
        found = listed(*arguments, **how)
        if system.exists(f"{url}/{gone}"):
            system.rm(f"{url}/{gone}")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system, "find", find)
        there.refresh()
    assert cases(there) == ["two"]


def test_a_part_of_a_store_is_part_of_its_copy(where: str) -> None:
    store = store_at(where)
    part = store.below("suites")
    assert part.write(trace(key("one"), sitting="a"))
    assert (part.folder, part.url) == (store.folder / "suites", f"{where}/suites")
    part.refresh()
    store.refresh()
    assert cases(store) == cases(part) == ["one"]


def test_messages_name_the_store_and_not_its_copy(memory: str) -> None:
    store = store_at(f"{memory}/")
    assert shown_path(store.folder / "scripted" / "x.json") == f"{memory}/scripted/x.json"
    assert shown_path(store.folder) == store.url == memory


# --- nothing is lost -------------------------------------------------------------------------


def test_what_could_not_be_sent_is_kept_and_sent_later(
    url: str, monkeypatch: pytest.MonkeyPatch, another_machine: Callable[[str], Store]
) -> None:
    store = store_at(url)
    store.write(trace(key("old"), answer="old", started_at="2026-01-01T00:00:00+00:00"))
    rerun = trace(key("old"), answer="new", started_at="2026-02-01T00:00:00+00:00")
    with monkeypatch.context() as patch:
        fails(store, patch)
        for lost in (trace(key("one"), sitting="a"), rerun):
            with pytest.raises(
                Failure, match=r"the network is unreachable; nothing is lost: what is not sent yet \(this run\) is in "
            ):
                store.write(lost)
        with pytest.raises(Failure, match=r"not sent yet \(2 files\) is in "):
            store.send()
    store.refresh()
    assert cases(store) == ["old", "one"] and content(store, "old") == content_of(rerun)
    there = another_machine(url)
    there.refresh()
    assert cases(there) == ["old"]
    again = store_at(url)
    assert (again.send(), again.send()) == (2, 0)
    there.refresh()
    assert cases(there) == ["old", "one"] and content(there, "old") == content_of(rerun)


def test_what_was_not_sent_gives_way_to_the_same_sitting_and_to_what_is_newer(
    url: str, monkeypatch: pytest.MonkeyPatch, another_machine: Callable[[str], Store]
) -> None:
    here, there = store_at(url), another_machine(url)
    early, late = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
    with monkeypatch.context() as patch:
        fails(here, patch)
        for case in ("same", "newer"):
            with pytest.raises(Failure):
                here.write(trace(key(case), answer="mine", sitting="a", started_at=early))
    there.write(trace(key("same"), answer="theirs", sitting="a", started_at=early))
    there.write(trace(key("newer"), answer="theirs", sitting="b", started_at=late))
    assert here.send() == 2
    for case in ("same", "newer"):
        assert content(here, case) == content(there, case)
    there.refresh()
    assert cases(there) == ["newer", "same"]


def test_a_writer_that_was_killed_before_it_sent_loses_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch, another_machine: Callable[[str], Store]
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise KilledError

    here, there = store_at(url), another_machine(url)
    with monkeypatch.context() as patch:
        patch.setattr(here._system, "pipe_file", killed)  # type: ignore[attr-defined]
        with contextlib.suppress(KilledError):
            here.write(trace(key("one")))
    here.refresh()
    assert here.send() == 1
    there.refresh()
    assert cases(there) == ["one"]


def test_verdicts_are_sent_as_they_are(url: str, another_machine: Callable[[str], Store]) -> None:
    here, there = store_at(url), another_machine(url)
    for number, said in enumerate(("right", "wrong"), start=1):
        verdict = Verdict(key=key(trial=number), judge="j", judge_digest="d", judged="x", verdict=said, why="")
        add(here.folder, verdict)
        here.refresh()  # which leaves alone what is not sent
        assert (here.send(), here.send()) == (1, 0)
        there.refresh()
        assert len(read_verdicts(there.folder)[0]) == number


# --- what the user is told -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("nowhere://x/y", "--traces nowhere://x/y: Protocol not known: nowhere; s3://BUCKET/FOLDER and "),
        ("s3://key:secret@bucket/x", "--traces s3://…: credentials and queries do not belong into the URL"),
        ("s3://key:with/secret@bucket/x", "--traces s3://…: credentials and queries do not belong into the URL"),
        ("https://secret@host/x", "--traces https://…: credentials and queries do not belong into the URL"),
        ("abfs://x/y?sig=secret", "--traces abfs://…: credentials and queries do not belong into the URL"),
        ("simplecache::s3://x", "--traces simplecache::s3://x: must be one store"),
        ("gs://x/y", "--traces gs://x/y: needs the package gcsfs, as in `uv run --extra store --with gcsfs bakeoff …`"),
        ("s3://[/x", "--traces: this is no URL: "),
    ],
)
def test_a_url_that_is_of_no_use_is_a_mistake(wrong: str, said: str) -> None:
    with pytest.raises(Mistake) as raised:
        store_at(wrong)
    assert str(raised.value).startswith(said)
    assert "secret" not in str(raised.value)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, "s3", raising=False)
    with pytest.raises(Mistake, match=r"needs the package s3fs, as in `uv run --extra store bakeoff …`"):
        store_at("s3://bucket/x")


def test_no_bucket_and_no_credentials_are_mistakes(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(Mistake, match="--traces s3://there-is-none/x: there is no such bucket or folder"):
        store_at("s3://there-is-none/x").refresh()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(Mistake, match="no access: Unable to locate credentials"):
        store_at(bucket)


@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}"])
def test_a_folder_needs_no_fsspec(form: str, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from evaluator.stores import store_at\n"
        "assert store_at(sys.argv[1]).folder == Path(sys.argv[2])\n"
        "assert not store_at(sys.argv[1]).elsewhere and 'fsspec' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, form.format(tmp_path), str(tmp_path)], check=True)


# --- commands --------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """A command in this process; gives its exit code."""
    monkeypatch.setattr(sys, "argv", ["bakeoff", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_commands_read_a_store_as_they_read_a_folder(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    part = Path("scripted", "baseline", "tool_calling")
    shutil.copytree(ROOT / "traces" / part, folder / part)
    for number, line in enumerate(lines(ROOT / "traces" / "faults" / "baseline" / f"tool_calling{SUFFIX}").values()):
        if number % 20 == 0:
            write_trace(folder, Trace.model_validate_json(line))
    pack(folder, "faults")
    cell = next(one for one in read_cells(ROOT / "traces", "agno") if isinstance(one, Cell))
    write_cell(folder, cell)
    fsspec.filesystem("memory").put(f"{folder}/", memory, recursive=True)
    for code, *command in (
        (0, "parity", "-f", "baseline", "-t", "tool_calling"),
        (0, "faults", "-f", "baseline", "--json"),
        (0, "history", "--show", "-f", "agno"),
        (0, "export", "--format", "openai", "-f", "baseline", "--out", str(tmp_path / "exported")),
        (2, "capabilities", "-f", "baseline"),
    ):
        told = []
        for place in (str(folder), memory):
            assert run(monkeypatch, *map(str, command), "--traces", place) == code
            said = capsys.readouterr()
            out = [line for line in said.out.splitlines() if not re.search(r" for \d+ s$", line)]  # if it takes long
            told.append((out, said.err.replace(place, "PLACE")))
        assert told[0] == told[1], command
    assert run(monkeypatch, "score", "--traces", "memory://empty") == 2
    assert capsys.readouterr().err == "bakeoff: --traces memory://empty: nothing is recorded there\n"


def test_killed_in_the_middle_another_machine_goes_on_and_scores_from_there(
    bucket: str, server: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "evaluator", "run", "-f", "baseline", "-m", "scripted", "-t", "tool_calling"]
    command += ["--cases", "standard", "--traces", bucket]
    environment = {**os.environ, **buckets.environment(server), "PYTHONPATH": str(ROOT)}
    all_runs = len(of_size(tool_calling.load(), "standard"))
    system = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)

    def there() -> dict[str, bytes]:
        return {path: system.cat_file(path) for path in system.find(bucket) if path.endswith(".json")}

    def run_score(traces: str, out: Path) -> None:
        score = [sys.executable, "-m", "evaluator", "score", "--traces", traces, "--out", str(out)]
        subprocess.run(score, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=300)

    copy = ROOT / ".bakeoff" / "stores" / store_at(bucket).folder.parent.name
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        until = time.monotonic() + 300  # the baseline's environment may have to be made
        while len(there()) < 2:
            assert time.monotonic() < until and first.poll() is None
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = there()
        assert 2 <= len(before) < all_runs
        shutil.rmtree(copy)  # as on another machine

        second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert second.returncode == 0, second.stderr
        assert f"{len(before)} of {all_runs} runs are recorded already in {bucket}" in second.stdout
        after = there()
        assert len(after) == all_runs
        assert all(after[path] == content for path, content in before.items())

        system.get(f"{bucket}/", f"{tmp_path / 'folder'}/", recursive=True)
        run_score(bucket, tmp_path / "of-store")
        run_score(str(tmp_path / "folder"), tmp_path / "of-folder")
        files = {path.name: path.read_bytes() for path in (tmp_path / "of-store").iterdir()}
        assert files == {path.name: path.read_bytes() for path in (tmp_path / "of-folder").iterdir()}
        assert b'"runs"' in files["scorecard.json"]
    finally:
        first.kill()
        shutil.rmtree(copy, ignore_errors=True)
