"""Tables for a console of any width: where one is too narrow, whole columns go, and no name is broken."""

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import replace

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_NARROWEST_TEXT, _LONGEST_WORD = 16, 24
"""What is folded gets room for its longest word, within these bounds: an address is one long word."""

_ANY_WIDTH = 10_000


class Fitted:
    """A table as it is where the console has room for it, else without the columns that there is no room for.

    The first `names` columns say what a row is about, and always stay. They are folded between words where that makes
    room for all columns, and else in one line each if that leaves room for another. The other columns are taken in the
    `order` of their importance (default: from left to right), each that still fits. Those of `text` may be folded. A
    line below names what was left out. Columns are counted from 0.
    """

    def __init__(
        self, table: Table, *, names: int = 1, order: Sequence[int] | None = None, text: Collection[int] = ()
    ) -> None:
        self._table = table
        self._all = range(len(table.columns))
        self._names = range(names)
        self._order = [i for i in (self._all if order is None else order) if i not in self._names]
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich's console protocol."""
        if self.__rich_measure__(console, options.update_width(_ANY_WIDTH)).maximum <= options.max_width:
            yield self._table
            return
        kept, folded = self._kept(console, options)
        table = self._only(kept, folded)
        left_out = [" ".join(str(self._table.columns[i].header).split()) for i in self._all if i not in kept]
        if not left_out:
            yield table
            return
        title, table.title = table.title, None  # it is wider than what is left of the table
        if title:
            yield console.render_str(title, style="table.title") if isinstance(title, str) else title
        yield table
        yield Text(f"for a wider terminal: {', '.join(left_out)}", style="dim")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """See rich's console protocol."""
        return Measurement.get(console, options, self._only(self._all, self._all))

    def _kept(self, console: Console, options: ConsoleOptions) -> tuple[list[int], Collection[int]]:
        """The columns that there is room for, and those that are folded."""
        _, right, _, left = self._table.padding
        least, in_a_line = {}, {}
        for i in self._all:
            column = self._only([i], [i])
            word, line = Measurement.get(console, options.update_width(_ANY_WIDTH), column)
            longest = word if i in self._names else min(word, _LONGEST_WORD + left + right)
            least[i], in_a_line[i] = min(line, max(_NARROWEST_TEXT + left + right, longest)), line
        for folded in (set(self._text), {*self._text, *self._names}):
            if sum((least if i in folded else in_a_line)[i] for i in self._all) <= options.max_width:
                return list(self._all), folded
        widths = {i: (least if i in self._text else in_a_line)[i] for i in self._all}
        room = options.max_width - sum(widths[i] for i in self._names)
        if room < min((widths[i] for i in self._order), default=0):
            room = options.max_width - sum(least[i] for i in self._names)
        else:
            folded = set(self._text)
        kept = list(self._names)
        for i in self._order:
            if widths[i] <= room:
                kept.append(i)
                room -= widths[i]
        return sorted(kept), folded

    def _only(self, columns: Sequence[int], folded: Collection[int]) -> Table:
        """The table with these columns alone, of which some are folded and the others stay in a line."""
        table, fewer = copy(self._table), len(columns) < len(self._all)
        table.columns = [
            replace(column, _index=n, no_wrap=i not in folded, overflow="fold" if fewer else column.overflow)
            for n, i in enumerate(columns)
            for column in [self._table.columns[i]]
        ]
        return table
