"""What is kept from one call to the next: only what depends on the same, and never what is damaged."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from evaluator import ROOT
from evaluator.analysis import gather as gathering
from evaluator.analysis.gather import Gathered, Scored, Seen, Whole, gather
from evaluator.analysis.kept import Kept

CASES = 2


@dataclass(frozen=True)
class Look:
    """Says how many traces a case has."""

    word: str = "traces"

    def __call__(self, whole: Sequence[Whole]) -> str:
        return f"{len(whole)} {self.word}"


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    for framework in ("baseline", "langgraph"):
        for path in sorted((ROOT / "traces/scripted" / framework / "handoff").glob("*.1.json"))[:CASES]:
            target = tmp_path / "traces" / path.relative_to(ROOT / "traces")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return tmp_path / "traces"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Path]]:
    """The cases that were read and not taken from what is kept."""
    cases: list[Sequence[Path]] = []
    make = gathering._gather_case

    def watched(*arguments: object) -> list[Gathered]:
        cases.append(arguments[-1])  # type: ignore[arg-type]
        return make(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(gathering, "_gather_case", watched)
    return cases


def gathered(traces: Path, kept: Kept | None, look: Look | None = Look()) -> list[Gathered]:
    return list(gather(traces, None, lambda key: True, ["baseline", "langgraph"], look=look, kept=kept))


def test_what_has_not_changed_is_not_read_again(traces: Path, tmp_path: Path, made: list[Sequence[Path]]) -> None:
    fresh = gathered(traces, None)
    assert len([one for one in fresh if isinstance(one, Scored)]) == 2 * CASES
    assert fresh.count(Seen("2 traces")) == CASES
    made.clear()
    assert gathered(traces, Kept(tmp_path / "kept")) == fresh
    assert len(made) == CASES
    assert gathered(traces, Kept(tmp_path / "kept")) == fresh
    assert len(made) == CASES


def test_what_has_changed_is_read_again(
    traces: Path, tmp_path: Path, made: list[Sequence[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered(traces, Kept(tmp_path / "kept"))
    path = next(traces.rglob("langgraph/**/*.json"))
    path.write_text(path.read_text().replace('"wall_s":', '"wall_s": 1'))
    assert gathered(traces, Kept(tmp_path / "kept")) == gathered(traces, None)
    assert len(made) == CASES + 1 + CASES  # of the case that changed, and without what is kept
    made.clear()
    assert Seen("2 files") in gathered(traces, Kept(tmp_path / "kept"), Look("files"))
    assert len(made) == CASES
    made.clear()
    monkeypatch.setattr("evaluator.analysis.kept.code_digest", lambda: b"another version of the code")
    gathered(traces, Kept(tmp_path / "kept"))
    assert len(made) == CASES


@pytest.mark.parametrize("content", [b"", b"x", bytes(100)])
def test_what_is_damaged_is_made_again(
    content: bytes, traces: Path, tmp_path: Path, made: list[Sequence[Path]]
) -> None:
    fresh = gathered(traces, Kept(tmp_path / "kept"))
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(content)
    made.clear()
    assert gathered(traces, Kept(tmp_path / "kept")) == fresh
    assert len(made) == CASES
    assert gathered(traces, Kept(tmp_path / "kept")) == fresh
    assert len(made) == CASES


def test_what_was_not_asked_for_is_forgotten(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    kept.put(kept.name([b"old"]), 1)
    again = Kept(tmp_path / "kept")
    again.put(again.name([b"new"]), 2)
    again.forget_others()
    assert [again.get(path.name) for path in (tmp_path / "kept").iterdir()] == [2]


def test_a_folder_that_cannot_be_written_is_no_harm(traces: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert gathered(traces, Kept(tmp_path / "file")) == gathered(traces, None)


def test_the_parts_of_a_name_are_told_apart(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert kept.name([b"ab", b"c"]) != kept.name([b"a", b"bc"])
