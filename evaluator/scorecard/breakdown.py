"""Pass rates by level, and components of the grade: a row a framework, and below them the floors and the ceiling."""

from collections.abc import Callable
from dataclasses import dataclass

from evaluator.scorecard.content import Cell, ReferenceRow, Scorecard


@dataclass(frozen=True)
class Tally:
    """In how many of `n` runs something held."""

    held: int
    n: int

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.held / self.n

    def __str__(self) -> str:
        return f"{self.held}/{self.n}"


@dataclass(frozen=True)
class BreakdownRow:
    """A framework or, with `framework` None, a reference; None in a column where it has no run."""

    title: str
    framework: str | None
    tallies: tuple[Tally | None, ...]


@dataclass(frozen=True)
class Breakdown:
    """A table: what its columns are called, at least one, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[BreakdownRow, ...]


def levels(scorecard: Scorecard, model: str, task: str | None) -> Breakdown | None:
    """The passed runs of each level; None where no level is known."""
    return _breakdown(scorecard, model, task, _of_levels)


def components(scorecard: Scorecard, model: str, task: str | None) -> Breakdown | None:
    """In how many runs each part of the grade held; None over all tasks, for each has parts of its own."""
    return _breakdown(scorecard, model, task, _of_components)


def _of_levels(row: Cell | ReferenceRow) -> dict[str, Tally]:
    return {f"level {one.level}": Tally(one.passed, one.runs) for one in row.levels}


def _of_components(row: Cell | ReferenceRow) -> dict[str, Tally]:
    return {one.part: Tally(one.held, one.runs) for one in row.components}


def _breakdown(
    scorecard: Scorecard, model: str, task: str | None, read: Callable[[Cell | ReferenceRow], dict[str, Tally]]
) -> Breakdown | None:
    cells = [
        (scorecard.titles[cell.framework], cell.framework, read(cell))
        for cell in (*scorecard.cells, *scorecard.totals)
        if (cell.model, cell.task) == (model, task)
    ]
    references = [(row.reference.title, None, read(row)) for row in scorecard.references_of(model, task)]
    # The references have each case, and so each level in its place.
    columns = tuple(dict.fromkeys(column for _, _, tallies in (*references, *cells) for column in tallies))
    if not columns:
        return None
    return Breakdown(
        columns,
        tuple(
            BreakdownRow(title, framework, tuple(tallies.get(column) for column in columns))
            for title, framework, tallies in (*cells, *references)
        ),
    )
