"""Traces on disk."""

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from factories import key, model_call, tool_call, trace
from hypothesis import given
from hypothesis import strategies as st

from evaluator import ROOT
from evaluator.trace import (
    DamagedTrace,
    Trace,
    check_model_name,
    model_folder,
    model_of_folder,
    read_trace,
    read_traces,
    trace_path,
    write_trace,
)


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = trace(
        key(model="ollama/qwen3:8b"),
        answer="naïve \0 答え",
        model_calls=[model_call(0.1, 0.2, 0.3, 0.4, request={"a": [1, None]}, response=[{"b": 2}])],
        tool_calls=[tool_call(0.5, 0.6, agent="billing", arguments={"x": 1.5}, result=[{"y": None}], error="no")],
    )
    path = write_trace(tmp_path, written)
    assert (
        path == trace_path(tmp_path, written.key) == tmp_path / "ollama/qwen3:8b/baseline/tool_calling/greeting.1.json"
    )
    assert read_trace(path) == written
    content = path.read_bytes()
    assert write_trace(tmp_path, written).read_bytes() == content


def test_what_only_some_calls_have_is_not_written_for_the_others(tmp_path: Path) -> None:
    own = {"api": "responses", "changes": ["drop_strict"], "retry_after": "7"}
    calls = [model_call(0.1, 0.2, 0.3, 0.4), model_call(0.1, 0.2, 0.3, 0.4, **own)]
    path = write_trace(tmp_path, trace(model_calls=calls))
    plain, special = json.loads(path.read_text())["model_calls"]
    assert special.items() >= own.items()
    assert own.keys().isdisjoint(plain)
    read = read_trace(path)
    assert isinstance(read, Trace) and read.model_calls == calls


@pytest.mark.parametrize("path", sorted((ROOT / "traces").glob("*/baseline/*/*.1.json"))[::10], ids=str)
def test_a_committed_trace_is_written_as_it_was(path: Path, tmp_path: Path) -> None:
    committed = read_trace(path)
    assert isinstance(committed, Trace)
    assert write_trace(tmp_path, committed).read_bytes() == path.read_bytes()


def test_names_are_those_of_opentelemetry(tmp_path: Path) -> None:
    path = write_trace(tmp_path, trace(tool_calls=[tool_call(0.5, 0.6)]))
    data = json.loads(path.read_text())
    assert data["schema"] == 1
    assert {name for name in data["model_calls"][0] if "." in name} == {
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "error.type",
    }
    assert {name for name in data["tool_calls"][0] if "." in name} == {
        "gen_ai.agent.name",
        "gen_ai.tool.name",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "error.type",
    }


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        ("a\ud800b", "a\\ud800b"),
        ({"\udfff": "\ud83d\ude00"}, {"\\udfff": "\\ud83d\\ude00"}),
        (2**64, hex(2**64)),
        (-(2**63) - 1, hex(-(2**63) - 1)),
        (2**64 - 1, 2**64 - 1),
        (math.nan, None),
        (True, True),
    ],
)
def test_what_json_cannot_have_is_recorded_safely(tmp_path: Path, value: Any, recorded: Any) -> None:
    again = read_trace(write_trace(tmp_path, trace(tool_calls=[tool_call(0.5, 0.6, result=value)])))
    assert isinstance(again, Trace)
    assert again.tool_calls[0].result == recorded


@pytest.mark.parametrize("depth", [200, 260, 600, 1000])
def test_deep_nesting_is_recorded_safely(tmp_path: Path, depth: int) -> None:
    deep = model_call(0.1, 0.2, 0.3, 0.4, request={"tools": nested(depth)}, response=nested(depth))
    assert isinstance(read_trace(write_trace(tmp_path, trace(model_calls=[deep]))), Trace)


def test_each_damaged_file_is_named_with_the_reason_and_the_others_are_read(tmp_path: Path) -> None:
    good = write_trace(tmp_path, trace(key("good")))
    data = json.loads(good.read_text())
    folder = good.parent
    damaged = {
        "a-half.1.json": (good.read_text()[:400], "not valid JSON"),
        "b-empty.1.json": ("", "line 1: not valid JSON"),
        "c-list.1.json": ("[]", "valid dictionary"),
        "d-field.1.json": (json.dumps({**data, "outcome": {"ended": "answered"}}), "outcome.answer: Field required"),
        "e-unknown.1.json": (json.dumps({**data, "extra": 1}), "extra: Extra inputs are not permitted"),
        "f-schema.1.json": (json.dumps({**data, "schema": 2}), "schema: Input should be 1"),
        "g-deep.1.json": ("[" * 5000, "not valid JSON"),
    }
    for name, (content, _) in damaged.items():
        (folder / name).write_text(content)
    (folder / "h-bytes.1.json").write_bytes(b'{"a": "\xff"}')
    (folder / "i-folder.1.json").mkdir()
    os.mkfifo(folder / "j-pipe.1.json")
    (folder / "k-zero.1.json").symlink_to("/dev/zero")
    (folder / ".good.1.json.123.tmp").write_text("left over")
    (folder / ".hidden.1.json").write_text("not ours")
    found = list(read_traces(tmp_path))
    reasons = {item.path.name: item.reason for item in found if isinstance(item, DamagedTrace)}
    assert [item.key.case for item in found if isinstance(item, Trace)] == ["good"]
    assert set(reasons) == {*damaged, "h-bytes.1.json", "i-folder.1.json", "j-pipe.1.json", "k-zero.1.json"}
    for name, (_, reason) in damaged.items():
        assert reason in reasons[name], name
    assert reasons["a-half.1.json"].startswith("line ")
    assert reasons["i-folder.1.json"] == reasons["j-pipe.1.json"] == reasons["k-zero.1.json"] == "is no regular file"
    assert all("\n" not in reason for reason in reasons.values())
    missing = read_trace(tmp_path / "none.json")
    assert isinstance(missing, DamagedTrace) and missing.reason == "cannot be read: No such file or directory"


def test_only_the_folders_of_some_models_are_read_and_each_file_once(tmp_path: Path) -> None:
    for model in ("a", "a/b", "c"):
        write_trace(tmp_path, trace(key(model=model)))
    found = [item.key.model for item in read_traces(tmp_path, ["a/b", "a", "not there"]) if isinstance(item, Trace)]
    assert sorted(found) == ["a", "a/b"]


NAMES = [
    *("local", "ollama/qwen3:8b", "acme/a/b", "/models/Qwen2.5-7B", "a//b", "a/", "..", "../../etc", "a/../b", "./a"),
    *(".hidden", "a/.b", "a b", "a+b@c~d", "%2F", "a%b", "天气", "a\\b", "a?b#c", "=HYPERLINK()", "a" * 200),
]


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_model_is_called_its_traces_lie_in_a_folder_of_their_own(name: str, tmp_path: Path) -> None:
    path = write_trace(tmp_path, trace(key(model=name)))
    assert tmp_path in path.parents and ".." not in path.parts
    assert model_of_folder(model_folder(tmp_path, name).relative_to(tmp_path).parts) == name
    assert [item.key.model for item in read_traces(tmp_path) if isinstance(item, Trace)] == [name]
    assert len({model_folder(tmp_path, each) for each in NAMES}) == len(NAMES)


@given(st.text(min_size=1, max_size=30))
def test_a_name_that_a_line_can_show_is_one_and_others_are_not(name: str) -> None:
    if name.isprintable() and name == name.strip():
        assert check_model_name(name) == name
        assert model_of_folder(model_folder(Path("x"), name).relative_to("x").parts) == name
    else:
        with pytest.raises(ValueError, match="200 characters"):
            check_model_name(name)


@pytest.mark.parametrize("name", ["", " a", "a\nb", "\x1b[31mred", "a" * 201, "\u202e"])
def test_a_trace_of_what_cannot_be_a_model_is_damaged(name: str, tmp_path: Path) -> None:
    data = json.loads(write_trace(tmp_path, trace()).read_text())
    data["key"]["model"] = name
    (tmp_path / "bad.1.json").write_text(json.dumps(data))
    found = read_trace(tmp_path / "bad.1.json")
    assert isinstance(found, DamagedTrace) and found.reason.startswith("key.model: ")


def test_no_partial_file_is_ever_seen(tmp_path: Path) -> None:
    versions = [trace(answer=letter * 200_000) for letter in "ab"]
    path = write_trace(tmp_path, versions[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for version in versions:
                write_trace(tmp_path, version)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            assert isinstance(read_trace(path), Trace)
    finally:
        stop.set()
        writer.join()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_trace_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_trace(tmp_path, trace(answer="old"))

    def fails(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_trace(tmp_path, trace(answer="new"))
    monkeypatch.undo()
    old = read_trace(path)
    assert isinstance(old, Trace) and old.outcome.answer == "old"
    assert {each.suffix for each in path.parent.iterdir()} == {".json", ".tmp"}
    assert str(os.getpid()) in next(each.name for each in path.parent.iterdir() if each.suffix == ".tmp")
