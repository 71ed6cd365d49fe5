"""Small charts of a figure over time, of which many stand beside one another: a few hundred bytes of SVG each.

The style sheet colours them, and keeps their lines thin however wide they are drawn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from markupsafe import Markup

_WIDTH, _HEIGHT = 120, 36
_LEFT, _RIGHT, _TOP, _BOTTOM = 4, 116, 4, 28
_TICK = _BOTTOM + 4
BETWEEN = ";"
"""What is between the written figures of a chart, of which the script makes titles."""


@dataclass(frozen=True)
class Point:
    """A figure of a day, and how it is written; None where there is none."""

    day: str
    value: float | None
    written: str = ""


@dataclass(frozen=True)
class Axes:
    """What charts have in common that are read beside one another: the first and last day, and all values.

    Zero is always among the values, so that twice as high is twice as much.
    """

    first: int
    last: int
    low: float
    high: float

    @staticmethod
    def of(days: Iterable[str], values: Iterable[float]) -> "Axes":
        """Axes on which all these days and values have a place."""
        ordinals, numbers = [_ordinal(day) for day in days] or [1], [0.0, *values]
        return Axes(min(ordinals), max(ordinals), min(numbers), max(numbers))

    def x(self, day: str) -> float:
        """The place of a day, from the left."""
        return _LEFT + (_RIGHT - _LEFT) * self.share(day)

    def share(self, day: str) -> float:
        """How much of the time is before a day, from 0 to 1; one half if there is but that day."""
        whole = self.last - self.first
        return (_ordinal(day) - self.first) / whole if whole else 0.5

    def y(self, value: float) -> float:
        """The place of a value, from the top; at the bottom if there is but zero."""
        whole = self.high - self.low
        return _BOTTOM - (_BOTTOM - _TOP) * ((value - self.low) / whole if whole else 0.0)


def _ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def stretches(points: Sequence[Point]) -> list[list[Point]]:
    """The points with a figure, in stretches without a gap."""
    return [list(group) for known, group in groupby(points, lambda one: one.value is not None) if known]


def svg(points: Sequence[Point], axes: Axes, name: str, marks: str | None = None) -> Markup:
    """The chart: a line for each stretch, a dot at each end of it, and the `marks` that stand elsewhere in the page.

    `name` is what it is called for those who do not see it. The figures are kept as they are written, by age, for those
    who point at them.
    """
    lines, dots = [], []
    for stretch in stretches(points):
        places = [f"{number(axes.x(one.day))} {number(axes.y(one.value or 0))}" for one in stretch]
        lines += [f"M{places[0]}L{' '.join(places[1:])}"] if len(places) > 1 else []
        dots += [f"M{place}h0" for place in dict.fromkeys((places[0], places[-1]))]
    written = BETWEEN.join(one.written for one in points)
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" ').format(_WIDTH, _HEIGHT),
        Markup('role="img" aria-label="{}" data-written="{}">').format(name, written),
        Markup('<path class="zero" d="M0 {}H{}"/>').format(number(axes.y(0)), _WIDTH),
        *(
            Markup('<path class="{}" d="{}"/>').format(kind, "".join(d))
            for kind, d in (("line", lines), ("dots", dots))
            if d
        ),
        Markup('<use href="#{}"/>').format(marks) if marks else Markup(),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def marks(days: Iterable[str], axes: Axes) -> str:
    """The path of a mark on each of some days, which many charts have in common."""
    return "".join(f"M{number(axes.x(day))} {_TICK}v{_HEIGHT - _TICK}" for day in days)


def number(value: float) -> str:
    """A place in a drawing, in as few characters as show it."""
    return f"{value:.1f}".removesuffix(".0")


def in_words(points: Sequence[Point]) -> str:
    """What a chart shows: each figure with the day from which on it holds, and the days from which on there is none."""
    said, before = [], None
    for one in points:
        written = "no figure" if one.value is None else one.written
        if written != before:
            said.append(f"{written} from {one.day.removesuffix('-01')}")
        before = written
    return ", ".join(said) if any(one.value is not None for one in points) else "no figure"
