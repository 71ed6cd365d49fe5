"""What commands that can have runs judged share."""

import asyncio
import sys
from typing import Annotated

import typer

from evaluator.cli.options import console, say
from evaluator.stores import Store

JudgeOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Have this model judge the runs, too, in a column beside the rules: ENDPOINT/MODEL, or a name with "
        "--base-url. It is asked about real models' runs that it has not judged yet.",
    ),
]


def have_judged(
    judge: str,
    base_url: str | None,
    key_variable: str | None,
    store: Store,
) -> str | None:
    """Have the runs in the store judged; see `judge_all`. Ctrl-C ends the command.

    Returns a line that says how many could not be judged and why; None where all were. Raises `Mistake`, `Failure`.
    """
    from evaluator.suites.judging import judge_all, resolve  # models take long to import, and few commands judge

    spec = resolve(judge, base_url, key_variable)
    try:
        judged = asyncio.run(judge_all(store.folder, spec, console, say))
    except KeyboardInterrupt:  # typer would make it into its own message
        print("bakeoff: stopped; what was judged is kept, and the same command goes on from here", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        store.send()
    if not judged.left:
        return None
    return f"{judged.left} of {judged.runs} runs could not be judged: {judged.why}; the same command asks again"
