"""The grid of releases, and its making: `bakeoff history`."""

import asyncio
import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from shutil import rmtree

from rich.console import Console

from evaluator.catalog.digests import implementation_digest, lock_digest, task_digest
from evaluator.catalog.frameworks import Framework, implements
from evaluator.catalog.releases import Release, as_of, code_months, first_of_months, with_code_of
from evaluator.catalog.tasks import Task
from evaluator.errors import Failure, Mistake, error_in_words
from evaluator.harness import stopping
from evaluator.harness.environments import provision, versions
from evaluator.harness.jobs import Settings, in_rounds
from evaluator.harness.matrix import run_all
from evaluator.harness.process import sweep_scratch
from evaluator.harness.progress import UnderWay
from evaluator.harness.records import Records, exclusive
from evaluator.harness.releases import locked, published
from evaluator.harness.runner import NotMadeError, harness
from evaluator.history import LOCKED, Cell, NotInstalled, read_cells, write_cell
from evaluator.models import specs
from evaluator.packs import PackError
from evaluator.providers.names import SCRIPTED
from evaluator.text import shown_path
from evaluator.trace import Trace
from tasks.cases import Case, Size, of_size

CASES: Size = "standard"
MONTHS = 12
EVERY = ("month", "release")
_INSTALLED_AT_ONCE = 2
_INSTALL_S = 900.0
"""What locking, or installing, may take."""

_OF_THE_PACKAGES = (
    "No solution found",
    "Failed to build",
    "doesn't have a source distribution or wheel",
    "has no wheels",
)
"""What uv says where the fault is that of the packages, and not of the network or the machine."""


@dataclass(frozen=True)
class Wanted:
    """A cell to make: the framework with today's packages, or at a release, which came on `day`."""

    framework: Framework
    at: str
    day: date
    release: Release | None = None


@dataclass(frozen=True)
class Grid:
    """What runs depend on beside packages: the tasks with their cases, and the frameworks' modules."""

    tasks: Mapping[str, tuple[Task, Sequence[Case]]]
    baseline: Framework

    @staticmethod
    def of(tasks: Iterable[Task], baseline: Framework) -> "Grid":
        """The grid over the cases of the size `CASES`."""
        return Grid({task.name: (task, of_size(task.load(), CASES)) for task in tasks}, baseline)

    @cached_property
    def _of_tasks(self) -> dict[str, tuple[str, list[str]]]:
        """The digest of each task, and its cases as JSON: the same for all cells."""
        return {
            name: (task_digest(task), [case.model_dump_json() for case in cases])
            for name, (task, cases) in self.tasks.items()
        }

    def depends_on(self, wanted: "Wanted", console: Console) -> str:
        """A digest of the modules, tasks, cases and the model that a cell's runs depend on, and of a lock that may
        change."""
        framework = wanted.framework
        parts = [specs.digest(specs.resolve(SCRIPTED, None, None), console)]
        parts += [lock_digest(framework.environment)] if wanted.release is None else []
        for name, (task, cases) in self._of_tasks.items():
            modules = [implementation_digest(one, name) for one in (framework, self.baseline) if implements(one, name)]
            parts += [name, task, *modules, *cases]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def since_default(today: date) -> date:
    """The first of the month that is `MONTHS` months back, this month counted."""
    months = today.year * 12 + today.month - MONTHS
    return date(months // 12, months % 12 + 1, 1)


def every_month(framework: Framework, since: date, today: date) -> list[Wanted]:
    """A cell for the first of each month."""
    days = first_of_months(since, today)
    return [Wanted(framework, str(day), day, Release(day=day)) for day in days]


async def every_release(framework: Framework, since: date, until: date) -> list[Wanted]:
    """A cell for each release that came between two days. Raises `Failure`."""
    return [
        Wanted(framework, one.version, one.day, Release(version=one.version))
        for one in await published(framework)
        if since <= one.day <= until
    ]


def of_today(framework: Framework) -> list[Wanted]:
    """A cell for what is locked today, and for modules as they were in earlier months with the same packages."""
    day = as_of(framework.environment / "uv.lock")
    kept = [with_code_of(framework, month) for month in code_months(framework)]
    return [Wanted(framework, LOCKED, day), *(Wanted(one, str(one.at), day) for one in kept)]


def missing(wanted: Sequence[Wanted], grid: Grid, traces: Path, console: Console) -> list[Wanted]:
    """Those of the cells that are not recorded with what is here today."""
    names = dict.fromkeys(one.framework.plain_name for one in wanted)
    cells = (cell for name in names for cell in read_cells(traces, name) if isinstance(cell, Cell))
    there = {(cell.framework, cell.at): cell.depends_on for cell in cells}
    return [one for one in wanted if there.get((one.framework.plain_name, one.at)) != grid.depends_on(one, console)]


def make(
    wanted: Sequence[Wanted],
    grid: Grid,
    traces: Path,
    rerun: bool,
    keep: bool,
    console: Console,
    say: Callable[[str], None],
    made: Callable[[Cell], None],
) -> None:
    """Make the cells that are not recorded yet, or all with `rerun`, a framework after the other.

    First all environments of a framework are made, then its runs, so that no time is taken while packages are being
    installed. With `keep`, the environments of releases stay. `made` is told each cell. What the network or the machine
    prevents is no result: `say` is told, the other cells are made, and then this raises `Failure`. Raises
    `stopping.Stopped`, `Failure`, `Mistake`.
    """
    with exclusive(traces):
        sweep_scratch()
        to_make = list(wanted) if rerun else missing(wanted, grid, traces, console)
        if len(to_make) < len(wanted):
            again = "" if to_make else "; --rerun makes them again"
            there = len(wanted) - len(to_make)
            say(f"{there} of {len(wanted)} cells are recorded already in {shown_path(traces)}{again}")
        if not to_make:
            return
        try:
            not_made = stopping.run(_make_all(to_make, grid, traces, keep, console, say, made))
        except (OSError, PackError) as error:
            why = error_in_words(error) if isinstance(error, OSError) else str(error)
            raise Failure(f"{why}; the cells that were made are kept, the same command goes on from here") from None
    if not_made:
        raise Failure(f"{not_made} cells could not be made, see above; the same command tries again")


async def _make_all(
    wanted: Sequence[Wanted],
    grid: Grid,
    traces: Path,
    keep: bool,
    console: Console,
    say: Callable[[str], None],
    made: Callable[[Cell], None],
) -> int:
    """Gives how many could not be made."""
    done = not_made = 0
    with UnderWay(console) as under_way:
        under_way.about = f"{done} of {len(wanted)} cells"
        with under_way.doing("baseline: making its environment"):
            await provision(grid.baseline, say)
        for name in dict.fromkeys(one.framework.plain_name for one in wanted):
            of_framework = [one for one in wanted if one.framework.plain_name == name]
            ready = await _installed(of_framework, under_way)
            for one, installed in zip(of_framework, ready, strict=True):
                depends_on = grid.depends_on(one, console)
                try:
                    if isinstance(installed, NotMadeError):
                        raise installed
                    with under_way.doing(f"{name} {one.at}"):
                        cell = await _cell(one, installed, grid, depends_on, console)
                except NotMadeError as error:
                    say(f"{name} {one.at}: not made: {error}")
                    not_made += 1
                else:
                    write_cell(traces, cell)
                    made(cell)
                done += 1
                under_way.about = f"{done} of {len(wanted)} cells"
                if not keep and one.release is not None and isinstance(installed, Framework):
                    rmtree(installed.environment / ".venv", ignore_errors=True)
    return not_made


async def _installed(wanted: Sequence[Wanted], under_way: UnderWay) -> list[Framework | NotInstalled | NotMadeError]:
    """Each framework with its environment, or why there is none."""
    free = asyncio.Semaphore(_INSTALLED_AT_ONCE)

    async def one(asked: Wanted) -> Framework | NotInstalled | NotMadeError:
        async with free:
            with under_way.doing(f"{asked.framework.plain_name} {asked.at}: installing"):
                try:
                    return await _install(asked)
                except NotMadeError as error:
                    return error

    return list(await asyncio.gather(*map(one, wanted)))


async def _install(wanted: Wanted) -> Framework | NotInstalled:
    framework, step = wanted.framework, "lock"
    try:
        async with asyncio.timeout(_INSTALL_S):
            if wanted.release is not None:
                framework = await locked(framework, wanted.release)
        step = "install"
        async with asyncio.timeout(_INSTALL_S):
            await provision(framework, lambda line: None)
    except Mistake as mistake:
        said = str(mistake)
        if not any(words in said for words in _OF_THE_PACKAGES):
            raise NotMadeError(said) from None
        return NotInstalled(step="lock" if step == "lock" else "install", reason=in_a_line(said))
    except TimeoutError:
        raise NotMadeError(f"the {step} took more than {_INSTALL_S / 60:.0f} minutes") from None
    return framework


def in_a_line(said: str) -> str:
    """What uv said, without the path of the environment and without what it says of every project."""
    said = said.partition(" failed: ")[2] or said
    first, _, cause = said.partition(": Because ")
    said = f"Because {cause}" if cause and first.startswith("No solution found") else said
    conclusion = ", we can conclude that your project's requirements are unsatisfiable"
    return " ".join(said.replace(conclusion, "").removeprefix("Because ").split())


async def _cell(
    wanted: Wanted, installed: Framework | NotInstalled, grid: Grid, depends_on: str, console: Console
) -> Cell:
    unmade = Cell(
        schema=1,
        framework=wanted.framework.plain_name,
        at=wanted.at,
        day=str(wanted.day),
        version=None,
        depends_on=depends_on,
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if isinstance(installed, NotInstalled):
        return unmade.model_copy(update={"not_installed": installed})
    return unmade.model_copy(
        update={
            "version": installed.version,
            "packages": versions(installed),
            "traces": await _runs(installed, grid, console),
        }
    )


async def _runs(framework: Framework, grid: Grid, console: Console) -> list[Trace]:
    """The runs of a framework and the baseline in turns, one at a time. Each task has workers of its own, so that what
    they take to import is measured as often."""
    made: list[Trace] = []
    model = replace(specs.resolve(SCRIPTED, None, None), jobs=1)
    settings = Settings(model=model, timeout_s=model.timeout_s, jobs=1)
    records = Records(settings, specs.digest(model, console), sitting=secrets.token_hex(8))
    not_made: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bakeoff-history-") as scratch:
        for task, cases in grid.tasks.values():
            if not implements(framework, task.name):
                continue
            both = list(dict.fromkeys([framework, grid.baseline]))
            rounds = in_rounds(both, [(task, cases)], 1)
            async with harness(settings, [task.name], console, records=records) as opened:
                for jobs in rounds:
                    await run_all(
                        opened,
                        jobs,
                        Path(scratch),
                        1,
                        on_trace=lambda job, trace: made.append(trace),
                        on_not_made=lambda job, why: not_made.append(why),
                    )
    not_made += [f"{trace.key.framework}: {trace.outcome.error}" for trace in made if trace.outcome.fault is not None]
    if not_made:
        raise NotMadeError(not_made[0])
    return made
