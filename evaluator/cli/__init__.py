"""The command line: `bakeoff run`, `score`, `report`, `compare`, `parity`, `export`, `doctor`, `list`, `bench`."""

import asyncio
import contextlib
import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.table import Table

from evaluator import ROOT, scorecard
from evaluator import compare as side_by_side
from evaluator.analysis.parity import report as parity_report
from evaluator.analysis.repricing import DEFAULT_MODELS
from evaluator.catalog.frameworks import (
    Framework,
    MetadataError,
    all_frameworks,
    implementation_path,
    numbered_deviations,
)
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.doctor import machine as doctor_machine
from evaluator.doctor import model as doctor_model
from evaluator.doctor import telling
from evaluator.export import run_table, training
from evaluator.export.runs import ExportError, Report, graded_runs, trace_folders
from evaluator.harness.environments import ProvisionError, provision
from evaluator.harness.jobs import WORK, Job, Settings, interleaved
from evaluator.harness.matrix import ModelGoneError, harness, run_all
from evaluator.harness.progress import Progress
from evaluator.harness.records import BusyError, Records, TracesError, exclusive
from evaluator.models import local, specs
from evaluator.models.weights import WeightsError
from evaluator.probes.behaviours import unexpected
from evaluator.providers import endpoints
from evaluator.providers.names import PROBES_NAME, REPLAY, SCRIPTED
from evaluator.providers.prices import PriceError
from evaluator.ranking import ranks
from evaluator.ranking import report as ranking_report
from evaluator.site import output as site_output
from evaluator.suites import probing, replays
from evaluator.trace import read_traces
from tasks.base import SIZES, Case, CasesError, load_cases, of_size

T = TypeVar("T")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The same agent, written in every framework, measured side by side.",
)
console = Console(width=None if sys.stdout.isatty() else 100)


class UsageMistake(ValueError):
    """The user asked for something that is not there. The message says what there is."""


class Stopped(Exception):
    """The user pressed Ctrl-C. (Typer would make `KeyboardInterrupt` into its own message.)"""


_MISTAKES = (
    *(UsageMistake, specs.ModelError, endpoints.EndpointError, CasesError, MetadataError, ProvisionError),
    *(WeightsError, TracesError, side_by_side.ImplementationError, ExportError, replays.RecordingsError),
    *(site_output.OutError, ranks.WeightsMistake, PriceError),
)


def main() -> None:
    """Entry point: a user's mistake ends with one line and exit code 2, a failure with exit code 1."""
    try:
        app()
    except _MISTAKES as mistake:
        print(f"bakeoff: {mistake}", file=sys.stderr)
        sys.exit(2)
    except (BusyError, local.LocalModelError) as failure:
        print(f"bakeoff: {failure}", file=sys.stderr)
        sys.exit(1)
    except ModelGoneError as failure:
        print(f"bakeoff: {failure}; what was made is kept, and the same command goes on from here", file=sys.stderr)
        sys.exit(1)
    except Stopped:
        print("bakeoff: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


_MOST_RUNS = 12

_FORMATS = (*training.LAYOUTS, *run_table.FORMATS, "otlp", "inspect")
_FILE_NAMES = {"inspect": "inspect", **{layout: f"runs.{layout}" for layout in run_table.FORMATS}}

FrameworkOption = Annotated[
    str | None, typer.Option("--framework", "-f", metavar="NAME,…", help="Frameworks. Default: all.")
]
TaskOption = Annotated[str | None, typer.Option("--task", "-t", metavar="TASK,…", help="Tasks. Default: all.")]
BaseUrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="OpenAI-compatible server, in place of the endpoint's own.")
]
KeyVariableOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Variable that holds its key. Default: the endpoint's, else {specs.DEFAULT_KEY_VARIABLE}.",
    ),
]
TracesOption = Annotated[Path, typer.Option("--traces", metavar="DIR", help="Where the traces are.")]


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff run                                   every framework, every task, two cases each, the embedded model

    bakeoff run -m scripted --cases full          all cases against the scripted model: is everything carried through?

    bakeoff run -m probes -f crewai               what a framework does when model, tool or user do something unusual

    bakeoff run -f langgraph,baseline -t handoff  two frameworks on one task

    bakeoff run -f langgraph -m local -m local-0.5b             is it the framework or the model?

    bakeoff run -m replay                         the recorded runs of traces/local once more, without a model

    bakeoff run --rerecord                        mend the recordings of traces/local that no longer replay

    bakeoff run -m ollama/qwen3:8b --cases standard --trials 3

    bakeoff run -m qwen3 --base-url http://localhost:11434/v1   a server that is none of the endpoints"""
)
def run(
    framework: FrameworkOption = None,
    task: TaskOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help=f"{', '.join(map(repr, specs.BUILT_IN))}, ENDPOINT/MODEL (see `bakeoff list`), or a name with "
            f"--base-url. Several: one -m for each. Default: {local.NAME}.",
        ),
    ] = None,
    base_url: BaseUrlOption = None,
    key_variable: KeyVariableOption = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Repetitions of each run. Default: 1; for replays those recorded."),
    ] = None,
    cases: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|FILE",
            help="quick (2 a task), standard (8), full, or your own cases.jsonl. Default: quick; "
            "for replays those recorded.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Runs at once. Default: 1; one for each core where no model computes."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=1, metavar="S", help="Seconds that a run may take. Default: the model's.")
    ] = None,
    max_model_calls: Annotated[
        int, typer.Option(min=1, metavar="N", help="Model calls that a run may make.")
    ] = Settings.max_model_calls,
    traces: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the traces go. Default: .bakeoff/traces; traces for --rerecord."),
    ] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Make runs again that are recorded already.")] = False,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Recorded traces of one model, for -m replay. Default: traces/local."),
    ] = None,
    rerecord: Annotated[
        bool, typer.Option("--rerecord", help="Make those runs again whose recording in --traces no longer replays.")
    ] = False,
) -> None:
    """Run frameworks on tasks against one model or several in turn, and print the scorecard.

    Interrupted, the same command goes on where it stopped.

    A run is made again only if its code, lock, task, model or limits changed.

    A replay needs no model: recorded responses answer, under the recorded limits. Exit code 1 if it differs.
    """
    names = model or [REPLAY if replay else local.NAME]
    chosen_models = specs.resolve_all(names, base_url, key_variable)
    replaying = REPLAY in names
    if replay is not None and not replaying:
        raise UsageMistake(f"--replay is for -m {REPLAY}, and not for -m {names[0]}")
    if replaying and (timeout is not None or max_model_calls != Settings.max_model_calls):
        raise UsageMistake("a replay has its recorded limits: leave out --timeout and --max-model-calls")
    if rerecord and (rerun or len(chosen_models) > 1 or chosen_models[0].name in (PROBES_NAME, REPLAY)):
        raise UsageMistake("--rerecord is for one model, for none that is probing or replaying, and not for --rerun")
    traces = traces or (ROOT if rerecord else WORK) / "traces"
    every_framework = all_frameworks()
    frameworks = _chosen(framework, every_framework, "framework")
    chosen_tasks = _chosen(task, all_tasks(), "task")

    def planned(spec: specs.ModelSpec) -> _Plan:
        if spec.name == PROBES_NAME:
            task_names = [a_task.name for a_task in chosen_tasks]
            return _Plan(probing.settings(jobs=jobs or spec.jobs), probing.jobs(frameworks, task_names))
        if spec.name == REPLAY:
            return _Plan(replays.settings(jobs=jobs or spec.jobs), recorded(replay or replays.FOLDER))
        settings = Settings(
            model=spec, timeout_s=timeout or spec.timeout_s, jobs=jobs or spec.jobs, max_model_calls=max_model_calls
        )
        if rerecord:
            return _Plan(settings, recorded(traces / spec.name))
        with_cases = [(a_task, _cases(a_task, cases or SIZES[0], len(chosen_tasks))) for a_task in chosen_tasks]
        return _Plan(settings, interleaved(frameworks, with_cases, trials or 1))

    def recorded(folder: Path) -> list[Job]:
        chosen = {a_task.name: _cases(a_task, cases, len(chosen_tasks)) for a_task in chosen_tasks} if cases else None
        return _replays(folder, frameworks, chosen_tasks, chosen, trials)

    plans = [planned(spec) for spec in chosen_models]
    for path in (implementation_path(f.folder, a_task.name) for f in frameworks for a_task in chosen_tasks):
        if not path.is_file():
            raise UsageMistake(f"{_shown(path)}: there is no such file; choose frameworks with -f and tasks with -t")
    with exclusive(traces):
        try:
            if rerecord:
                plans = [replace(plan, jobs=uvloop.run(_no_longer_replaying(plan.jobs))) for plan in plans]
            uvloop.run(_run(plans, traces, rerun or rerecord))
        except KeyboardInterrupt:
            raise Stopped from None
    shown = {(plan.model, job.framework.name, job.task.name) for plan in plans for job in plan.jobs}
    card = scorecard.build(
        traces,
        models=[plan.model for plan in plans],
        keep=lambda key: (key.model, key.framework, key.task) in shown,
    )
    scorecard.print_scorecard(console, card, f"`bakeoff score --traces {_shown(traces)}`")
    as_recorded = all(
        _came_out_as_recorded(plan.jobs, traces, replay or replays.FOLDER) for plan in plans if plan.model == REPLAY
    )
    if any(unexpected(behaviour, every_framework) for behaviour in card.behaviours) or not as_recorded:
        raise typer.Exit(1)


def _replays(
    folder: Path,
    frameworks: Sequence[Framework],
    tasks: Sequence[Task],
    cases: Mapping[str, Sequence[Case]] | None,
    trials: int | None,
) -> list[Job]:
    """A replay of each recorded run that was chosen; says what has no recording."""
    recorded, damaged = replays.recordings(folder)
    for item in damaged:
        _say(f"{_shown(item.path)}: left out: {item.reason}")
    jobs = replays.jobs(recorded, frameworks, tasks, cases, trials)
    there_are = {(job.framework.name, job.task.name) for job in jobs}
    lacking = [f"{f.name} {task.name}" for f in frameworks for task in tasks if (f.name, task.name) not in there_are]
    if not jobs:
        raise UsageMistake(f"{_shown(folder)}: has no recording of what was asked for")
    if lacking:
        _say(f"{_shown(folder)}: has no recording of {', '.join(lacking)}; left out")
    return jobs


async def _no_longer_replaying(jobs: Sequence[Job]) -> list[Job]:
    """The runs to record again: those whose recording does not replay. No model is needed to find them."""
    _say(f"replaying {len(jobs)} recorded runs")
    settings = replays.settings(jobs=os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as folder:
        await _run([_Plan(settings, list(jobs))], Path(folder), rerun=True)
        found = replays.unlike_runs(jobs, Path(folder))
    _say(f"{len(found)} of {len(jobs)} recorded runs no longer replay{' and are recorded again:' if found else ''}")
    _say_runs(found)
    return [replace(job, recording=None) for job, _ in found]


def _came_out_as_recorded(jobs: Sequence[Job], traces: Path, folder: Path) -> bool:
    """Whether the replays gave what was recorded, run by run and in the figures of the scorecard; says so."""
    chosen = {(job.framework.name, job.task.name, job.case.id, job.trial) for job in jobs}

    def cells(root: Path, names: Sequence[str] | None) -> list[scorecard.Cell]:
        card = scorecard.build(
            root, models=names, keep=lambda key: (key.framework, key.task, key.case, key.trial) in chosen
        )
        return [*card.cells, *card.totals]

    runs = replays.unlike_runs(jobs, traces)
    recorded = cells(folder, None)
    figures = replays.unlike_cells(recorded, cells(traces, [REPLAY]))
    scored = sum(int(cell.metrics["runs"] or 0) for cell in recorded if cell.task is None)
    if scored < len(jobs):
        figures.insert(0, f"the runs: {len(jobs)} were replayed, and {scored} can be scored as they were recorded")
    _say(f"{len(jobs) - len(runs)} of {len(jobs)} runs came out as recorded in {_shown(folder)}")
    _say_runs(runs)
    if figures:
        _say(f"correctness or tokens differ in {len(figures)} figures, such as {figures[0]}")
    else:
        _say("correctness and tokens are exactly those recorded, in every cell; model time is the recorded one")
    return not runs and not figures


def _say_runs(runs: Sequence[tuple[Job, str]]) -> None:
    for job, reason in runs[:_MOST_RUNS]:
        _say(f" {job.framework.name} {job.task.name} {job.case.id}.{job.trial}: {' '.join(reason.split())[:300]}")
    if len(runs) > _MOST_RUNS:
        _say(f" … and {len(runs) - _MOST_RUNS} more")


@dataclass(frozen=True)
class _Plan:
    """The runs that were asked for against one model."""

    settings: Settings
    jobs: list[Job]

    @property
    def model(self) -> str:
        """The model's name."""
        return self.settings.model.name


async def _run(plans: Sequence[_Plan], traces: Path, rerun: bool) -> None:
    """Make the runs that are not recorded yet, one model after the other."""
    to_make: list[tuple[_Plan, Records]] = []
    for plan in plans:
        records = Records(plan.settings, await asyncio.to_thread(specs.digest, plan.settings.model, console))
        missing = plan.jobs if rerun else records.missing(plan.jobs, traces)
        if missing:
            to_make.append((replace(plan, jobs=missing), records))
    asked = sum(len(plan.jobs) for plan in plans)
    if done := asked - sum(len(plan.jobs) for plan, _ in to_make):
        again = "" if to_make else "; --rerun makes them again"
        _say(f"{done} of {asked} runs are recorded already in {_shown(traces)}{again}")
    if not to_make:
        return
    for framework in dict.fromkeys(job.framework for plan, _ in to_make for job in plan.jobs):
        await provision(framework, _say)
    with Progress(console, {plan.model: (plan.jobs, plan.settings.jobs) for plan, _ in to_make}) as progress:
        for plan, records in to_make:
            task_names = list(dict.fromkeys(job.task.name for job in plan.jobs))
            async with harness(plan.settings, task_names, console, records=records) as opened:
                shown = (partial(show, plan.model) for show in (progress.started, progress.finished))
                await run_all(opened, plan.jobs, traces, plan.settings.jobs, *shown)


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff score                          rebuild SCORECARD.md from the committed traces

    bakeoff score --traces .bakeoff/traces --out /tmp/mine      a scorecard of your own runs

    bakeoff score --out /tmp/mine --prices openai/gpt-5-mini,anthropic/claude-haiku-4-5      what would it have cost?

    bakeoff score --weights correctness=3,cost=1                a ranking in which correctness counts three times

    bakeoff score --weights latency=2,code --json"""
)
def score(
    traces: TracesOption = ROOT / "traces",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the scorecard goes.")] = ROOT,
    prices: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL,…",
            help="ENDPOINT/MODEL, with an endpoint of `bakeoff list` or a provider of the package genai-prices: what "
            f"would the runs have cost there? '' for none. Default: {', '.join(DEFAULT_MODELS)}.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=WEIGHT,…",
            help=f"Rank the frameworks instead, by your weights of {', '.join(ranks.CRITERIA)}.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The ranking, for programs.")] = False,
) -> None:
    """Compute scorecard.json and SCORECARD.md from traces. The same traces give the same bytes.

    There is no overall number by default. With --weights a ranking is printed, and nothing is written.
    """
    chosen_weights = None if weights is None else ranks.read_weights(weights)
    if as_json and chosen_weights is None:
        raise UsageMistake("--json is for the ranking, which needs --weights; all else is in scorecard.json")
    if chosen_weights is not None and prices is not None:
        raise UsageMistake("--prices is for the scorecard, which --weights does not write: leave one of them out")
    if not traces.is_dir():
        raise UsageMistake(f"--traces {traces}: there is no such folder")
    if chosen_weights is not None:
        card = scorecard.build(traces)
        found = ranks.rankings(card, chosen_weights)
        if as_json:
            console.print_json(data=ranking_report.as_data(found, chosen_weights))
        else:
            ranking_report.print_rankings(console, card, found, chosen_weights)
        return
    out.mkdir(parents=True, exist_ok=True)
    card = scorecard.score(traces, out, prices=DEFAULT_MODELS if prices is None else _names(prices))
    scorecard.print_scorecard(console, card, _shown(out / scorecard.MARKDOWN_NAME))
    _say(f"wrote {_shown(out / scorecard.JSON_NAME)} and {_shown(out / scorecard.MARKDOWN_NAME)}")


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff report --open                  the site of the committed traces, in your browser

    bakeoff report --traces .bakeoff/traces --out /tmp/mine      a site of your own runs"""
)
def report(
    traces: TracesOption = ROOT / "traces",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the site goes.")] = ROOT / site_output.NAME,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Build the static site: the matrix with plots, the code side by side, every run, and the method.

    It needs no server and no network. The same traces give the same bytes.
    """
    from evaluator.analysis.kept import Kept
    from evaluator.models import weights
    from evaluator.site import build

    if not traces.is_dir():
        raise UsageMistake(f"--traces {traces}: there is no such folder")
    with Bar(console=console, disable=not console.is_terminal, transient=True) as bar:
        step = bar.add_task("reading traces", total=None)
        card = build.build(
            traces,
            out,
            kept=Kept(weights.cache_dir() / "report"),
            say=lambda what, done, total: bar.update(step, description=what, completed=done, total=total or None),
        )
    for damaged in card.damaged:
        _say(f"left out: {damaged.path}: {damaged.reason}")
    start = out / site_output.START
    _say(f"wrote {_shown(start)}")
    if open_it:
        webbrowser.open(start.resolve().as_uri())


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff compare langgraph crewai -t handoff

    bakeoff compare baseline agno --width 200 | less      all tasks, for a pager"""
)
def compare(
    left: Annotated[str, typer.Argument(metavar="A", help="A framework.")],
    right: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    task: TaskOption = None,
    width: Annotated[
        int | None, typer.Option(min=40, metavar="N", help="Columns. Default: the terminal's, or 160 elsewhere.")
    ] = None,
) -> None:
    """Show two implementations side by side: part by part, with line counts and deviations.

    What both say alike is dimmed. A terminal of less than 120 columns gets one under the other.
    """
    every_framework = all_frameworks()
    numbered = numbered_deviations(every_framework.values())
    frameworks = [_one(name, every_framework, "framework") for name in (left, right)]
    shown = Console(width=width or (None if console.is_terminal else 160))
    for a_task in _chosen(task, all_tasks(), "task"):
        ours, theirs = (side_by_side.read_side(one, a_task, numbered[one.name]) for one in frameworks)
        side_by_side.print_side_by_side(shown, a_task.name, ours, theirs)


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff parity                          every framework and task, from the committed traces

    bakeoff parity -f langgraph -t handoff  one of them

    bakeoff run -f crewai,baseline -m scripted --cases full && bakeoff parity -f crewai --traces .bakeoff/traces"""
)
def parity(
    framework: FrameworkOption = None,
    task: TaskOption = None,
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="The model whose runs are compared.")
    ] = "scripted",
    traces: TracesOption = ROOT / "traces",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what each framework puts on the wire beside the task's spec and the baseline.

    Exit code 1 if a difference has no deviation that explains it, or a deviation explains nothing.
    """
    every_framework, every_task = all_frameworks(), all_tasks()
    frameworks = _chosen(framework, every_framework, "framework")
    tasks = _chosen(task, every_task, "task")
    if not traces.is_dir():
        raise UsageMistake(f"--traces {traces}: there is no such folder")
    deviations = numbered_deviations(every_framework.values())
    report = parity_report.collect(traces, model, frameworks, tasks, deviations, list(every_task))
    if as_json:
        console.print_json(data=parity_report.report_as_data(report))
    elif report.parities:
        parity_report.print_report(console, report, every_framework.values(), deviations)
    if report.missing:
        lacking = [",".join(dict.fromkeys(names)) for names in zip(*report.missing, strict=True)]
        size = " --cases full" if model == SCRIPTED else ""
        raise UsageMistake(
            f"{_shown(traces / model)}: {lacking[0]} has no traces of {lacking[1]}; make them with "
            f"`bakeoff run -f {lacking[0]} -t {lacking[1]} -m {model}{size} --traces {_shown(traces)}`"
        )
    if report.unexplained or report.stale:
        raise typer.Exit(1)


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff doctor                       is everything here that runs need? Installs and fetches nothing

    bakeoff doctor -m llamacpp/qwen2.5   can this model's server do what the tasks need?

    bakeoff doctor -m qwen3 --base-url http://localhost:11434/v1 --json"""
)
def doctor(
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL", help="Examine a model instead of this machine.")
    ] = None,
    base_url: BaseUrlOption = None,
    key_variable: KeyVariableOption = None,
    time_limit: Annotated[
        float, typer.Option(min=1, metavar="S", help="Seconds that the checks of a model may take together.")
    ] = doctor_model.TIME_LIMIT_S,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check this machine: uv, Python, disk, environments, locks and weights. With -m, check a model.

    A model is asked what the tasks ask, in the ways in which frameworks ask it: in about a minute, with few tokens.

    Exit code 1 if something is not in order that runs need.
    """
    if model is None:
        if base_url is not None or key_variable is not None:
            raise UsageMistake("--base-url and --key-variable say where a model is: name it with -m MODEL")
        examine = partial(doctor_machine.examine, list(all_frameworks().values()))
        passed = asyncio.run(telling.tell(console, "this machine", examine, as_json))
    else:
        spec = specs.resolve(model, base_url, key_variable)
        if spec.name == PROBES_NAME:
            raise UsageMistake(f"--model {model!r} misbehaves on purpose: there is nothing to examine")
        if spec.name == REPLAY:
            raise UsageMistake(f"--model {model!r} answers what was recorded, and nothing else")
        passed = asyncio.run(_examine_model(spec, time_limit, as_json))
    if not passed:
        raise typer.Exit(1)


async def _examine_model(spec: specs.ModelSpec, time_limit_s: float, as_json: bool) -> bool:
    needs = await asyncio.to_thread(
        doctor_model.recorded, read_traces(ROOT / "traces" / SCRIPTED), doctor_model.sent_forms()
    )
    async with specs.running(spec, Console(stderr=True)) as upstream:
        try:
            seen = doctor_model.Seen(doctor_model.Examination(upstream, time_limit_s), needs, spec.timeout_s)
            return await telling.tell(console, spec.name, partial(doctor_model.examine, seen), as_json)
        finally:
            await upstream.close()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff export --format openai                          every passed run of the committed traces

    bakeoff export --format sharegpt --traces .bakeoff/traces -m qwen3:8b -t tool_calling,handoff

    bakeoff export --format alpaca -f baseline --out train.jsonl

    bakeoff export --format csv -m local                    a table of all runs, one row each, however they ended

    uv run --extra parquet bakeoff export --format parquet

    bakeoff export --format otlp -m local                   all runs as OpenTelemetry spans

    uv run --extra inspect bakeoff export --format inspect

What reads which format, and with which setting: evaluator/export/README.md"""
)
def export(
    layout: Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(_FORMATS)}.")],
    framework: FrameworkOption = None,
    task: TaskOption = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL,…", help="Whose runs. Default: all models.")
    ] = None,
    traces: TracesOption = ROOT / "traces",
    failed: Annotated[bool, typer.Option("--failed", help="Conversations of runs that failed, too.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For inspect, a folder. Default: in .bakeoff/export.")
    ] = None,
) -> None:
    """Write recorded runs for other tools, graded now: the passed ones as conversations to train on (openai, sharegpt,
    alpaca), or all of them as a table (csv, parquet), as OpenTelemetry spans (otlp) or as logs of Inspect (inspect).

    Each file appears whole or not at all. The same traces give the same bytes.
    """
    if layout not in _FORMATS:
        raise UsageMistake(f"--format {layout!r}: there are {', '.join(_FORMATS)}")
    frameworks = {one.name for one in _chosen(framework, all_frameworks(), "framework")}
    tasks = {one.name for one in _chosen(task, all_tasks(), "task")}
    out = out or WORK / "export" / _FILE_NAMES.get(layout, f"{layout}.jsonl")
    report = Report()
    with Bar(console=console, disable=not console.is_terminal, transient=True) as bar:
        chosen = _names(model)
        files = sum(1 for folder in trace_folders(traces, chosen) for _ in folder.rglob("*.json"))
        reading = bar.add_task("reading traces", total=files)
        asked = (traces, chosen, lambda key: key.framework in frameworks and key.task in tasks)
        read = partial(bar.advance, reading)
        runs = graded_runs(*asked, report, read)
        if layout in run_table.FORMATS:
            with _extra(layout):
                write_rows = run_table.writer(layout)
            run_table.write(write_rows, *asked, out, report, read)
        elif layout == "otlp":
            from evaluator.export import otlp

            otlp.write(runs, out, report)
        elif layout == "inspect":
            with _extra(layout):
                from evaluator.export import inspect_log

            inspect_log.write(runs, out, report)
        else:
            training.write(layout, runs, failed, out, report)
    for line in report.damaged:
        _say(f"left out: {line}")
    what = "logs" if layout == "inspect" else "rows" if layout in run_table.FORMATS else "lines"
    _say(f"wrote {report.written:,} {what} to {_shown(out)}: {report.in_words()}")


@contextlib.contextmanager
def _extra(name: str) -> Iterator[None]:
    """What is done in here needs the packages of an optional extra, which has the format's name."""
    try:
        yield
    except ImportError:
        raise UsageMistake(f"--format {name}: needs the extra, as in `uv run --extra {name} bakeoff …`") from None


@app.command(name="list", epilog="[bold]Example[/]\n\n    bakeoff list --json")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the frameworks with their versions, the tasks with their cases, the models and the endpoints."""
    frameworks, tasks = all_frameworks().values(), all_tasks().values()
    sizes: dict[str, dict[str, int]] = {
        task.name: {size: len(of_size(task.load(), size)) for size in SIZES} for task in tasks
    }
    there_are = endpoints.endpoints()
    if as_json:
        listed: dict[str, Any] = {
            "frameworks": [
                {"name": f.name, "title": f.title, "version": f.version, "homepage": f.homepage} for f in frameworks
            ],
            "tasks": [{"name": name, "cases": counts} for name, counts in sizes.items()],
            "models": list(specs.BUILT_IN),
            "endpoints": [{"name": name, **endpoint.model_dump()} for name, endpoint in there_are.items()],
        }
        console.print_json(data=listed)
        return
    table = Table("framework", "title", "version", "homepage", title="Frameworks", title_justify="left", box=None)
    for f in frameworks:
        table.add_row(f.name, f.title, f.version, f.homepage)
    console.print(table)
    table = Table("task", *SIZES, title="\nTasks and their cases", title_justify="left", box=None)
    for name, counts in sizes.items():
        table.add_row(name, *(str(counts[size]) for size in SIZES))
    console.print(table)
    table = Table("endpoint", "address", "key", "quirks", title="\nEndpoints", title_justify="left", box=None)
    for name, endpoint in there_are.items():
        table.add_row(name, endpoint.base_url, endpoint.key_variable or "none", ", ".join(endpoint.quirks))
    console.print(table)
    console.print(
        f"\nModels: {', '.join(specs.BUILT_IN)}, ENDPOINT/MODEL, or any name together with --base-url URL. "
        "Your own endpoints: MODELS.md"
    )


@app.command(epilog="[bold]Example[/]\n\n    bakeoff bench --seconds 5")
def bench(
    seconds: Annotated[float, typer.Option(min=0.5, metavar="S", help="Length of each measurement.")] = 4.0,
    matrix: Annotated[bool, typer.Option(help="Also time the scripted matrix.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure the harness itself: what the gateway adds to a call, and the scripted matrix."""
    from evaluator import bench

    bench.run(console, seconds, matrix, as_json)


def _chosen(names: str | None, there_are: dict[str, T], what: str) -> list[T]:
    wanted = _names(names)
    for name in wanted:
        _one(name, there_are, what)
    return [value for name, value in there_are.items() if not wanted or name in wanted]


def _names(listed: str | None) -> list[str]:
    return [name for name in (listed or "").split(",") if name]


def _one(name: str, there_are: dict[str, T], what: str) -> T:
    if name not in there_are:
        raise UsageMistake(f"there is no {what} {name!r}; there are {', '.join(there_are)}")
    return there_are[name]


def _cases(task: Task, size_or_file: str, number_of_tasks: int) -> list[Case]:
    for size in SIZES:
        if size == size_or_file:
            return of_size(task.load(), size)
    path = Path(size_or_file)
    if not path.is_file():
        raise UsageMistake(f"--cases {size_or_file!r}: neither {', '.join(SIZES)} nor a file")
    if number_of_tasks != 1:
        raise UsageMistake(f"--cases {size_or_file}: name the one task that these cases belong to, with -t TASK")
    return list(load_cases(path, task.case_type))


def _shown(path: Path) -> str:
    """The path as a person would type it here."""
    path = path.resolve()
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _say(line: str) -> None:
    console.print(escape(line), highlight=False, soft_wrap=True)
