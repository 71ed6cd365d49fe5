"""`bakeoff run -m replay` and `--rerecord`."""

import shutil
from pathlib import Path

from commands import Bakeoff

from evaluator import ROOT

HANDOFF = ("-f", "baseline", "-t", "handoff", "--cases", "quick")


def _copy_first_trials(folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in (ROOT / "traces" / "scripted" / "baseline" / "handoff").glob("*.1.json"):
        shutil.copy(path, folder)


def test_a_replay_says_whether_it_came_out_as_recorded(bakeoff: Bakeoff, tmp_path: Path) -> None:
    _copy_first_trials(tmp_path / "kept" / "baseline" / "handoff")
    arguments = ("run", "--replay", "kept", *HANDOFF, "--traces", "replays")
    said = bakeoff(*arguments)
    assert said.code == 0, said.err
    assert "2 of 2 runs came out as recorded in kept" in said.out
    assert "correctness and tokens are exactly those recorded, in every cell" in said.out
    again = bakeoff(*arguments)
    assert again.code == 0 and "2 of 2 runs are recorded already in replays" in again.out

    path = tmp_path / "kept" / "baseline" / "handoff" / next((tmp_path / "replays").rglob("*.json")).name
    path.write_text(path.read_text().replace("telecom", "bank"))
    changed = bakeoff(*arguments)
    assert changed.code == 1
    assert "1 of 2 runs came out as recorded in kept" in changed.out
    assert "became '" in changed.out and "correctness or tokens differ in " in changed.out

    path.rename(path.with_name("elsewhere.1.json"))
    misplaced = bakeoff(*arguments)
    assert misplaced.code == 1
    assert "the runs: 2 were replayed, and 1 can be scored as they were recorded" in misplaced.out


def test_only_recordings_that_no_longer_replay_are_recorded_again(bakeoff: Bakeoff, tmp_path: Path) -> None:
    folder = tmp_path / "scripted" / "baseline" / "handoff"
    _copy_first_trials(folder)
    arguments = ("run", "--rerecord", "-m", "scripted", *HANDOFF, "--traces", ".")
    said = bakeoff(*arguments)
    assert said.code == 0 and "0 of 2 recorded runs no longer replay" in said.out, said.err
    before = {path: path.read_bytes() for path in folder.iterdir()}
    stale = folder / "direct-outage.1.json"
    stale.write_text(stale.read_text().replace("telecom", "bank"))
    said = bakeoff(*arguments)
    assert said.code == 0 and "1 of 2 recorded runs no longer replay and are recorded again:" in said.out, said.err
    assert [path for path in folder.iterdir() if path.read_bytes() != before[path]] == [stale]
    assert "bank" not in stale.read_text()
    assert "0 of 2 recorded runs no longer replay" in bakeoff(*arguments).out
