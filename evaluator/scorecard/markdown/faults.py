"""What the frameworks make of faults that are put into their runs on purpose."""

from typing import get_args

from evaluator.analysis.faults.report import shown, signed
from evaluator.analysis.faults.rows import Figures, Total
from evaluator.faults.table import Layer
from evaluator.scorecard.content import Faults, Scorecard
from evaluator.scorecard.letters import fault_letters
from evaluator.text import escape, raised, table


def faults(scorecard: Scorecard) -> list[str]:
    """A line for each framework, with what its own means against faults change."""
    found = scorecard.faults
    if found is None:
        return []
    letters, titles = fault_letters(found), scorecard.titles
    with_own_means = {total.framework: total for total in found.totals if total.beside is not None}
    lines = [
        [
            escape(titles[total.framework]),
            *_cells(total, raised(letters.get(total.framework))),
            *_changes(with_own_means.get(total.framework), found),
        ]
        for total in found.totals
        if not total.hardened
    ]
    return ["## When things go wrong", _ABOUT, table(_HEADER, lines)]


_HEADER = [
    *("framework", "recovered", "reply", "transport", "tools", "retrieval", "stays: ended well"),
    *("wrong answer", "time limit", "done twice", "calls", "s"),
    *("own means: recovered", "ended well", "lines"),
]

_ABOUT = """\
One fault is put into each run (`bakeoff run -m faults`, [how](docs/faults.md)); the scripted model mends whatever it \
is told of, so what is lost is lost by the framework or its implementation. **Recovered** are runs that ended right \
although the fault came once or twice, in all and by where it came. Where it **stays**, an error or an answer that \
admits it is the right end. A **wrong answer** comes as if all were well; **done twice** are side effects. What \
recovered runs took beyond undisturbed ones are model **calls** and seconds. Those with a <sup>letter</sup> in common \
tie, by a sign-flip test over what was drawn, with Holm's correction. The last columns are the same runs without and \
with the framework's **own means against faults** (`implementations/<name>/hardened/`), and what these take in lines \
of code. Each fault: `bakeoff faults`, and on the site."""


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


def _changes(total: Total | None, found: Faults) -> list[str]:
    """What a framework's own means change, if it has a module with them."""
    if total is None or total.beside is None:
        return ["–", "–", "–"]
    of, before, lines = total.figures, total.beside, found.lines.get(total.framework)
    return [
        f"{before.recovered} → {shown(of.recovered, of.passing)}",
        f"{before.ended_well} → {shown(of.ended_well, of.lasting)}",
        f"{lines[1]} → {lines[0]}" if lines else "–",
    ]


def _twice(of: Figures) -> str:
    return f"**{of.done_twice}**" if of.done_twice else "0"


def _layer(total: Total, layer: Layer) -> str:
    of = total.layers.get(layer)
    return shown(of.recovered, of.passing) if of else "–"
