"""The page of a year of releases: whether today's code runs, what it costs, and what changed on the wire."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from evaluator.analysis.history import HistoryOf, Measured
from evaluator.catalog.frameworks import BASELINE
from evaluator.catalog.releases import CODE
from evaluator.history import LOCKED
from evaluator.scorecard import Scorecard, count, seconds
from evaluator.scorecard.history import back_to, release, still_runs, why
from evaluator.site.multiples import Axes, Point, in_words, svg
from evaluator.site.render import heat, slug
from evaluator.text import shortened, visible

PAGE = "history.html"

_LONGEST_REASON = 600
_DIFFS = 90_000
"""Characters of changes on the wire that the page has room for; each framework has an equal part of it."""

Words = tuple[str, Sequence[str]]
"""What changed from one release to the next: both in a few words, and lines of Markdown."""


# --- whether it runs -------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """A cell of the table of what runs. `place` is where its reason stands, of one that does not run as it should."""

    text: str
    shade: str
    version: str
    label: str
    title: str
    place: str | None


def box(cell: Measured, framework: str) -> Box:
    """A cell as it is shown; `framework` is what it is called."""
    said = f"{cell.passed} of {cell.runs} runs passed"
    text = str(cell.passed) if cell.passed == cell.runs else f"{cell.passed}/{cell.runs}"
    shade = heat(cell.passed, cell.runs) if cell.runs else "heat-none"
    if cell.not_installed is not None:
        said, text = "cannot be installed", "–"
    elif cell.standing == "runs":
        shade = "heat-10"
    version = visible(cell.version or "")
    runs = cell.standing == "runs"
    return Box(
        text=text,
        shade=shade,
        version=version,
        label=f"{framework}, {cell.at}{f' ({version})' if version else ''}: {said}",
        title=said if runs else f"{said}. {_reason(cell)}",
        place=None if runs else place_of(cell),
    )


def place_of(cell: Measured) -> str:
    """The id of where the reason of a cell stands."""
    return f"why-{slug(cell.framework)}-{slug(cell.at)}"


def _reason(cell: Measured) -> str:
    return shortened(why(cell) or "nothing was run", _LONGEST_REASON)


def month_days(found: Sequence[HistoryOf]) -> list[str]:
    """The days as of which there are cells, each of which is a column."""
    return sorted({cell.day for one in found for cell in one.releases if cell.at == cell.day})


@dataclass(frozen=True)
class Headline:
    """How far back today's code runs, and how old code may be that still runs today, each in a sentence.

    `place` is where it stands why today's code does not run further back.
    """

    back: str
    reverse: str = ""
    place: str | None = None


def headline(one: HistoryOf) -> Headline:
    """What is said of a framework before all else."""
    if not one.releases:
        return Headline("No release was tried")
    said, breaks = back_to(one), one.breaks_at
    if breaks is not None:
        said = said.removesuffix(f": {why(breaks)}")
    today = next((cell for cell in one.releases if cell.at == LOCKED), None)
    if today is None:
        said = said.removesuffix(", the locked one included")
    reverse = ""
    if today is not None and (today.standing == "runs" or one.code_back_to):
        reverse = still_runs(one, today.day[:7])
    return Headline(
        f"Today's code {visible(said)}",
        f"{reverse[:1].upper()}{reverse[1:]}." if reverse else "",
        None if breaks is None else place_of(breaks),
    )


def in_short(found: Sequence[HistoryOf]) -> str | None:
    """Of how many frameworks today's code runs on all releases; None where there is none but the baseline."""
    frameworks = [one for one in found if one.framework != BASELINE and one.releases]
    if not frameworks:
        return None
    everywhere = sum(one.breaks_at is None for one in frameworks)
    those = "1 framework" if len(frameworks) == 1 else f"{len(frameworks)} frameworks"
    run = "runs" if everywhere == 1 else "run"
    return f"{everywhere} of {those} {run} today's code unchanged on every release that was tried."


@dataclass(frozen=True)
class Reason:
    """Why neighbouring cells of a framework do not run, which is the same for all of them."""

    framework: str
    cells: tuple[Measured, ...]
    why: str


def reasons(found: Sequence[HistoryOf]) -> list[Reason]:
    """Every reason, in the order of the cells."""
    return [
        Reason(one.framework, tuple(cells), said)
        for one in found
        for said, cells in groupby((cell for cell in one.cells if cell.standing != "runs"), key=_reason)
    ]


# --- what it costs ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """What is followed over releases. Measures with the same `scale` are drawn on the same one."""

    title: str
    scale: str
    value: Callable[[Measured], float | None]
    show: Callable[[float], str]
    beside: Callable[[Measured], str] = lambda _: ""


@dataclass(frozen=True)
class End:
    """The first or last figure of a chart, with what is written beside it, and of which release it is."""

    written: str
    beside: str
    of: str


@dataclass(frozen=True)
class Small:
    """A small chart: whose it is, the drawing, its first and last figure, and in which tenth of it the first one is."""

    framework: str
    svg: Markup
    ends: tuple[End, ...]
    start: int


@dataclass(frozen=True)
class Column:
    """All charts of a measure, and the ends of their scale."""

    title: str
    low: str
    high: str
    charts: tuple[Small, ...]


def _whole(value: float) -> str:
    return f"{round(value):,}".replace("-", "−")


def _times(value: float) -> str:
    return f"{value:.1f}×"


def _metric(name: str) -> Callable[[Measured], float | None]:
    return lambda cell: cell.metrics.get(name)


MEASURES = (
    Measure("injected tokens a call", "injected", _metric("injected_tokens_per_call"), _whole),
    Measure("of which system text", "injected", lambda cell: cell.injected.get("system text"), _whole),
    Measure("overhead, × the baseline's", "overhead", lambda cell: cell.ratio("overhead_s_p50"), _times),
    Measure(
        "import, × the baseline's",
        "import",
        lambda cell: cell.ratio("import_s_p50"),
        _times,
        lambda cell: seconds(cell.metrics.get("import_s_p50")),
    ),
    Measure("packages", "packages", _metric("packages_max"), count),
    Measure("MB installed", "installed", _metric("installed_mb_max"), _whole),
    Measure("model calls a run", "calls", _metric("model_calls_mean"), lambda value: f"{value:.2f}"),
)


def columns(found: Sequence[HistoryOf], titles: Mapping[str, str]) -> list[Column]:
    """The charts of every measure; empty where no framework has a figure."""
    cells = [cell for one in found for cell in one.releases]
    days = [cell.day for cell in cells]
    if not any(measure.value(cell) is not None for measure in MEASURES for cell in cells):
        return []
    of_scale: dict[str, list[float]] = {}
    for measure in MEASURES:
        known = (measure.value(cell) for cell in cells)
        of_scale.setdefault(measure.scale, []).extend(value for value in known if value is not None)
    months = month_days(found)
    made = []
    for measure in MEASURES:
        axes = Axes.of(days, of_scale[measure.scale])
        charts = tuple(_small(one, titles[one.framework], measure, axes, months) for one in found)
        low, high = (measure.show(end) if end else "0" for end in (axes.low, axes.high))
        made.append(Column(measure.title, low, high, charts))
    return made


def _small(one: HistoryOf, title: str, measure: Measure, axes: Axes, months: Sequence[str]) -> Small:
    points = points_of(one, measure, months)
    known = [cell for cell in _by_age(one) if measure.value(cell) is not None]
    ends = [known[0], known[-1]] if len(known) > 1 else known
    return Small(
        one.framework,
        svg(points, axes, f"{title}, {measure.title}: {in_words(points)}"),
        tuple(End(measure.show(measure.value(cell) or 0), measure.beside(cell), _named(cell)) for cell in ends),
        int(10 * axes.share(ends[0].day)) if ends else 0,
    )


def points_of(one: HistoryOf, measure: Measure, months: Sequence[str]) -> list[Point]:
    """The figures of a framework by age. A month that others have and it lacks is a gap, if it has months at all."""
    points, before = [], None
    for cell in _by_age(one):
        value = measure.value(cell)
        new = cell.version is not None and before is not None and cell.version != before
        written = "" if value is None else " ".join(filter(None, (measure.show(value), measure.beside(cell))))
        mark = f"{_named(cell)}: {written or 'no figure'}" if new else None
        points.append(Point(cell.day, value, written, mark))
        before = cell.version or before
    own = {cell.day for cell in one.releases}
    if own & set(months):
        points += [Point(day, None) for day in months if day not in own]
    return sorted(points, key=lambda point: point.day)


def _by_age(one: HistoryOf) -> list[Measured]:
    return sorted(one.releases, key=lambda cell: (cell.day, cell.at == LOCKED))


def _named(cell: Measured) -> str:
    """A release and its day, as text that can be shown."""
    if cell.version is None:
        return cell.day
    return visible(f"{cell.version} of {cell.day}" if cell.version == cell.at else release(cell))


# --- what changed on the wire ----------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What changed from one release to the next: both with the first line, and the rest if there is any."""

    summary: Markup
    body: Markup


def changes(
    words: Mapping[str, Sequence[Words]], frameworks: Sequence[str], room: int = _DIFFS
) -> dict[str, list[Change]]:
    """The changes of each framework that has any, the latest first, in as many characters as there is room for."""
    having = [name for name in frameworks if words.get(name)]
    return {name: list(_changes(words[name], room // len(having))) for name in having}


def _changes(words: Sequence[Words], room: int) -> Iterator[Change]:
    for between, lines in reversed(words):
        shown, left = _fitting(lines, room)
        room -= sum(len(line) + 1 for line in shown)
        yield change(between, shown, left)


def _fitting(lines: Sequence[str], room: int) -> tuple[list[str], int]:
    """The lines that there is room for, the first always; and how many are left out."""
    shown = list(lines[:1])
    for line in lines[1:]:
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    return shown, len(lines) - len(shown)


def change(between: str, lines: Sequence[str], left_out: int = 0) -> Change:
    """A change as it is shown. Its lines may end within a fenced block, of which as many as `left_out` are missing."""
    first, rest = (lines[0], lines[1:]) if lines else ("", [])
    said = re.sub(r"^\*\*[^*]*\*\*: ", "", first)  # names the framework and the releases, as the summary does
    body = Markup(_MARKDOWN.render(visible("\n".join(rest)))) if any(rest) else Markup("")
    if left_out:
        body += Markup("<p>… and {} more</p>").format("1 line" if left_out == 1 else f"{left_out:,} lines")
    return Change(
        Markup("<strong>{}</strong> {}").format(visible(between), Markup(_MARKDOWN.renderInline(visible(said)))), body
    )


def _coloured(text: str, language: str, _: str) -> str:
    """A fenced block; of a diff, what is added and what is removed is told apart."""
    if language != "diff":
        return str(escape(text))
    kinds = {"+": "ins", "-": "del"}
    lines = []
    for line in text.splitlines(keepends=True):
        kind = None if line.startswith(("+++", "---")) else kinds.get(line[:1])
        lines.append(Markup("<{0}>{1}</{0}>").format(kind, line) if kind else escape(line))
    return str(Markup("").join(lines))


_MARKDOWN = MarkdownIt("commonmark", {"html": False, "highlight": _coloured}).disable(["image", "link", "autolink"])
"""Without links and pictures: nothing of what it shows is ours."""


# --- the page --------------------------------------------------------------------------------


def overview(card: Scorecard, words: Mapping[str, Sequence[Words]] | None = None) -> dict[str, Any]:
    """What the template needs; `words` has the changes on the wire of each framework, by age."""
    found = card.history
    frameworks = [one.framework for one in found]
    headings = {day: day[:7] if day.endswith("-01") else day for day in month_days(found)}
    if any(cell.at == LOCKED for one in found for cell in one.releases):
        headings[LOCKED] = LOCKED
    rows = {one.framework: {cell.at: box(cell, card.titles[one.framework]) for cell in one.cells} for one in found}
    apart = {
        one.framework: [cell.at for cell in _by_age(one) if cell.at != cell.day and cell.at != LOCKED] for one in found
    }
    of_code = sorted({cell.at for one in found for cell in one.cells if cell.is_of_code})
    all_days = sorted(cell.day for one in found for cell in one.releases)
    return {
        "headlines": {one.framework: headline(one) for one in found},
        "in_short": in_short(found),
        "rows": rows,
        "headings": headings,
        "single": {name: ats for name, ats in apart.items() if ats},
        "of_code": {at: at.removeprefix(CODE) for at in of_code},
        "most_runs": max((cell.runs for one in found for cell in one.cells), default=0),
        "columns": columns(found, card.titles),
        "span": (all_days[0], all_days[-1]) if all_days else None,
        "changes": changes(words or {}, frameworks),
        "reasons": reasons(found),
        "place_of": place_of,
    }
