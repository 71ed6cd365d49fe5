"""Writes the site's files into a folder: the same bytes for the same traces."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from evaluator import scorecard
from evaluator.analysis import parity
from evaluator.analysis.graded_run import GradedRun, measure_run
from evaluator.analysis.pairs import COMPARED
from evaluator.analysis.parity import Comparison, Observation
from evaluator.catalog.frameworks import BASELINE, IMPLEMENTATIONS, Framework, usable_frameworks
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.probes.behaviours import judged
from evaluator.providers.names import PROBES_NAME
from evaluator.scorecard import Scorecard, tables
from evaluator.scorecard.content import ABOUT_MODEL
from evaluator.site import charts, code, method, overview, runs
from evaluator.site.costs import PRICED_ON
from evaluator.site.output import MADE_BY, START, replacing
from evaluator.site.render import Pages, case_page, documentation, run_page
from evaluator.site.runs import RunSummary
from evaluator.stats.variance import SOURCES
from evaluator.trace import Key, Trace, read_traces
from tasks.grading import Grade

Say = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and how many there are (0: not known)."""


def build(traces: Path, out: Path, *, implementations: Path = IMPLEMENTATIONS, say: Say = lambda *_: None) -> Scorecard:
    """Build the site of all traces below `traces` in the folder `out`, in place of the site that is there.

    Raises `Mistake`.
    """
    tasks = all_tasks()
    summaries: dict[Key, RunSummary] = {}

    def keep(trace: Trace, run: GradedRun, observation: Observation | None) -> None:
        summaries[run.key] = runs.summarise(trace, run, observation)
        say("runs read", len(summaries), 0)

    with replacing(out) as folder:
        card = scorecard.build(traces, tasks=tasks, implementations=implementations, seen_run=keep, prices=[PRICED_ON])
        frameworks, _ = usable_frameworks(implementations)  # the scorecard's notes name the others
        summaries |= _probed(traces, tasks, card)
        _write(Pages(folder, _shared(card)), card, summaries, traces, tasks, frameworks, say)
    return card


def _probed(traces: Path, tasks: Mapping[str, Task], card: Scorecard) -> dict[Key, RunSummary]:
    """The probes. One passes if what the framework did will do, and its reason says what that was."""
    found: dict[Key, RunSummary] = {}
    for trace in read_traces(traces, [PROBES_NAME]):
        if not isinstance(trace, Trace) or trace.key in found or (judgement := judged(trace)) is None:
            continue
        task = tasks.get(trace.key.task)
        if trace.key.framework not in card.frameworks or task is None or not task.probes:
            continue
        probe, verdict = judgement
        said = f"{verdict.words}: {verdict.quote}" if verdict.quote else verdict.words
        grade = Grade(passed=verdict.acceptable, score=float(verdict.acceptable), reasons=[said])
        found[trace.key] = runs.summarise(trace, measure_run(trace, grade), None, probe.meaning)
    return found


def _shared(card: Scorecard) -> dict[str, Any]:
    """What every page is given."""
    about_model = {name: documentation(text) for name, text in ABOUT_MODEL.items()}
    return {"made_by": MADE_BY, "card": card, "titles": card.titles, "about_model": about_model}


def _write(
    pages: Pages,
    card: Scorecard,
    summaries: dict[Key, RunSummary],
    traces: Path,
    tasks: dict[str, Task],
    frameworks: dict[str, Framework],
    say: Say,
) -> None:
    for file in sorted(files("evaluator.site").joinpath("static").iterdir(), key=lambda file: file.name):
        pages.write(f"assets/{file.name}", file.read_text(encoding="utf-8"))
    _write_overview(pages, card, say)
    implementations, complaints = code.implementations(frameworks, tasks, card)
    pages.add(
        "compare.html",
        "compare.html",
        {
            "implementations": implementations,
            "complaints": complaints,
            "tasks": list(dict.fromkeys(one.task for one in implementations)),
            "frameworks": list(dict.fromkeys(one.side.framework for one in implementations)),
            "pairs": code.pairs(implementations),
        },
    )
    _write_runs(pages, summaries, traces, tasks, say)
    pages.add("method.html", "method.html", method.data(card))


def _write_overview(pages: Pages, card: Scorecard, say: Say) -> None:
    shown = overview.selections(card)
    drawn = {}
    for number, selection in enumerate(shown, start=1):
        parities = [one for one in card.parities if one.model == selection.model and selection.task in (None, one.task)]
        drawn[selection.model, selection.task] = charts.charts(selection.cells, parities, selection.costs, card.titles)
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
            "model_columns": tables.MODEL_COLUMNS,
            "compared": COMPARED,
            "pair_rows": tables.rows,
            "pair_limits": tables.limits,
            "sources": SOURCES,
        },
    )


def _write_runs(pages: Pages, summaries: dict[Key, RunSummary], traces: Path, tasks: dict[str, Task], say: Say) -> None:
    compared = _comparisons(summaries)
    grids = runs.grids(summaries, list(tasks))
    places = {place.key: place for grid in grids for place in runs.places(grid)}
    done = 0
    for trace in read_traces(traces):
        # A run that is recorded twice counts once, as in the scorecard.
        if not isinstance(trace, Trace) or (place := places.pop(trace.key, None)) is None:
            continue
        task = tasks[trace.key.task]
        if trace.key.model == PROBES_NAME:
            task = task.probed()
        view = runs.view(trace, task, summaries[trace.key], compared.get(trace.key))
        pages.add(run_page(trace.key), "run.html", {"view": view, "place": place})
        done += 1
        say("pages of runs written", done, len(summaries))
    for grid in grids:
        for row in grid.rows:
            keys = [key for of_framework in row.runs.values() for key in of_framework]
            scale_s = max(summaries[key].run.wall_s for key in keys)
            data = {"grid": grid, "row": row, "keys": keys, "scale_s": scale_s}
            shown = {"summaries": summaries, "compared": compared}
            pages.add(case_page(grid.model, grid.task, row.case), "case.html", data | shown)
    pages.add("runs.html", "runs.html", {"grids": grids, "summaries": summaries})


def _comparisons(summaries: dict[Key, RunSummary]) -> dict[Key, Comparison]:
    """Each run beside the baseline's run of the same case."""
    observed: dict[tuple[str, str, str], list[Observation]] = defaultdict(list)
    for key, summary in summaries.items():
        if summary.observation is not None:
            observed[key.model, key.framework, key.task].append(summary.observation)
    return {
        comparison.key: comparison
        for (model, _, task), observations in observed.items()
        for comparison in parity.compare_all(observations, observed.get((model, BASELINE, task), ()))
    }
