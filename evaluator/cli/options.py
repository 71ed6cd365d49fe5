"""What the commands share: options, the choice of frameworks and tasks, and how they speak."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from evaluator import ROOT
from evaluator.catalog import capabilities, frameworks, tasks
from evaluator.catalog.capabilities import Capability
from evaluator.catalog.frameworks import Framework
from evaluator.catalog.tasks import Task
from evaluator.errors import Mistake
from evaluator.providers.names import DEFAULT_KEY_VARIABLE

if TYPE_CHECKING:
    from evaluator.stores import Store

T = TypeVar("T")


def console_width(is_terminal: bool) -> int | None:
    """The width that `COLUMNS` names, else 100; None for that of the terminal, where there is one."""
    named = os.environ.get("COLUMNS", "")
    if named.isdecimal() and int(named):
        return int(named)
    return None if is_terminal else 100


console = Console(width=console_width(sys.stdout.isatty()))

FrameworkOption = Annotated[
    str | None, typer.Option("--framework", "-f", metavar="NAME,…", help="Frameworks. Default: all.")
]
ReleasesOption = Annotated[
    str | None,
    typer.Option(
        "--framework",
        "-f",
        metavar="NAME,…",
        help="Frameworks; NAME@1.12.0 with that release, NAME@2026-03-01 with all packages of that day. Default: all.",
    ),
]
TaskOption = Annotated[str | None, typer.Option("--task", "-t", metavar="TASK,…", help="Tasks. Default: all.")]
BaseUrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="OpenAI-compatible server, in place of the endpoint's own.")
]
KeyVariableOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Variable that holds its key. Default: the endpoint's, else {DEFAULT_KEY_VARIABLE}.",
    ),
]
RpmOption = Annotated[
    int | None,
    typer.Option("--rpm", min=1, metavar="N", help="Requests a minute that the model's server allows, evenly spread."),
]
TpmOption = Annotated[
    int | None,
    typer.Option("--tpm", min=1, metavar="N", help="Tokens a minute that it allows, of prompts and answers."),
]
ConcurrencyOption = Annotated[
    int | None, typer.Option("--concurrency", min=1, metavar="N", help="Requests under way at once that it allows.")
]
TracesOption = Annotated[
    str,
    typer.Option("--traces", metavar="DIR|URL", help="Where the traces are: a folder, s3://BUCKET/FOLDER, gs://…"),
]
OWN_TRACES = str(ROOT / "traces")
"""Where they are by default."""


def command() -> typer.Typer:
    """What a module of a command registers it with."""
    return typer.Typer(add_completion=False, rich_markup_mode="rich")


def every_framework() -> dict[str, Framework]:
    """Every framework by name. Raises `Mistake`."""
    return frameworks.all_frameworks()


def every_task() -> dict[str, Task]:
    """Every task by name."""
    return tasks.all_tasks()


def every_capability() -> dict[str, Capability]:
    """Every capability task by name."""
    return capabilities.all_capabilities()


def names_in(listed: str | None) -> list[str]:
    """The names of a list with commas."""
    return [name for name in (listed or "").split(",") if name]


def one(name: str, there_are: Mapping[str, T], what: str) -> T:
    """The framework, or whatever `what` is, of this name. Raises `Mistake` where there is none."""
    if name not in there_are:
        raise Mistake(f"there is no {what} {name!r}; there are {', '.join(there_are)}")
    return there_are[name]


def chosen(listed: str | None, there_are: Mapping[str, T], what: str) -> list[T]:
    """Those named in a list with commas, or all, in the order in which `there_are`. Raises `Mistake`."""
    wanted = names_in(listed)
    for name in wanted:
        one(name, there_are, what)
    return [value for name, value in there_are.items() if not wanted or name in wanted]


def chosen_releases(listed: str | None, *, lock: bool = True, shown_on: Console = console) -> list[Framework]:
    """Those named in a list with commas, of which any may be at a release, or all, in the order of the frameworks.

    Packages of a release are locked now, unless they are already or `lock` is false: then nothing is asked of the
    network. `shown_on` is told of it. Raises `Mistake`.
    """
    there_are, wanted = every_framework(), names_in(listed)
    found: dict[str, Framework] = {}
    for name in wanted or there_are:
        plain, _, at = name.partition(frameworks.AT)
        framework = one(plain, there_are, "framework")
        found[name] = _at(framework, at, lock, shown_on) if at else framework
    order = list(there_are)
    return sorted(found.values(), key=lambda framework: order.index(framework.plain_name))


def _at(framework: Framework, at: str, lock: bool, shown_on: Console) -> Framework:
    from evaluator.catalog import releases

    found = releases.at(framework, f"{framework.name}{frameworks.AT}{at}")
    if not lock or found.environment == framework.environment:
        return found
    import asyncio

    from evaluator.harness.progress import UnderWay
    from evaluator.harness.releases import locked

    with UnderWay(shown_on) as under_way, under_way.doing(f"{found.name}: locking its packages"):
        return asyncio.run(locked(framework, releases.read_release(at)))


def existing(traces: str) -> Path:
    """The folder of `--traces`; of a URL the copy of what is there now. Raises `Mistake` where nothing is there,
    `Failure`."""
    return opened(traces).folder


def opened(traces: str) -> "Store":
    """The store of `--traces`, brought up to date. Raises `Mistake` where nothing is there, `Failure`."""
    from evaluator.stores import store_at

    store = refreshed(store_at(traces))
    if not store.folder.is_dir():
        what = "nothing is recorded there" if store.elsewhere else "there is no such folder"
        raise Mistake(f"--traces {store.url}: {what}")
    return store


def refreshed(store: "Store", models: Sequence[str] | None = None) -> "Store":
    """The store, brought up to date, for runs of some models or for all. Raises `Mistake`, `Failure`."""
    if store.elsewhere:
        from evaluator.harness.progress import UnderWay

        with UnderWay(console) as under_way, under_way.doing(f"{store.url}: fetching what is new there"):
            store.refresh(models)
    return store


def say(line: str) -> None:
    """Print a line as it is."""
    console.print(escape(line), highlight=False, soft_wrap=True)


def say_left_out(lines: Iterable[str]) -> None:
    """Say what is left out, and why."""
    for line in lines:
        say(f"left out: {line}")
