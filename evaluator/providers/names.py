"""The names of the models that are built in and play what is expected or was recorded."""

SCRIPTED = "scripted"
"""The model that plays each case perfectly, and asks every framework for the same tool calls."""

PROBES_NAME = "probes"
"""The model that misbehaves on purpose: see `evaluator/probes/table.py`."""

REPLAY = "replay"
"""The recorded responses of earlier runs: see `evaluator/suites/replays.py`."""

PLAYED = (SCRIPTED, PROBES_NAME, REPLAY)
"""The models that do not answer by themselves."""


def is_real(name: str) -> bool:
    """Whether a name is that of a model that answers by itself, not one that plays what is expected or recorded."""
    return name not in PLAYED
