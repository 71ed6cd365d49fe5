"""How a probe is played: a script with a fault before it."""

from tasks.cases import Script


class ProbeScript(Script):
    """A script with a fault before it. Runs of the same `meeting` wait for each other: so many as `parties`."""

    fault: str | None = None
    meeting: str | None = None
    parties: int = 1


SILENCE = "silence"
"""The fault of a model that never answers. It cannot be told from the messages, so it is none of `FAULTS`."""
