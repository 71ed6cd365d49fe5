"""The plot of pass rates by level: a small one for each framework, all on the same scale."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from evaluator.analysis.levels import LEVELS
from evaluator.analysis.references import Kind
from evaluator.catalog.frameworks import BASELINE
from evaluator.scorecard import Cell, ReferenceRow
from evaluator.site.drawing import NAMED, POINTS, STYLE, WIDTH, Chart, svg_of

NAME = "levels"

_COLUMNS = 2
_PANEL = 1.16
"""Inches of height of a panel with its name above and its levels below."""

_TOP = 0.48
_LEFT, _RIGHT, _BETWEEN = 0.42, 0.08, 0.2
_ABOVE, _BELOW = 0.22, 0.34
_LOWEST = -0.06
_HALF = 0.4
"""Half the width of a floor or a ceiling, in levels."""

_WORDS = "; ".join(f"{level} {words}" for level, words in LEVELS.items())


def chart(cells: Sequence[Cell], references: Sequence[ReferenceRow], title: Mapping[str, str]) -> Chart | None:
    """Pass rates by level of one model and task, or all tasks, with floors and ceiling; None where no level is known.

    Of several floors the higher one is drawn.
    """
    levels = sorted({one.level for cell in cells for one in cell.levels})
    if not levels:
        return None
    drawn = [cell for cell in cells if cell.levels]
    floor, ceiling = _highest(references, "floor"), _highest(references, "ceiling")
    baseline = next((_rates(cell) for cell in drawn if cell.framework == BASELINE), {})
    with mpl.rc_context(STYLE | {"axes.grid.axis": "y", "ytick.color": NAMED["quiet"]}):
        rows = -(-len(drawn) // _COLUMNS)
        height = _TOP + rows * _PANEL
        figure = Figure(figsize=(WIDTH, height))
        width = (WIDTH - _LEFT - _RIGHT - (_COLUMNS - 1) * _BETWEEN) / _COLUMNS
        for number, cell in enumerate(drawn):
            row, column = divmod(number, _COLUMNS)
            left, bottom = _LEFT + column * (width + _BETWEEN), height - _TOP - (row + 1) * _PANEL + _BELOW
            panel = (left / WIDTH, bottom / height, width / WIDTH, (_PANEL - _ABOVE - _BELOW) / height)
            axes = figure.add_axes(panel)
            _draw(axes, cell, floor, ceiling, baseline)
            runs = {one.level: one.runs for one in cell.levels}
            axes.set_title(title[cell.framework], loc="left", fontsize=POINTS, pad=4, color=NAMED["ink"])
            axes.set_xticks(levels, [f"{level}\nn {runs.get(level, 0)}" for level in levels], fontsize=POINTS - 1.5)
            axes.set_xlim(levels[0] - 0.5, levels[-1] + 0.5)
            axes.set_ylim(_LOWEST, 1.08)
            axes.set_yticks([0, 0.5, 1], ["0", "50", "100%"] if column == 0 else [""] * 3, fontsize=POINTS - 1.5)
        figure.legend(
            handles=_legend(baseline=bool(baseline)),
            loc="upper left",
            ncols=2,
            handlelength=1.4,
            columnspacing=1.4,
            labelspacing=0.3,
        )
        svg = svg_of(figure)
    return Chart(
        NAME,
        "Pass rate by level",
        f"How many of the runs passed, by how hard the case is: {_WORDS}. n: runs. What does not rise above the floor "
        "is no better than doing nothing.",
        _in_words(drawn, levels, floor, title),
        svg,
    )


def _rates(row: Cell | ReferenceRow) -> dict[int, float]:
    return {one.level: one.rate for one in row.levels}


def _highest(references: Sequence[ReferenceRow], kind: Kind) -> dict[int, float]:
    """By level the highest rate of any reference of this kind."""
    of_kind = [_rates(row) for row in references if row.reference.kind == kind]
    levels = sorted({level for rates in of_kind for level in rates})
    return {level: max(rates[level] for rates in of_kind if level in rates) for level in levels}


def _draw(
    axes: Axes,
    cell: Cell,
    floor: Mapping[int, float],
    ceiling: Mapping[int, float],
    baseline: Mapping[int, float],
) -> None:
    for level, rate in floor.items():  # from below zero, so that a floor of zero is seen
        axes.bar([level], [rate - _LOWEST], bottom=_LOWEST, width=2 * _HALF, color=NAMED["line"], zorder=1)
    for level, rate in ceiling.items():
        axes.plot([level - _HALF, level + _HALF], [rate, rate], color=NAMED["quiet"], **_CEILING, zorder=2)
    if cell.framework != BASELINE:
        axes.plot(list(baseline), list(baseline.values()), color=NAMED["base"], **_BASELINE, zorder=3)
    rates = _rates(cell)
    colour = NAMED["base" if cell.framework == BASELINE else "c1"]
    axes.plot(list(rates), list(rates.values()), color=colour, **_FRAMEWORK, zorder=4)


_FRAMEWORK: dict[str, Any] = {"linewidth": 1.4, "marker": "o", "markersize": 4.5}
_BASELINE: dict[str, Any] = {"linewidth": 0.9, "marker": "o", "markersize": 2}
_CEILING: dict[str, Any] = {"linewidth": 1.1, "linestyle": (0, (3, 2))}


def _legend(*, baseline: bool) -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=NAMED["c1"], label="the framework", **_FRAMEWORK),
        *([Line2D([], [], color=NAMED["base"], label="the baseline", **_BASELINE)] if baseline else []),
        Line2D([], [], color=NAMED["quiet"], label="ceiling", **_CEILING),
        Patch(color=NAMED["line"], label="floor: does nothing"),
    ]


def _in_words(
    cells: Sequence[Cell], levels: Sequence[int], floor: Mapping[int, float], title: Mapping[str, str]
) -> str:
    said = [
        f"{title[cell.framework]}: "
        + ", ".join(f"level {one.level} {one.rate:.0%} of {one.runs} runs" for one in cell.levels)
        for cell in cells
    ]
    floors = ", ".join(f"level {level} {floor[level]:.0%}" for level in levels if level in floor)
    return "; ".join([*said, *([f"the floor: {floors}"] if floors else [])])
