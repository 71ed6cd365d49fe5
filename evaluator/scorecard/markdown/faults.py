"""What the frameworks make of faults that are put into their runs on purpose."""

from typing import get_args

from evaluator.analysis.faults.report import shown, signed
from evaluator.analysis.faults.rows import Figures, Total
from evaluator.faults.table import Layer
from evaluator.scorecard.content import Faults, Scorecard
from evaluator.scorecard.letters import fault_letters
from evaluator.text import escape, raised, table


def faults(scorecard: Scorecard) -> list[str]:
    """A line for each framework; and one for what its own means against faults change."""
    found = scorecard.faults
    if found is None:
        return []
    letters, titles = fault_letters(found), scorecard.titles
    as_they_come = [
        [escape(titles[total.framework]), *_cells(total, raised(letters.get(total.framework)))]
        for total in found.totals
        if not total.hardened
    ]
    hardened = [
        [escape(titles[total.framework]), *_changes(total, total.beside, found)]
        for total in found.totals
        if total.beside is not None
    ]
    parts = ["## When things go wrong", _ABOUT, table(_HEADER, as_they_come)]
    return [*parts, _ABOUT_HARDENED, table(_HARDENED_HEADER, hardened)] if hardened else parts


_HEADER = [
    *("framework", "recovered", "reply", "transport", "tools", "retrieval", "stays: ended well"),
    *("wrong answer", "time limit", "done twice", "calls", "s"),
]
_HARDENED_HEADER = ["framework", "recovered", "stays: ended well", "wrong answer", "done twice", "calls", "lines"]

_ABOUT = """\
One fault is put into each run (`bakeoff run -m faults`, [how](docs/faults.md)); the scripted model mends whatever it \
is told of, so what is lost is lost by the framework or its implementation. **Recovered** are runs that ended right \
although the fault came once or twice, in all and by where it came. Where it **stays**, an error or an answer that \
admits it is the right end. A **wrong answer** comes as if all were well; **done twice** are side effects. What \
recovered runs took beyond undisturbed ones are model **calls** and seconds. Those with a <sup>letter</sup> in common \
tie, by a sign-flip test over what was drawn, with Holm's correction. Each fault: `bakeoff faults`, and on the site."""

_ABOUT_HARDENED = """\
The same runs with the framework's **own means against faults** (`implementations/<name>/hardened/`), beside those \
without: what changes, and what it takes in lines of code. Calls are those of recovered runs beyond undisturbed ones."""


def _cells(total: Total, tied: str) -> list[str]:
    of = total.figures
    return [
        f"{shown(of.recovered, of.passing)}{tied}",
        *(_layer(total, layer) for layer in get_args(Layer)),
        shown(of.ended_well, of.lasting),
        *(str(of.ends.get(end, 0)) for end in ("wrong", "hung")),
        _twice(of),
        signed(of.extra_calls, 1),
        signed(of.extra_s, 1),
    ]


def _changes(total: Total, before: Figures, found: Faults) -> list[str]:
    of = total.figures
    lines = found.lines.get(total.framework)
    return [
        f"{before.recovered} → {shown(of.recovered, of.passing)}",
        f"{before.ended_well} → {shown(of.ended_well, of.lasting)}",
        f"{before.ends.get('wrong', 0)} → {of.ends.get('wrong', 0)}",
        f"{_twice(before)} → {_twice(of)}",
        f"{signed(before.extra_calls, 1)} → {signed(of.extra_calls, 1)}",
        f"{lines[1]} → {lines[0]}" if lines else "–",
    ]


def _twice(of: Figures) -> str:
    return f"**{of.done_twice}**" if of.done_twice else "0"


def _layer(total: Total, layer: Layer) -> str:
    of = total.layers.get(layer)
    return shown(of.recovered, of.passing) if of else "–"
