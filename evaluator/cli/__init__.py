"""The command line. Each command is a module of its own, which is imported only where the command is called."""

import importlib
import io
import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from evaluator.errors import Failure, Mistake, error_in_words

COMMANDS = {
    "run": "Run frameworks on tasks against one model or several in turn, and print the scorecard.",
    "score": "Compute scorecard.json and SCORECARD.md from traces. The same traces give the same bytes.",
    "report": "Build the static site: the matrix with plots, the code side by side, every run, and the method.",
    "compare": "Show two implementations side by side: part by part, with line counts and deviations.",
    "parity": "Show what each framework puts on the wire beside the task's spec.",
    "drift": "Show what other packages send differently, and what it costs in tokens a call, with the scripted model.",
    "faults": "Show what frameworks make of faults of the model, its server, tools and search, from recorded runs.",
    "capabilities": "Show what frameworks can do: approval, durable runs, streaming and more, from recorded runs.",
    "history": "Run today's code on a year of releases, and show on which it runs and what it costs there.",
    "import": "Install outside suites from their packages, each into an environment of its own, and read their cases.",
    "doctor": "Check this machine: uv, Python, disk, environments, locks and weights. With -m, check a model.",
    "export": "Write recorded runs for other tools, graded now: the passed ones as conversations to train on (openai, "
    "sharegpt, alpaca), or all of them as a table (csv, parquet), as OpenTelemetry spans (otlp) or as logs of Inspect "
    "(inspect).",
    "list": "List the frameworks with their versions, the tasks with their cases, the models and the endpoints.",
    "bench": "Measure the harness itself: what the gateway adds to a call, and the scripted matrix.",
}
"""The commands by name, in the order of the help, each with the first paragraph of its own: `evaluator.cli.<name>` has
`app`, whose only command it is."""


class _OnDemand(TyperGroup):
    """Shows the commands without importing them; the one that is called is loaded."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=about, rich_markup_mode=self.rich_markup_mode)
            for name, about in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that `args` begin with, whole, and the arguments that are left."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and typer.main.get_command(importlib.import_module(f"{__name__}.{name}").app), rest


app = typer.Typer(
    cls=_OnDemand,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def bakeoff() -> None:
    """The same agent, written in every framework, measured side by side."""


def main() -> None:
    """Entry point: a user's mistake ends with one line and exit code 2, a failure with exit code 1.

    A failure of the system, such as a full disk, is one of those. What the terminal cannot show is replaced there.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        if sys.platform == "win32":
            raise Mistake("this system is not supported: bakeoff runs on Linux and macOS, and on Windows inside WSL")
        app()
    except Mistake as mistake:
        _end(mistake, 2)
    except Failure as failure:
        _end(failure, 1)
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _end(error_in_words(error), 1)


def _end(error: object, code: int) -> None:
    from evaluator.text import visible

    print(f"bakeoff: {visible(str(error))}", file=sys.stderr)
    sys.exit(code)
