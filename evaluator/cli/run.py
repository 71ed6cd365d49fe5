"""`bakeoff run`. What it needs is imported where it runs, so that its help comes at once."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluator import ROOT, WORK
from evaluator.cli.options import (
    BaseUrlOption,
    ConcurrencyOption,
    KeyVariableOption,
    ReleasesOption,
    RpmOption,
    TaskOption,
    TpmOption,
    chosen,
    chosen_releases,
    command,
    console,
    every_capability,
    every_framework,
    every_task,
    names_in,
    refreshed,
    say,
)
from evaluator.errors import Mistake
from evaluator.harness.limits import MAX_MODEL_CALLS, MAX_SUITE_CALLS
from evaluator.providers.names import (
    BUILT_IN,
    CAPABILITIES_NAME,
    FAULTS_NAME,
    GGUF_ON_HUB,
    GGUF_PATH,
    IN_ONE_GO,
    LOCAL,
    OBEYING,
    PROBES_NAME,
    REPLAY,
    SCRIPTED,
)

if TYPE_CHECKING:
    from evaluator.catalog.frameworks import Framework
    from evaluator.harness.engine import Engine
    from evaluator.models.specs import ModelSpec
    from evaluator.stores import Store
    from evaluator.suites.outside import Limits

app = command()

ENGINES = ("local", "ray")


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff run                                   a first answer: scripted, then the embedded model, for ten minutes

    bakeoff run --budget 1h                       the same for an hour; what is recorded already is not made again

    bakeoff run --dry-run                         what that would run, and what it would take

    bakeoff run -m openai/gpt-5-mini --cases full --max-cost 20     no round that would take it above 20 dollars

    bakeoff run -m scripted --cases full          all cases against the scripted model: is everything carried through?

    bakeoff run -m probes -f crewai               what a framework does when model, tool or user do something unusual

    bakeoff run -m faults -f crewai               what it does when the model, its server or a tool goes wrong

    bakeoff run -m capabilities                   what it can do: pause for a person, survive a kill, stream, and more

    bakeoff run -t approval,durable -f crewai     two of these; with -m a model of yours answers

    bakeoff run -t bfcl:multiple --cases 20       twenty cases of an outside suite's category; `bakeoff list` has suites

    bakeoff run -f langgraph,baseline -t handoff  two frameworks on one task

    bakeoff run -f crewai,crewai@1.12.0 -m scripted             today's code with an older release

    bakeoff run -f crewai@2026-03-01 -m scripted                and with all packages as they were on that day

    bakeoff run -f langgraph -m local -m local-0.5b             is it the framework or the model?

    bakeoff run -m replay                         the recorded runs of traces/local once more, without a model

    bakeoff run --rerecord                        mend the recordings of traces/local that no longer replay

    bakeoff run -m ollama/qwen3:8b --cases standard --trials 3

    bakeoff run -m openai/gpt-5-mini --jobs 8 --rpm 500 --tpm 200000    within the limits of a provider

    bakeoff run -m gguf:~/models/Qwen3-4B-Q4_K_M.gguf           any GGUF file, run as the embedded model is

    bakeoff run -m qwen3 --base-url http://localhost:11434/v1   a server that is none of the endpoints

    bakeoff run -m openai/gpt-5-mini --cases full --engine ray  on all nodes of a cluster; see docs/cluster.md


    bakeoff run -m scripted --traces s3://BUCKET/traces         traces in a bucket: docs/running.md"""
)
def run(
    framework: ReleasesOption = None,
    task: TaskOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help=f"{', '.join(map(repr, BUILT_IN))}, {GGUF_PATH}, {GGUF_ON_HUB}, ENDPOINT/MODEL (see "
            f"`bakeoff list`), or a name with --base-url. Several: one -m for each. Default: {SCRIPTED}, then {LOCAL}.",
        ),
    ] = None,
    base_url: BaseUrlOption = None,
    key_variable: KeyVariableOption = None,
    rpm: RpmOption = None,
    tpm: TpmOption = None,
    concurrency: ConcurrencyOption = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Repetitions of each run. Default: 1; for replays those recorded."),
    ] = None,
    cases: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|FILE|N",
            help="quick, standard, full, or your own cases.jsonl. Default: quick; full where there is a "
            "budget; for replays those recorded. Of outside suites a number, drawn evenly over categories, or all.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|none",
            help="Begin no new round once the rounds against a model have taken so long: 90s, 10m, 1h. Default: 10m "
            "for a model that runs here, else none.",
        ),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="USD",
            help="Begin no new round that would be expected to take what this command has spent above so many dollars, "
            "at list prices. What older runs have cost does not count.",
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
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=f"Model calls that a run may make. Default: {MAX_MODEL_CALLS}; {MAX_SUITE_CALLS} for outside suites, "
            "or what a suite says itself.",
        ),
    ] = None,
    traces: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|URL",
            help="Where the traces go: a folder, s3://BUCKET/FOLDER, gs://…. Default: .bakeoff/traces; traces for "
            "--rerecord.",
        ),
    ] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Make runs again that are recorded already.")] = False,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Recorded traces of one model, for -m replay. Default: traces/local."),
    ] = None,
    rerecord: Annotated[
        bool, typer.Option("--rerecord", help="Make those runs again whose recording in --traces no longer replays.")
    ] = False,
    faults: Annotated[
        str | None,
        typer.Option(metavar="KIND,…", help=f"Of the faults for -m {FAULTS_NAME}, only these. Default: all."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Draws the cases of outside suites, and those that get a fault, for -m {FAULTS_NAME}. Default: 1.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, in rounds, and what that would take; do nothing.")
    ] = False,
    engine: Annotated[
        str, typer.Option(metavar="|".join(ENGINES), help="Where runs are made: this machine, or a cluster of Ray.")
    ] = ENGINES[0],
    address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|ray://…|local",
            help="The cluster for --engine ray: that which this machine is part of, one elsewhere, or one that is "
            "started here and ends with the command. Default: auto.",
        ),
    ] = None,
) -> None:
    """Run frameworks on tasks against one model or several in turn, and print the scorecard.

    Runs are made in rounds of one case with every framework, the easiest cases first. After each the table is
    true, and only whole rounds count in it.

    Interrupted, the same command goes on where it stopped; repeated, it adds what its budget left out.

    A run is made again only if its code, lock, task, model or limits changed.

    A replay needs no model: recorded responses answer, under the recorded limits. Exit code 1 if it differs.
    """
    from evaluator.catalog.folders import capability_names
    from evaluator.catalog.frameworks import AT
    from evaluator.harness.limiter import RateLimits
    from evaluator.models import specs
    from evaluator.stores import store_at
    from evaluator.suites import estimates, faulting, replays
    from evaluator.suites.dry_run import DryRun
    from evaluator.suites.outside import Limits, of_suites
    from evaluator.suites.planning import Asked, first_look, for_endpoints, planned, say_what_is_lacking
    from evaluator.suites.running import Command

    names = model or [REPLAY if replay else LOCAL]
    connected = _engine(engine, address)
    if engine != ENGINES[0] and (rerecord or {*names} & {PROBES_NAME, REPLAY}):
        raise Mistake(f"--engine {engine} is not for probes, replays and --rerecord, which take minutes on one machine")
    if engine != ENGINES[0] and AT in (framework or ""):
        raise Mistake(f"--engine {engine} is not for other releases than the locked ones, such as -f {framework}")
    rates = RateLimits(rpm, tpm, concurrency) or None
    store = store_at(traces or str((ROOT if rerecord else WORK) / "traces"))
    if of_suites(task):
        not_for_suites = {"--replay": replay is not None, "--rerecord": rerecord, "--faults": faults is not None}
        if given := [name for name, is_given in not_for_suites.items() if is_given]:
            raise Mistake(f"{given[0]} is not for outside suites; leave it out")
        code = _run_suites(
            chosen_releases(framework),
            names_in(task),
            for_endpoints(specs.resolve_all(model or [SCRIPTED], base_url, key_variable), rates),
            Limits.of(
                cases,
                seed=seed,
                trials=trials,
                jobs=jobs,
                timeout_s=timeout,
                max_model_calls=max_model_calls,
                budget=budget,
                rates=rates,
            ),
            store,
            rerun,
            dry_run,
            connected,
            max_cost,
        )
        raise typer.Exit(code)
    if OBEYING in names:
        raise Mistake(
            f"-m {OBEYING} is for outside suites: it obeys what a tool's result tells it, as in agentdojo: -t agentdojo"
        )
    of_capabilities = {*names_in(task)} & {*capability_names()}
    if of_capabilities and of_capabilities != {*names_in(task)}:
        raise Mistake(f"-t {task}: capability tasks are run apart from others")
    if CAPABILITIES_NAME in names or of_capabilities:
        if len(names) > 1:
            raise Mistake("runs of capability tasks are made against one model: give one -m")
        others = {
            "--cases": cases,
            "--trials": trials,
            "--budget": budget,
            "--max-cost": max_cost,
            "--replay": replay,
            "--rerecord": rerecord or None,
            "--faults": faults,
            "--seed": seed,
            "--max-model-calls": max_model_calls,
        }
        if given := [name for name, value in others.items() if value is not None]:
            raise Mistake(f"{given[0]} is not for capability tasks, of which every case is run once; leave it out")
        if engine != ENGINES[0]:
            raise Mistake(f"--engine {engine} is not for capability tasks, whose processes are killed on purpose here")
        if rates:
            raise Mistake("limits of a server are not for capability tasks: what they measure is when things happen")
        answered_by = (
            specs.resolve(names[0], base_url, key_variable) if model and names != [CAPABILITIES_NAME] else None
        )
        _run_capabilities(framework, task, jobs, timeout, store, rerun, dry_run, answered_by)
        return
    models = for_endpoints(specs.resolve_all(names, base_url, key_variable), rates)
    replaying = REPLAY in names
    if replay is not None and not replaying:
        raise Mistake(f"--replay is for -m {REPLAY}, and not for -m {names[0]}")
    if replaying and (timeout is not None or max_model_calls is not None):
        raise Mistake("a replay has its recorded limits: leave out --timeout and --max-model-calls")
    if FAULTS_NAME not in names and (faults is not None or seed is not None):
        raise Mistake(f"--faults and --seed are for -m {FAULTS_NAME} and outside suites, and not for -m {names[0]}")
    if rerecord and (rerun or dry_run or len(models) > 1 or models[0].name in IN_ONE_GO):
        raise Mistake(
            "--rerecord is for one model, for none that is probing or replaying, and not for --rerun or --dry-run"
        )
    if rerecord and max_cost is not None:
        raise Mistake("--max-cost is not for --rerecord, which is not made in rounds")
    if dry_run or rerecord:
        refreshed(store, [one.name for one in models])
    evidence = estimates.roots(store.folder)
    spending = estimates.spending(max_cost, models, evidence)
    asked = Asked(
        frameworks=chosen_releases(framework),
        tasks=chosen(task, every_task(), "task"),
        cases=cases,
        trials=trials,
        jobs=jobs,
        timeout_s=timeout,
        max_model_calls=max_model_calls or MAX_MODEL_CALLS,
        budget=budget,
        replayed=replay or replays.FOLDER,
        rerecorded=store.folder if rerecord else None,
        faults=faulting.named(faults),
        seed=faulting.SEED if seed is None else seed,
        rates=rates,
    )
    plans = [planned(spec, asked, say) for spec in models]
    if names == [LOCAL] and not model and not rerecord:
        plans.insert(0, planned(specs.resolve(SCRIPTED, None, None), first_look(asked), say))
    say_what_is_lacking(plans, asked, say)
    if dry_run:
        DryRun(store.folder, evidence, rerun, console, say, rates or RateLimits()).print_plans(plans, spending)
        return
    with connected() as made_by:
        code = Command(store, rerun, console, say, spending, made_by).run(plans, asked)
    if code:
        raise typer.Exit(code)


def _engine(name: str, address: str | None) -> "Callable[[], AbstractContextManager[Engine]]":
    """What brings up the engine of this name, once there is something to run. Raises `Mistake`."""
    from evaluator.harness.engine import LOCAL

    if name not in ENGINES:
        raise Mistake(f"--engine {name!r}: must be one of {', '.join(ENGINES)}")
    if name == ENGINES[0]:
        if address is not None:
            raise Mistake("--address is for --engine ray: leave it out")
        return lambda: nullcontext(LOCAL)
    from evaluator.cluster.driver import connected

    return partial(connected, address or "auto")


def _run_capabilities(
    framework: str | None,
    task: str | None,
    at_once: int | None,
    timeout: float | None,
    store: "Store",
    rerun: bool,
    dry_run: bool,
    answered_by: "ModelSpec | None",
) -> None:
    """Make the runs of capability tasks, and say what came of them."""
    from evaluator.analysis.capabilities import gather
    from evaluator.cli.capabilities import print_capabilities
    from evaluator.harness.plans import Plan
    from evaluator.harness.stopping import Stopped, stoppable
    from evaluator.suites import capabilities, estimates
    from evaluator.suites.dry_run import DryRun

    frameworks = chosen(framework, every_framework(), "framework")
    wanted = {one.name: one for one in chosen(task, every_capability(), "capability")}
    limits = capabilities.settings(at_once, timeout, answered_by)
    asked = capabilities.jobs(frameworks, wanted.values())
    if not asked:
        raise Mistake("nothing to run: none of these frameworks has a module for any of these capabilities")
    if dry_run:
        having = {one: [job for job in asked if job.task.name == one] for one in wanted}
        lines = [
            f"{one}: {len(jobs)} runs, {', '.join(dict.fromkeys(job.framework.name for job in jobs))}"
            for one, jobs in having.items()
        ]
        DryRun(store.folder, estimates.roots(store.folder), rerun, console, say).print_lines(
            Plan(limits, [asked]), lines, answered_by or limits.model
        )
        return
    with stoppable():
        try:
            capabilities.make(asked, limits, store, rerun, console, say, answered_by)
        except Stopped as stopped:
            raise typer.Exit(stopped.exit_code) from None
    print_capabilities(gather(store.folder, frameworks, wanted, limits.model.name), frameworks, list(wanted))


def _run_suites(
    frameworks: "list[Framework]",
    names: list[str],
    models: "list[ModelSpec]",
    limits: "Limits",
    store: "Store",
    rerun: bool,
    dry_run: bool,
    connected: "Callable[[], AbstractContextManager[Engine]]",
    max_cost: float | None,
) -> int:
    """Make the runs of outside suites, and say what came of them; gives the exit code."""
    from evaluator.analysis.suites import gather
    from evaluator.harness.limiter import RateLimits
    from evaluator.harness.stopping import Stopped, stoppable
    from evaluator.packs import SUITES_FOLDER
    from evaluator.scorecard.suites import print_suites
    from evaluator.suites import estimates, outside
    from evaluator.suites.dry_run import DryRun

    asked = outside.chosen(names)
    below, code = store.below(SUITES_FOLDER), 0
    evidence = estimates.roots(store.folder, suites=True)
    spending = estimates.spending(max_cost, models, evidence)
    with stoppable():
        if not dry_run:  # which says where cases are not imported yet
            try:
                outside.import_suites((one.suite for one in asked), console, say)
            except Stopped as stopped:
                return _stopped(stopped.exit_code)
        drawn = outside.drawn(asked, limits)
        groups = outside.alike(asked)
        plans = [outside.planned(spec, frameworks, group, drawn, limits) for spec in models for group in groups]
        if not any(plan.jobs for plan in plans):
            raise Mistake(f"nothing to run: none of {', '.join(one.name for one in frameworks)} serves these suites")
        if dry_run:
            dry = DryRun(below.folder, evidence, rerun, console, say, limits.rates or RateLimits())
            for plan in plans:
                its = {name: of for name, of in drawn.items() if any(job.task.name == name for job in plan.jobs)}
                line = f"{plan.model}: {len(plan.jobs)} runs in {len(plan.rounds)} rounds: {outside.in_words(its)}"
                dry.print_lines(plan, [line], plan.settings.model, spending)
            return 0
        try:
            with connected() as made_by:
                outside.run(plans, below, rerun, console, say, spending, made_by)
        except Stopped as stopped:
            code = stopped.exit_code
    wanted = {case.id for cases_of in drawn.values() for case in cases_of}
    titles = {one.name: one.title for one in frameworks}
    for model in dict.fromkeys(plan.model for plan in plans):
        found = gather(below.folder, model, [one.suite.name for one in asked], wanted.__contains__, titles)
        print_suites(console, found, titles)
    if spending is not None:
        say(spending.in_words())
    return _stopped(code) if code else 0


def _stopped(code: int) -> int:
    typer.echo("bakeoff: stopped; the same command goes on from here", err=True)
    return code
