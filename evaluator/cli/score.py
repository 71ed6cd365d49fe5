"""`bakeoff score`."""

from pathlib import Path
from typing import Annotated

import typer

from evaluator import ROOT, scorecard
from evaluator.analysis.repricing import DEFAULT_MODELS
from evaluator.cli.judges import JudgeOption, have_judged
from evaluator.cli.options import (
    OWN_TRACES,
    BaseUrlOption,
    KeyVariableOption,
    TracesOption,
    command,
    console,
    names_in,
    opened,
    say,
)
from evaluator.errors import Failure, Mistake
from evaluator.ranking import ranks
from evaluator.ranking import report as ranking_report
from evaluator.text import shown_path

app = command()


@app.command(
    epilog="""[bold]Examples[/]

    bakeoff score                          rebuild SCORECARD.md from the committed traces

    bakeoff score --traces .bakeoff/traces --out /tmp/mine      a scorecard of your own runs

    bakeoff score --out /tmp/mine --prices openai/gpt-5-mini,anthropic/claude-haiku-4-5      what would it have cost?

    bakeoff score --weights correctness=3,cost=1                a ranking in which correctness counts three times

    bakeoff score --weights latency=2,code --json

    bakeoff score --out /tmp/mine --judge openai/gpt-5-mini     what does a model say of the runs, beside the rules?"""
)
def score(
    traces: TracesOption = OWN_TRACES,
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
    judge: JudgeOption = None,
    base_url: BaseUrlOption = None,
    key_variable: KeyVariableOption = None,
) -> None:
    """Compute scorecard.json and SCORECARD.md from traces. The same traces give the same bytes.

    There is no overall number by default. With --weights a ranking is printed, and nothing is written.

    What a --judge says is kept beside the traces, and is in the scorecard from then on. Exit code 1 if it did not
    answer about all of them; the same command asks again.
    """
    chosen_weights = None if weights is None else ranks.read_weights(weights)
    if as_json and chosen_weights is None:
        raise Mistake("--json is for the ranking, which needs --weights; all else is in scorecard.json")
    if chosen_weights is not None and prices is not None:
        raise Mistake("--prices is for the scorecard, which --weights does not write: leave one of them out")
    if judge is None and (base_url is not None or key_variable is not None):
        raise Mistake("--base-url and --key-variable say where a judge is: name it with --judge MODEL")
    if judge is not None and chosen_weights is not None:
        raise Mistake("--judge is for the scorecard, which --weights does not write: leave one of them out")
    store = opened(traces)
    not_judged = None if judge is None else have_judged(judge, base_url, key_variable, store)
    if chosen_weights is not None:
        card = scorecard.build(store.folder)
        found = ranks.rankings(card, chosen_weights)
        if as_json:
            console.print_json(data=ranking_report.as_data(found, chosen_weights))
        else:
            ranking_report.print_rankings(console, card, found, chosen_weights)
        return
    card = scorecard.score(store.folder, out, prices=DEFAULT_MODELS if prices is None else names_in(prices))
    written = {name: shown_path(out / name) for name in (scorecard.MARKDOWN_NAME, *scorecard.DOCUMENT_NAMES)}
    scorecard.print_scorecard(console, card, written[scorecard.FAILURES_NAME], written[scorecard.MARKDOWN_NAME])
    say(f"wrote {', '.join(written.values())}")
    if not_judged is not None:
        raise Failure(not_judged)
