"""`bakeoff run`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from evaluator import ROOT, scorecard
from evaluator.cli.options import (
    BaseUrlOption,
    FrameworkOption,
    KeyVariableOption,
    TaskOption,
    chosen,
    command,
    console,
    every_framework,
    every_task,
    say,
)
from evaluator.errors import Failure, Mistake
from evaluator.harness.jobs import WORK, Settings
from evaluator.harness.plans import Plan, make
from evaluator.harness.records import exclusive
from evaluator.harness.runner import ModelGoneError
from evaluator.models import specs
from evaluator.probes.behaviours import unexpected
from evaluator.providers.names import BUILT_IN, GGUF_ON_HUB, GGUF_PATH, LOCAL, PROBES_NAME, REPLAY
from evaluator.suites import replays
from evaluator.suites.planning import Asked, planned, say_what_is_lacking
from evaluator.suites.rerecording import came_out_as_recorded, no_longer_replaying
from evaluator.text import shown_path

app = command()


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

    bakeoff run -m gguf:~/models/Qwen3-4B-Q4_K_M.gguf           any GGUF file, run as the embedded model is

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
            help=f"{', '.join(map(repr, BUILT_IN))}, {GGUF_PATH}, {GGUF_ON_HUB}, ENDPOINT/MODEL (see "
            f"`bakeoff list`), or a name with --base-url. Several: one -m for each. Default: {LOCAL}.",
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
    names = model or [REPLAY if replay else LOCAL]
    models = specs.resolve_all(names, base_url, key_variable)
    replaying = REPLAY in names
    if replay is not None and not replaying:
        raise Mistake(f"--replay is for -m {REPLAY}, and not for -m {names[0]}")
    if replaying and (timeout is not None or max_model_calls != Settings.max_model_calls):
        raise Mistake("a replay has its recorded limits: leave out --timeout and --max-model-calls")
    if rerecord and (rerun or len(models) > 1 or models[0].name in (PROBES_NAME, REPLAY)):
        raise Mistake("--rerecord is for one model, for none that is probing or replaying, and not for --rerun")
    traces = traces or (ROOT if rerecord else WORK) / "traces"
    frameworks = every_framework()
    asked = Asked(
        frameworks=chosen(framework, frameworks, "framework"),
        tasks=chosen(task, every_task(), "task"),
        cases=cases,
        trials=trials,
        jobs=jobs,
        timeout_s=timeout,
        max_model_calls=max_model_calls,
        replayed=replay or replays.FOLDER,
        rerecorded=traces if rerecord else None,
    )
    plans = [planned(spec, asked, say) for spec in models]
    say_what_is_lacking(plans, asked, say)
    plans = _made(plans, traces, rerun, rerecord)
    shown = {(plan.model, job.framework.name, job.task.name) for plan in plans for job in plan.jobs}
    card = scorecard.build(
        traces,
        models=[plan.model for plan in plans],
        keep=lambda key: (key.model, key.framework, key.task) in shown,
    )
    all_of_them = f"`bakeoff score --traces {shown_path(traces)}`"
    scorecard.print_scorecard(console, card, all_of_them, all_of_them)
    as_recorded = all(
        came_out_as_recorded(plan.jobs, traces, asked.replayed, say) for plan in plans if plan.model == REPLAY
    )
    if any(unexpected(behaviour, frameworks) for behaviour in card.behaviours) or not as_recorded:
        raise typer.Exit(1)


def _made(plans: list[Plan], traces: Path, rerun: bool, rerecord: bool) -> list[Plan]:
    """Make the runs, while nobody else writes to these traces. What was made: all, or what no longer replayed."""
    with exclusive(traces):
        try:
            if rerecord:
                plans = [replace(p, jobs=uvloop.run(no_longer_replaying(p.jobs, console, say))) for p in plans]
            uvloop.run(make(plans, traces, rerun or rerecord, console, say))
        except ModelGoneError as gone:
            raise Failure(f"{gone}; what was made is kept, and the same command goes on from here") from None
        except KeyboardInterrupt:  # typer would make it into its own message
            print("bakeoff: stopped; the same command goes on from here", file=sys.stderr)
            raise typer.Exit(130) from None
    return plans
