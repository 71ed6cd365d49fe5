"""How plots are drawn: by matplotlib as SVG, so that the same cells give the same bytes.

Text stays text, and every colour is a variable that the SVG itself sets for light and for dark.
"""

import io
import re
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 4.6
"""Inches of 72 points: small, so that a phone can show a chart whole and its letters stay readable."""

POINTS = 8.8

_COLOURS = {
    # placeholder that matplotlib draws with: (name, light, dark)
    "#010101": ("ink", "#1f2328", "#e6e8eb"),
    "#020202": ("quiet", "#59636e", "#9aa4af"),
    "#030303": ("line", "#d7dbe0", "#353b44"),
    "#040404": ("accent", "#0b63b5", "#6cb2ff"),
    "#050505": ("base", "#59636e", "#9aa4af"),
    "#110000": ("c1", "#4c78b5", "#6c9bd9"),
    "#220000": ("c2", "#dd8a2e", "#f0a955"),
    "#330000": ("c3", "#3f9b8f", "#5cc1b3"),
    "#440000": ("c4", "#b8475c", "#e8788c"),
    "#550000": ("c5", "#8a65ad", "#b594d6"),
    "#660000": ("c6", "#9a8137", "#cdb25f"),
    "#770000": ("c7", "#6d7f36", "#a3b866"),
    "#880000": ("c8", "#8b8f94", "#777d85"),
}
NAMED = {name: placeholder for placeholder, (name, _, _) in _COLOURS.items()}
SERIES = [NAMED[f"c{number}"] for number in range(1, 9)]

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "bakeoff",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that the layout is the same everywhere
    "font.size": POINTS,
    "text.color": NAMED["ink"],
    "axes.labelcolor": NAMED["quiet"],
    "axes.edgecolor": NAMED["line"],
    "xtick.color": NAMED["quiet"],
    "ytick.color": NAMED["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "grid.color": NAMED["line"],
    "grid.linewidth": 0.6,
    "ytick.major.size": 0,
    "xtick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": POINTS - 0.5,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Chart:
    """A plot as an SVG file, and in words what it shows, for those who do not see it."""

    name: str
    title: str
    note: str
    alternative: str
    svg: str

    @property
    def size(self) -> tuple[str, str]:
        """Width and height of the plot, so that a page has room for it before it is there."""
        found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', self.svg)
        assert found  # matplotlib always writes one
        return found[1], found[2]


def figure_of(height: float, *, left: float, right: float = 0.2, top: float = 0.1) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, its margins in inches."""
    figure = Figure(figsize=(WIDTH, height))
    bottom = 0.42
    area = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - bottom - top) / height)
    return figure, figure.add_axes(area)


def svg_of(figure: Figure) -> str:
    """The figure as SVG with variables for its colours; nothing in it says when or by what it was made."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    for placeholder, (name, _, _) in _COLOURS.items():
        svg = svg.replace(placeholder, f"var(--{name})")
    svg = svg.replace("font-family: 'DejaVu Sans'; ", "").replace("; font-family: 'DejaVu Sans'", "")
    light, dark = ("".join(f"--{colour[0]}:{colour[theme]};" for colour in _COLOURS.values()) for theme in (1, 2))
    letters = "text{font-family:system-ui,'Segoe UI','DejaVu Sans',sans-serif}"
    style = f"<style>{letters}:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r"(<svg[^>]*>)", lambda match: match[1] + style, _shortened(svg), count=1)


_PLACES = re.compile(r' (?:d|x|y|width|height|transform|points)="[^"]*"')
_NAMED = re.compile(r' id="(?P<id>[^"]*)"')


def _shortened(svg: str) -> str:
    """The same picture with places to a hundredth of a point, without blanks and names that do nothing."""

    def places(match: re.Match[str]) -> str:
        text = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), match[0])
        return re.sub(r"\s*\n\s*(?=[A-Za-z\"])|(?<=[A-Za-z]) (?=[-\d])", "", text)

    used = {name for pair in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg) for name in pair if name}
    svg = _PLACES.sub(places, svg)
    svg = _NAMED.sub(lambda match: match[0] if match["id"] in used else "", svg)
    svg = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", svg)
    return re.sub(r">\s*\n\s*<", "><", svg)
