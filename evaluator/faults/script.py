"""How a run with a fault is played: the script of its case, and where which fault is put in."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tasks.cases import Script

Strength = Literal["once", "twice", "always"]
TIMES: dict[Strength, int] = {"once": 1, "twice": 2, "always": 10**9}
"""How often a fault comes from its place on; twice is in a row."""

Place = Literal["first", "middle", "last"]


class FaultScript(Script):
    """A script with a fault at one of its moments, which are its expected calls, or else its searches, in order.

    The fault comes at the moment of that number, `times` times from there on. Without one it is the same run,
    undisturbed. `given` has for each expected call what its result says, any of which tells that the call has worked.
    """

    fault: str | None = None
    moment: int = 0
    times: int = 1
    given: list[list[str]] = Field(default=[])


def placed(moments: Sequence[int]) -> dict[Place, int]:
    """The first, a middle and the last of these moments; of fewer than three, those that there are."""
    if not moments:
        return {}
    found: dict[Place, int] = {"first": moments[0]}
    if len(moments) > 2:
        found["middle"] = moments[len(moments) // 2]
    if len(moments) > 1:
        found["last"] = moments[-1]
    return found
