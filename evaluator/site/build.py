"""Writes the site's files into a folder: the same bytes for the same traces."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from evaluator import scorecard
from evaluator.analysis.judge import Judgement
from evaluator.analysis.kept import Kept
from evaluator.analysis.models import TIMES
from evaluator.analysis.pairs import COMPARED
from evaluator.analysis.parity import Parity
from evaluator.analysis.repricing import DEFAULT_MODELS
from evaluator.catalog.capabilities import all_capabilities, as_task
from evaluator.catalog.frameworks import IMPLEMENTATIONS, Framework, framework_folders, usable_frameworks
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.scorecard import Scorecard, tables
from evaluator.scorecard.content import about_model
from evaluator.site import capabilities, charts, code, faults, history, levels, method, overview, suites
from evaluator.site.cases import Grid, Maker, Part, grids, page_data
from evaluator.site.drawing import Chart
from evaluator.site.faults import FaultMaker, FaultPart
from evaluator.site.output import MADE_BY, START, replacing
from evaluator.site.overview import Selection
from evaluator.site.packed import SHARED_FILE, share
from evaluator.site.render import Pages, case_page, documentation, embedded, framework_page
from evaluator.stats.variance import SOURCES

Say = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and how many there are (0: not known)."""


def build(
    traces: Path,
    out: Path,
    *,
    implementations: Path = IMPLEMENTATIONS,
    kept: Kept | None = None,
    say: Say = lambda *_: None,
) -> Scorecard:
    """Build the site of all traces below `traces` in the folder `out`, in place of the site that is there.

    What has not changed since it was built last is taken from `kept`. Raises `Mistake`.
    """
    tasks = all_tasks()
    parts: list[Part] = []
    of_faults: list[FaultPart] = []

    def seen(part: Part | FaultPart | None) -> None:
        if isinstance(part, FaultPart):
            of_faults.append(part)
        elif part is not None:
            parts.append(part)
        say("runs read", sum(len(one.runs) for one in parts) + sum(len(one.marks) for one in of_faults), 0)

    frameworks, _ = usable_frameworks(implementations)  # the scorecard's notes name the others
    folders = [folder.name for folder in framework_folders(implementations)]
    titles = {name: frameworks[name].title if name in frameworks else name for name in folders}
    with replacing(out) as folder:
        card = scorecard.build(
            traces,
            implementations=implementations,
            look=Maker(titles),
            look_at_faults=FaultMaker(titles),
            seen=seen,
            kept=kept,
            prices=DEFAULT_MODELS,
        )
        pages = Pages(folder, _shared(card))
        _write(pages, card, grids(parts, list(tasks)), tasks, frameworks, kept, say)
        _write_faults(pages, card, of_faults)
        _write_capabilities(pages, card, traces, frameworks)
        if card.history:
            pages.add(history.PAGE, "history.html", history.overview(card))
        if card.suites:
            pages.add(suites.PAGE, "suites.html", suites.overview(card))
    if kept:
        kept.forget_others()
    return card


def _shared_data(pages: Pages, folder: str, data: Sequence[Sequence[bytes]]) -> list[list[str]]:
    """What the pages of a folder hold, in parts, as `static/run.js` reads it; what they share is written beside."""
    shared, left = share(data)
    pages.write(f"{folder}/{SHARED_FILE}", f'var sharedByPages = "{embedded(shared)}";\n')
    return [[embedded(part) for part in parts] for parts in left]


def _shared(card: Scorecard) -> dict[str, Any]:
    """What every page is given."""
    about = {name: documentation(text) for name in card.models if (text := about_model(name, card.outdated_models))}
    return {"made_by": MADE_BY, "card": card, "titles": card.titles, "about_model": about}


def _write(
    pages: Pages,
    card: Scorecard,
    found: Sequence[Grid],
    tasks: dict[str, Task],
    frameworks: dict[str, Framework],
    kept: Kept | None,
    say: Say,
) -> None:
    for file in sorted(files("evaluator.site").joinpath("static").iterdir(), key=lambda file: file.name):
        pages.write(f"assets/{file.name}", file.read_text(encoding="utf-8"))
    _write_overview(pages, card, kept, say)
    _write_side_by_side(pages, "compare.html", tasks, frameworks, card)
    _write_cases(pages, card, found, say)
    pages.add("method.html", "method.html", method.data(card))


def _write_faults(pages: Pages, card: Scorecard, parts: Sequence[FaultPart]) -> None:
    if card.faults is None:
        return
    pages.add(faults.PAGE, "faults.html", faults.overview(card, card.faults))
    data = _shared_data(pages, "faults", [[part.data] for part in parts])
    for part, [of_part] in zip(parts, data, strict=True):
        page = faults.of_framework(card, card.faults, part, of_part)
        pages.add(framework_page(part.framework), "fault_runs.html", page)


def _write_capabilities(pages: Pages, card: Scorecard, traces: Path, frameworks: dict[str, Framework]) -> None:
    found, there_are = card.capabilities, all_capabilities()
    if found is None:
        return
    pages.add(capabilities.PAGE, "capabilities.html", capabilities.overview(found, there_are))
    for name in found.frameworks:
        part = capabilities.runs_of(traces, name, card.titles[name], there_are)
        pages.add(capabilities.page_of(name), "capability_runs.html", capabilities.of_framework(found, part, there_are))
    for name, capability in there_are.items():
        _write_side_by_side(pages, capabilities.side_by_side(name), {name: as_task(capability)}, frameworks, card)


def _write_side_by_side(
    pages: Pages, page: str, tasks: dict[str, Task], frameworks: dict[str, Framework], card: Scorecard
) -> None:
    """A page that sets any two implementations of the same task beside one another."""
    implementations, complaints = code.implementations(frameworks, tasks, card)
    pages.add(
        page,
        "compare.html",
        {
            "implementations": implementations,
            "complaints": complaints,
            "tasks": list(dict.fromkeys(one.task for one in implementations)),
            "frameworks": list(dict.fromkeys(one.side.framework for one in implementations)),
            "pairs": embedded(code.pairs(implementations)),
        },
    )


def _write_overview(pages: Pages, card: Scorecard, kept: Kept | None, say: Say) -> None:
    shown = overview.selections(card)
    drawn = {}
    for number, selection in enumerate(shown, start=1):
        parities = [one for one in card.parities if one.model == selection.model and selection.task in (None, one.task)]
        drawn[selection.model, selection.task] = _charts(selection, parities, card.titles, kept)
        for chart in drawn[selection.model, selection.task]:
            pages.write(overview.chart_file(selection, chart), chart.svg)
        say("plots drawn", number, len(shown))
    pages.add(
        START,
        "overview.html",
        {
            "selections": shown,
            "charts": drawn,
            "columns": overview.COLUMNS,
            "chart_file": overview.chart_file,
            "comparison": card.comparison,
            "judged_cells": tables.judged_cells,
            "judge_columns": tables.JUDGE_COLUMNS,
            "pass_rate": tables.RATE.show,
            "model_times": TIMES,
            "model_columns": tables.MODEL_COLUMNS,
            "of_reference": tables.of_reference,
            "levels_chart": levels.NAME,
            "compared": COMPARED,
            "pair_rows": tables.rows,
            "pair_limits": tables.limits,
            "sources": SOURCES,
            "releases": history.in_short(card.history),
        },
    )


def _charts(selection: Selection, parities: Sequence[Parity], titles: dict[str, str], kept: Kept | None) -> list[Chart]:
    """The plots of a selection, which may have been drawn before."""
    if kept is None:
        return charts.charts(selection.cells, selection.references, parities, selection.costs, titles)
    asked = ("charts", selection.cells, selection.references, parities, selection.costs, titles)
    name = kept.name([orjson.dumps(asked, default=sorted)])  # sets, whose order is another in each process
    drawn: list[Chart] | None = kept.get(name)
    if drawn is None:
        drawn = charts.charts(selection.cells, selection.references, parities, selection.costs, titles)
        kept.put(name, drawn)
    return drawn


def _write_cases(pages: Pages, card: Scorecard, found: Sequence[Grid], say: Say) -> None:
    said: dict[tuple[str, str, str], list[Judgement]] = defaultdict(list)
    for one in card.judgements:
        said[one.key.model, one.key.task, one.key.case].append(one)
    done, cases = 0, sum(len(grid.cases) for grid in found)
    for grid in found:
        folder = case_page(grid.model, grid.task, grid.task).rpartition("/")[0]
        data = _shared_data(pages, folder, [[part.data for part in case.parts] for case in grid.cases])
        for number, (case, of_case) in enumerate(zip(grid.cases, data, strict=True)):
            judgements = said[grid.model, grid.task, case.name]
            page = page_data(grid, number, judgements, of_case)
            pages.add(case_page(grid.model, grid.task, case.name), "case.html", page)
            done += 1
            say("pages of cases written", done, cases)
    disagreements = [one for one in card.judgements if one.disagrees]
    pages.add("runs.html", "runs.html", {"disagreements": disagreements, "grids": found})
