"""The plots of the overview, but for that of the levels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import matplotlib as mpl
from matplotlib.axes import Axes

from evaluator.analysis.metrics import Value
from evaluator.analysis.parity import PARTS, Parity, mean_per_call
from evaluator.analysis.parity.report import per_call
from evaluator.catalog.frameworks import BASELINE
from evaluator.scorecard import Cell, ReferenceRow, count, seconds
from evaluator.site import levels
from evaluator.site.costs import Costs
from evaluator.site.drawing import NAMED, POINTS, SERIES, STYLE, Chart, figure_of, svg_of

_ROW = 0.27
"""Inches of a bar and the room around it."""


@dataclass(frozen=True)
class _Bars:
    """A row of horizontal bars: a label, its parts from left to right, and what is written at its end."""

    label: str
    parts: tuple[float, ...]
    written: str


def charts(
    cells: Sequence[Cell],
    references: Sequence[ReferenceRow],
    parities: Iterable[Parity],
    costs: Costs | None,
    title: Mapping[str, str],
) -> list[Chart]:
    """The plots of the cells of one model and one task, or of all tasks, with the parities and costs of their runs.

    `references` are the floors and the ceiling on the same cases.
    """
    compared = list(parities)
    drawn = [
        levels.chart(cells, references, title),
        _correctness_against_cost(cells, references, costs, title),
        _wall_time(cells, title),
        _beyond_the_model(cells, title),
        _injected(cells, compared, title),
        _source_lines(cells, title),
        _cold_start(cells, title),
    ]
    return [chart for chart in drawn if chart is not None]


def pareto_front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points (cost, gain) those that none beats: at most the same cost and at least the same gain, and one better.

    By increasing cost; points that are alike come once.
    """
    front: list[tuple[float, float]] = []
    for cost, gain in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or gain > front[-1][1]:
            front.append((cost, gain))
    return front


# --- the plots -------------------------------------------------------------------------------


def _correctness_against_cost(
    cells: Sequence[Cell], references: Sequence[ReferenceRow], costs: Costs | None, title: Mapping[str, str]
) -> Chart | None:
    if costs is None:
        return None
    points = [
        (cell, 1000 * costs.usd[cell.framework], float(cell.metrics["pass_rate"] or 0))
        for cell in cells
        if cell.framework in costs.usd
    ]
    front = pareto_front((cost, rate) for _, cost, rate in points)
    with mpl.rc_context(STYLE | {"axes.grid.axis": "both", "ytick.color": NAMED["quiet"]}):
        names = max(len(title[cell.framework]) for cell, _, _ in points)
        figure, axes = figure_of(3.8, left=0.62, right=0.25 + 0.06 * names)
        lowest, highest = (pick(cost for _, cost, _ in points) for pick in (min, max))
        room = max(highest - lowest, highest * 0.05) * 0.12
        axes.set_xlim(lowest - room, highest + room)
        axes.set_ylim(-0.06, 1.06)
        _draw_references(axes, references)
        steps = [*front, (highest + room, front[-1][1])]
        axes.plot(*zip(*steps, strict=True), color=NAMED["accent"], linewidth=1.1, drawstyle="steps-post", zorder=2)
        for cell, cost, rate in points:
            colour = NAMED["base"] if cell.framework == BASELINE else NAMED["c2"]
            low, high = (float(cell.metrics[name] or 0) for name in ("pass_rate_low", "pass_rate_high"))
            axes.plot([cost, cost], [low, high], color=NAMED["line"], linewidth=2.2, zorder=1)
            axes.plot([cost], [rate], "o", color=colour, markersize=6, zorder=3)
        _label_points(axes, [(cost, rate, title[cell.framework]) for cell, cost, rate in points])
        axes.locator_params(nbins=5)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.set_xlabel(f"$ for 1,000 runs, at the prices of {costs.on}")
        axes.set_ylabel("runs that passed")
        svg = svg_of(figure)
    best = [title[cell.framework] for cell, cost, rate in points if (cost, rate) in front]
    words = (f"{title[cell.framework]} {rate:.0%} at ${cost:.3g} for 1,000 runs" for cell, cost, rate in points)
    return Chart(
        "correctness",
        "Correctness against cost",
        "Higher and further left is better. The line is the Pareto front: nothing is both cheaper and more often right "
        f"than what lies on it. Grey bars are 95 % intervals of the pass rate; the grey area is what passes by doing "
        f"nothing, the dashed line the gold outcome. {costs.in_words}",
        f"{'; '.join(words)}. On the Pareto front: {', '.join(best)}. {_references_in_words(references)}",
        svg,
    )


def _draw_references(axes: Axes, references: Sequence[ReferenceRow]) -> None:
    """The floors as an area up to the higher one, the ceiling as a line: they have no cost."""
    floors = [float(row.metrics["pass_rate"] or 0) for row in references if row.reference.kind == "floor"]
    if floors:
        axes.axhspan(axes.get_ylim()[0], max(floors), color=NAMED["line"], alpha=0.5, linewidth=0, zorder=0)
    for row in references:
        if row.reference.kind == "ceiling":
            rate = float(row.metrics["pass_rate"] or 0)
            axes.axhline(rate, color=NAMED["quiet"], linewidth=1, linestyle=(0, (3, 2)), zorder=1)


def _references_in_words(references: Iterable[ReferenceRow]) -> str:
    return "; ".join(f"{row.reference.title} {float(row.metrics['pass_rate'] or 0):.0%}" for row in references)


def _label_points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write each point's name right of the plot, near its height, with a line to it."""
    low, high = axes.get_ylim()
    by_height = sorted(points, key=lambda point: (-point[1], point[0]))
    places = spread([rate for _, rate, _ in by_height], gap=(high - low) * 0.062)
    shift = min(0.0, high - places[0]) or max(0.0, low - places[-1])
    places = [place + shift for place in places]
    ordered: list[tuple[float, float, str]] = []
    for rate, alike in groupby(by_height, key=lambda point: point[1]):
        group = list(alike)
        above = sum(place > rate for place in places[len(ordered) : len(ordered) + len(group)])
        ordered += [*group[:above], *reversed(group[above:])]  # so that no line crosses another
    for (cost, rate, name), place in zip(ordered, places, strict=True):
        axes.annotate(
            name,
            xy=(cost, rate),
            xytext=(1.03, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=POINTS - 1,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": NAMED["quiet"],
                "linewidth": 0.5,
                "relpos": (0, 0.5),
                "shrinkA": 0,
                "zorder": 1,
            },
        )


def spread(wanted: Iterable[float], gap: float) -> list[float]:
    """Places that are as near as can be to those `wanted`, which must fall, and at least `gap` apart.

    Least squares, by pooling those that stand too close (Barlow et al., "Statistical Inference under Order
    Restrictions", Wiley 1972, section 1.2).
    """
    pools: list[tuple[float, int]] = []  # the sum of the places if each gap were taken out, and how many
    for number, place in enumerate(wanted):
        total, size = place + number * gap, 1
        while pools and pools[-1][0] / pools[-1][1] < total / size:
            other, others = pools.pop()
            total, size = total + other, size + others
        pools.append((total, size))
    levels = [total / size for total, size in pools for _ in range(size)]
    return [level - number * gap for number, level in enumerate(levels)]


def _wall_time(cells: Sequence[Cell], title: Mapping[str, str]) -> Chart | None:
    names = {"model": "model_s_p50", "tools": "tool_s_p50", "gateway": "gateway_s_p50", "overhead": "overhead_s_p50"}
    rows = [
        _Bars(
            title[cell.framework],
            tuple(_number(cell, name) for name in names.values()),
            seconds(cell.metrics["wall_s_p50"]),
        )
        for cell in cells
    ]
    svg = _stacked(rows, list(names), f"seconds of a run ({_typical(cells)})")
    return Chart(
        "wall-time",
        "Where the time goes",
        f"The parts of a run's wall time, and at the end the whole: {_typical(cells)}.",
        _in_words(rows, list(names), seconds),
        svg,
    )


def _typical(cells: Sequence[Cell]) -> str:
    """What stands for the runs' times."""
    return "medians" if cells[0].task else "geometric means of the tasks' medians"


def _beyond_the_model(cells: Sequence[Cell], title: Mapping[str, str]) -> Chart | None:
    names = {"tools": "tool_s_p50", "gateway": "gateway_s_p50", "overhead": "overhead_s_p50"}
    known = sorted(cells, key=lambda cell: _number(cell, "overhead_s_p50"))
    rows = [
        _Bars(
            title[cell.framework],
            tuple(1000 * _number(cell, name) for name in names.values()),
            seconds(cell.metrics["overhead_s_p50"]),
        )
        for cell in known
    ]
    svg = _stacked(rows, list(names), f"milliseconds of a run ({_typical(cells)})", first_colour=1)
    return Chart(
        "beyond-the-model",
        "Time beyond the model, the fastest first",
        "The same without the model's part. Overhead, written at the end, is the framework's own work.",
        _in_words(rows, list(names), lambda value: f"{count(value)} ms"),
        svg,
    )


def _injected(cells: Sequence[Cell], parities: Sequence[Parity], title: Mapping[str, str]) -> Chart | None:
    known = [cell for cell in cells if cell.metrics["injected_tokens_per_call"] is not None]
    parts = {
        cell.framework: {
            part: mean_per_call((one for one in parities if one.framework == cell.framework), part) or 0.0
            for part in PARTS
        }
        for cell in known
    }
    used = [part for part in PARTS if any(abs(of_call[part]) >= 0.05 for of_call in parts.values())]
    if not used:
        return None
    known.sort(key=lambda cell: -_number(cell, "injected_tokens_per_call"))
    rows = [
        _Bars(
            title[cell.framework],
            tuple(parts[cell.framework][part] for part in used),
            per_call(cell.metrics["injected_tokens_per_call"]),
        )
        for cell in known
    ]
    return Chart(
        "injected-tokens",
        "Injected tokens for each call, the most first",
        "Prompt tokens beyond those of the task's canonical request for the same step, by the part where "
        "they lie; left of zero a framework leaves something out. The sum is written at the end.",
        _in_words(rows, used, per_call),
        _stacked(rows, used, "tokens of a call"),
    )


def _source_lines(cells: Sequence[Cell], title: Mapping[str, str]) -> Chart | None:
    rows = _rows_of("source_lines", count, cells, title)
    if not rows:
        return None
    what = "source lines" if cells[0].task else "source lines of all tasks"
    return Chart(
        "code-size",
        "Code size, the shortest first",
        "Lines that hold code, without blank lines, comments and docstrings.",
        _in_words(rows, ["lines"], count),
        _stacked(rows, ["lines"], what),
    )


def _cold_start(cells: Sequence[Cell], title: Mapping[str, str]) -> Chart | None:
    rows = _rows_of("import_s_p50", seconds, cells, title)
    if not rows:
        return None
    return Chart(
        "cold-start",
        "Cold start, the quickest first",
        "Median time to import the framework and its implementation in a new process; no run's time contains it.",
        _in_words(rows, ["import"], seconds),
        _stacked(rows, ["import"], "seconds"),
    )


def _rows_of(metric: str, show: Callable[[Value], str], cells: Iterable[Cell], title: Mapping[str, str]) -> list[_Bars]:
    """A bar for each cell that has the metric, the lowest first."""
    known = sorted((cell for cell in cells if cell.metrics[metric] is not None), key=lambda one: _number(one, metric))
    return [_Bars(title[cell.framework], (_number(cell, metric),), show(cell.metrics[metric])) for cell in known]


def _number(cell: Cell, metric: str) -> float:
    return float(cell.metrics[metric] or 0)


# --- drawing ---------------------------------------------------------------------------------


def _stacked(rows: Sequence[_Bars], names: Sequence[str], unit: str, first_colour: int = 0) -> str:
    """Horizontal bars, one for each row from top to bottom; parts below zero go to the left."""
    with mpl.rc_context(STYLE):
        legend = len(names) > 1
        lines = -(-len(names) // 3) if legend else 0
        figure, axes = figure_of(len(rows) * _ROW + 0.5 + 0.2 * lines, left=1.86, top=0.08 + 0.2 * lines)
        places = range(len(rows))
        right, left = [0.0] * len(rows), [0.0] * len(rows)
        for number, name in enumerate(names):
            widths = [row.parts[number] for row in rows]
            starts = [right[i] if width >= 0 else left[i] for i, width in enumerate(widths)]
            colour = SERIES[(number + first_colour) % len(SERIES)]
            axes.barh(places, widths, left=starts, height=0.62, color=colour, label=name)
            right = [right[i] + max(width, 0) for i, width in enumerate(widths)]
            left = [left[i] + min(width, 0) for i, width in enumerate(widths)]
        span = max(right) - min(left) or 1.0
        for place, row in enumerate(rows):
            axes.text(right[place] + span * 0.015, place, row.written, va="center", fontsize=POINTS - 0.5)
        axes.set_xlim(min(left) - (span * 0.02 if min(left) < 0 else 0), max(right) + span * 0.17)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(places, [row.label for row in rows])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}".replace("-", "−"))
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(unit)
        if min(left) < 0:
            axes.axvline(0, color=NAMED["quiet"], linewidth=0.8)
        if legend:
            figure.legend(loc="upper left", ncols=3, handlelength=0.9, handleheight=0.9, columnspacing=1.2)
        return svg_of(figure)


def _in_words(rows: Sequence[_Bars], names: Sequence[str], show: Callable[[Value], str]) -> str:
    if len(names) == 1:
        return "; ".join(f"{row.label} {row.written}" for row in rows)
    return "; ".join(
        f"{row.label}: " + ", ".join(f"{name} {show(part)}" for name, part in zip(names, row.parts, strict=True))
        for row in rows
    )
