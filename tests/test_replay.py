"""Every recorded run of the local model once more, without the model.

What a framework sends must be what it sent then, and what comes of it must be what came then. A changed prompt
or an upgraded framework that talks differently fails here; `uv run bakeoff run --rerecord` mends it.
"""

from evaluator.pytest_plugin import TestedReplay
from evaluator.suites import replays

MEND = "if that is meant: `uv run bakeoff run --rerecord && uv run bakeoff score`"


def test_comes_out_as_recorded(replayed: TestedReplay) -> None:
    assert not replayed.unlike, "\n".join([*replayed.unlike, MEND, f"trace: {replayed.trace}"])


def test_every_recording_can_be_used() -> None:
    recorded, damaged = replays.recordings(replays.FOLDER)
    assert recorded and not damaged, "\n".join(f"{item.path}: {item.reason}" for item in damaged)
