"""The page of a year of releases: whether today's code runs, what it costs, and what changed on the wire."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from evaluator.analysis.history import ALL_TASKS, Changed, Figures, HistoryOf, Measured
from evaluator.catalog.frameworks import BASELINE
from evaluator.catalog.releases import CODE
from evaluator.history import LOCKED
from evaluator.scorecard import Scorecard, count, seconds
from evaluator.scorecard.history import back_to, change_in_a_line, change_in_full, further_back, still_runs, why
from evaluator.site.multiples import Axes, Point, in_words, marks, number, svg
from evaluator.site.render import heat, slug
from evaluator.text import shortened, visible

PAGE = "history.html"

_LONGEST_REASON = 600
_DIFFS = 45_000
"""Characters of changes on the wire that the page has room for; each framework has an equal part of it."""


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
    """How far back today's code runs, which tasks' modules run on older releases than all of them do, and how old code
    may be that still runs today, each in a sentence.

    `place` is where it stands why today's code does not run further back.
    """

    back: Markup
    alone: Markup
    reverse: str = ""
    place: str | None = None


def headline(one: HistoryOf) -> Headline:
    """What is said of a framework before all else."""
    said, breaks = back_to(one), one.breaks_at
    if breaks is not None:
        said = said.removesuffix(f": {why(breaks)}")
    today = next((cell for cell in one.releases if cell.at == LOCKED), None)
    reverse = ""
    if today is not None and (today.standing == "runs" or one.code_back_to):
        reverse = _sentence(still_runs(one, today.day[:7]))
    further = further_back(one)
    return Headline(
        _releases_whole(said[:1].upper() + said[1:]),
        _releases_whole(f"By itself, {further}.") if further else Markup(),
        reverse,
        None if breaks is None else place_of(breaks),
    )


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


def _releases_whole(text: str) -> Markup:
    """Text in which no line ends within a release and its day, where these are short."""
    parts = re.split(r"((?:\S{1,12} of )?\b\d{4}-\d\d-\d\d\b)", visible(text))
    return Markup("").join(
        Markup('<span class="release">{}</span>').format(part) if place % 2 else part
        for place, part in enumerate(parts)
    )


def _of_all(headlines: Collection[Headline]) -> str:
    """What is said of all frameworks alike about code of earlier months; empty where they differ."""
    said = {one.reverse for one in headlines}
    return said.pop() if len(said) == 1 and len(headlines) > 1 else ""


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
    """What is followed over releases. Measures with the same `scale` are drawn on the same one.

    `value` is told the task; one that is of the packages and not `of_runs` has no use for it.
    """

    title: str
    scale: str
    value: Callable[[Measured, str], float | None]
    show: Callable[[float], str]
    beside: Callable[[Measured], str] = lambda _: ""
    of_runs: bool = True


@dataclass(frozen=True)
class End:
    """The first or last figure of a chart, with what is written beside it."""

    written: str
    beside: str


@dataclass(frozen=True)
class Small:
    """A small chart: whose it is, the drawing, its first and last figure, and in which tenth of it the first one is."""

    framework: str
    svg: Markup
    ends: tuple[End, ...]
    start: int


@dataclass(frozen=True)
class Column:
    """All charts of a measure, and the ends of their scale. `task` is None where the figures are of no runs."""

    title: str
    task: str | None
    low: str
    high: str
    charts: tuple[Small, ...]


def _whole(value: float) -> str:
    return f"{round(value):,}".replace("-", "−")


def _times(value: float) -> str:
    return f"{value:.1f}×"


def _of_runs(read: Callable[[Figures], float | None]) -> Callable[[Measured, str], float | None]:
    return lambda cell, task: read(cell.figures[task]) if task in cell.figures else None


def _metric(name: str) -> Callable[[Measured, str], float | None]:
    return _of_runs(lambda figures: figures.metrics.get(name))


MEASURES = (
    Measure("injected tokens a call", "injected", _metric("injected_tokens_per_call"), _whole),
    Measure("of which system text", "injected", _of_runs(lambda one: one.injected.get("system text")), _whole),
    Measure("overhead, × the baseline's", "overhead", _of_runs(lambda one: one.ratio("overhead_s_p50")), _times),
    Measure("model calls a run", "calls", _metric("model_calls_mean"), lambda value: f"{value:.2f}"),
    Measure(
        "import, × the baseline's",
        "import",
        lambda cell, _: cell.import_times,
        _times,
        lambda cell: seconds(cell.import_s),
        of_runs=False,
    ),
    Measure("packages", "packages", lambda cell, _: cell.packages, count, of_runs=False),
    Measure("MB installed", "installed", lambda cell, _: cell.installed_mb, _whole, of_runs=False),
)


def tasks_of(found: Sequence[HistoryOf]) -> list[str]:
    """What a reader can choose: all tasks together, and each alone if there are several."""
    tasks = sorted({task for one in found for task in one.tasks})
    return [ALL_TASKS, *tasks] if len(tasks) > 1 else [ALL_TASKS]


def columns(found: Sequence[HistoryOf], titles: Mapping[str, str]) -> list[Column]:
    """The charts of every measure, of runs for each choice of tasks; empty where no framework has a figure."""
    cells = [cell for one in found for cell in one.releases]
    days, months, tasks = [cell.day for cell in cells], month_days(found), tasks_of(found)
    wanted = [(one, task) for one in MEASURES for task in (tasks if one.of_runs else [ALL_TASKS])]
    of_scale: dict[tuple[str, str], list[float]] = {}
    for measure, task in wanted:
        known = (measure.value(cell, task) for cell in cells)
        of_scale.setdefault((measure.scale, task), []).extend(value for value in known if value is not None)
    if not any(of_scale.values()):
        return []
    places = [one.place for one in releases(found)]
    made = []
    for measure, task in wanted:
        axes = Axes.of(days, of_scale[measure.scale, task])
        charts = tuple(
            _small(one, titles[one.framework], measure, task, axes, months, place)
            for one, place in zip(found, places, strict=True)
        )
        low, high = (measure.show(end) if end else "0" for end in (axes.low, axes.high))
        made.append(Column(measure.title, task if measure.of_runs else None, low, high, charts))
    return made


def _small(
    one: HistoryOf, title: str, measure: Measure, task: str, axes: Axes, months: Sequence[str], place: str | None
) -> Small:
    points = points_of(one, measure, months, task)
    known = [cell for cell in _by_age(one) if measure.value(cell, task) is not None]
    ends = [known[0], known[-1]] if len(known) > 1 else known
    of_task = f", {in_plain(task)}" if measure.of_runs else ""
    return Small(
        one.framework,
        svg(points, axes, f"{title}, {measure.title}{of_task}: {in_words(points)}", place),
        tuple(End(measure.show(measure.value(cell, task) or 0), measure.beside(cell)) for cell in ends),
        int(10 * axes.share(ends[0].day)) if ends else 0,
    )


def in_plain(task: str) -> str:
    """A task as it is called in a sentence."""
    return task.replace("_", " ")


def points_of(one: HistoryOf, measure: Measure, months: Sequence[str], task: str = ALL_TASKS) -> list[Point]:
    """The figures of a framework by age. A month that others have and it lacks is a gap, if it has months at all."""
    points = []
    for day, cell, _ in _drawn(one, months):
        value = None if cell is None else measure.value(cell, task)
        written = "" if cell is None or value is None else f"{measure.show(value)} {measure.beside(cell)}".rstrip()
        points.append(Point(day, value, written))
    return points


@dataclass(frozen=True)
class Releases:
    """What all charts of a framework have in common: where each release is, what it is called, and the path of a mark
    where the version is new. `place` is the id of that path, None where no version is new."""

    place: str | None
    marks: str
    names: tuple[tuple[str, str], ...]


def releases(found: Sequence[HistoryOf]) -> list[Releases]:
    """The releases of each framework as they are drawn."""
    axes, months = Axes.of([cell.day for one in found for cell in one.releases], []), month_days(found)
    made = []
    for one in found:
        drawn = _drawn(one, months)
        names = ((number(axes.x(day)), _named(cell) if cell else f"{day}, not tried") for day, cell, _ in drawn)
        path = marks([day for day, _, new in drawn if new], axes)
        made.append(Releases(f"new-{slug(one.framework)}" if path else None, path, tuple(names)))
    return made


def _drawn(one: HistoryOf, months: Sequence[str]) -> list[tuple[str, Measured | None, bool]]:
    """The releases of a framework by age, with the months that it lacks; and at which of them the version is new."""
    drawn: list[tuple[str, Measured | None, bool]] = []
    before = None
    for cell in _by_age(one):
        drawn.append((cell.day, cell, cell.version is not None and before is not None and cell.version != before))
        before = cell.version or before
    own = {cell.day for cell in one.releases}
    if own & set(months):
        drawn += [(day, None, False) for day in months if day not in own]
    return sorted(drawn, key=lambda point: point[0])


def _by_age(one: HistoryOf) -> list[Measured]:
    return sorted(one.releases, key=lambda cell: (cell.day, cell.at == LOCKED))


def _named(cell: Measured) -> str:
    """A release and its day, as text that can be shown."""
    if cell.version is None:
        return cell.day
    return visible(f"{cell.version} of {cell.day}")


# --- what changed on the wire ----------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What changed from one release to the next: in a line, and in full."""

    summary: Markup
    body: Markup


def changes(found: Sequence[HistoryOf], room: int = _DIFFS) -> dict[str, list[Change]]:
    """The changes of each framework that has any, the latest first, in as many characters as there is room for."""
    having = [one for one in found if one.changes]
    return {one.framework: list(_changes(one.changes, room // len(having))) for one in having}


def _changes(changed: Sequence[Changed], room: int) -> Iterator[Change]:
    for one in reversed(changed):
        lines = change_in_full(one).split("\n")
        shown, left = _fitting(lines, room)
        room -= sum(len(line) + 1 for line in shown)
        yield Change(Markup(_MARKDOWN.renderInline(change_in_a_line(one))), in_html(shown, left))


def _fitting(lines: Sequence[str], room: int) -> tuple[list[str], int]:
    """The lines that there is room for, the first always; and how many are left out."""
    shown = list(lines[:1])
    for line in lines[1:]:
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    return shown, len(lines) - len(shown)


def in_html(lines: Sequence[str], left_out: int = 0) -> Markup:
    """Lines of Markdown as they are shown. They may end within a fenced block if some are `left_out`."""
    body = Markup(_MARKDOWN.render(visible("\n".join(lines))))
    if left_out:
        body += Markup("<p>… and {} more</p>").format("1 line" if left_out == 1 else f"{left_out:,} lines")
    return body


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


def overview(card: Scorecard) -> dict[str, Any]:
    """What the template needs."""
    found = card.history
    headlines = {one.framework: headline(one) for one in found}
    if reverse := _of_all(headlines.values()):
        headlines = {name: replace(one, reverse="") for name, one in headlines.items()}
        reverse = f"For each framework, {reverse[:1].lower()}{reverse[1:]}"
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
        "headlines": headlines,
        "reverse": reverse,
        "in_short": in_short(found),
        "rows": rows,
        "headings": headings,
        "single": {name: ats for name, ats in apart.items() if ats},
        "of_code": {at: at.removeprefix(CODE) for at in of_code},
        "most_runs": max((cell.runs for one in found for cell in one.cells), default=0),
        "columns": columns(found, card.titles),
        "choices": {task: in_plain(task) for task in tasks_of(found)},
        "all_tasks": ALL_TASKS,
        "releases": releases(found),
        "span": (all_days[0], all_days[-1]) if all_days else None,
        "changes": changes(found),
        "reasons": reasons(found),
        "place_of": place_of,
    }
