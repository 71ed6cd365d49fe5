"""The pages of faults: what each framework makes of each, and a page a framework with all its runs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, get_args

from evaluator.analysis.faults.judged import End, FaultRun
from evaluator.analysis.faults.report import title_of
from evaluator.analysis.faults.rows import Figures, sentence
from evaluator.analysis.gather import every_task
from evaluator.analysis.graded_run import measure_run
from evaluator.catalog.frameworks import title_at
from evaluator.faults.table import BY_NAME, FAULTS, Layer
from evaluator.scorecard import Faults, Scorecard
from evaluator.scorecard.letters import fault_letters
from evaluator.site import runs
from evaluator.site.packed import Packer, beside
from evaluator.site.render import slug
from evaluator.trace import Injected, Trace
from tasks.grading import Grade

PAGE = "faults.html"

ENDS: dict[End, str] = {
    "right": "ended right",
    "admits": "ended with an answer that admits that it is none",
    "stopped": "ended with an error",
    "wrong": "ended with a wrong answer, as if all were well",
    "cap": "ended at the cap on model calls",
    "hung": "went on until the time limit",
}

_STRENGTHS = {"once": "once", "twice": "twice in a row", "always": "always"}


@dataclass(frozen=True)
class FaultMark:
    """A run in the list of those of its fault: what it is called on the page, how it ended, and what it is about."""

    name: str
    fault: str
    hardened: bool
    end: End
    well: bool
    words: str


@dataclass(frozen=True)
class FaultPart:
    """All runs of a framework with faults; `data` is what is shown of them, as `packed.beside` gives it."""

    framework: str
    marks: tuple[FaultMark, ...]
    data: bytes


@dataclass(frozen=True)
class FaultMaker:
    """Makes of a framework's runs with faults what the site needs of them. `titles` are those of the frameworks."""

    titles: Mapping[str, str]

    def __call__(self, framework: str, found: Sequence[tuple[Trace, FaultRun]]) -> FaultPart:
        """The runs in the order of the table of faults."""
        order = list(BY_NAME)
        known = [pair for pair in found if pair[1].injected.fault in BY_NAME]
        known.sort(key=lambda pair: (order.index(pair[1].injected.fault), pair[1].hardened, *_place(pair[1].injected)))
        packer = Packer()
        packed = [self._packed(packer, *pair) for pair in known]
        marks = tuple(_mark(*pair) for pair in known)
        return FaultPart(framework, marks, beside(packed, packer.shared))

    def _packed(self, packer: Packer, trace: Trace, run: FaultRun) -> dict[str, Any]:
        reasons = [ENDS[run.end]]
        if run.done_twice:
            reasons.append(f"side effects done twice: {run.done_twice}")
        if run.told:
            reasons.append(f"the model was told: {run.told}")
        graded = measure_run(trace, Grade(passed=run.well, score=float(run.well), reasons=reasons))
        about = f"{run.injected.fault}, {_in_words(run.injected)}"
        view = runs.view(trace, every_task()[run.task], graded, None, None, about)
        return packer.run(view, title_at(run.framework, self.titles)) | {"name": slug(trace.key.case), "about": about}


def _mark(trace: Trace, run: FaultRun) -> FaultMark:
    return FaultMark(
        name=slug(trace.key.case),
        fault=run.injected.fault,
        hardened=run.hardened,
        end=run.end,
        well=run.well,
        words=f"{run.task} {run.case}, {_in_words(run.injected)}: {ENDS[run.end]}",
    )


def _place(injected: Injected) -> tuple[int, int]:
    """How often it comes, and where: a key to sort by."""
    return list(_STRENGTHS).index(injected.strength), injected.moment


def _in_words(injected: Injected) -> str:
    return f"{_STRENGTHS[injected.strength]}, from the {injected.place} place on"


# --- the pages -------------------------------------------------------------------------------


def changed(before: Figures, after: Figures) -> list[tuple[str, int, int]]:
    """What hardening changed: a heading, and two numbers of runs."""
    return [
        ("recovered", before.recovered, after.recovered),
        ("stays: ended well", before.ended_well, after.ended_well),
        ("wrong answer", before.ends.get("wrong", 0), after.ends.get("wrong", 0)),
        ("done twice", before.done_twice, after.done_twice),
    ]


def _noted(faults: Faults, part: str, whole: str) -> dict[tuple[str, str], list[int]]:
    """The numbers of the notes in a heat map, by framework and fault: of cells that are not perfect, or above most."""
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for row in faults.rows:
        if not row.hardened and (number := getattr(row.figures, whole)):
            shares[row.fault][row.framework] = getattr(row.figures, part) / number
    return {
        (framework, fault): faults.notes_on(framework, fault)
        for fault, of_fault in shares.items()
        for framework, share in of_fault.items()
        if share < 1 or share > median(of_fault.values())
    }


def overview(card: Scorecard, faults: Faults) -> dict[str, Any]:
    """What the template of the page with all frameworks needs."""
    shown = {row.fault for row in faults.rows}
    return {
        "found": faults,
        "totals": [total for total in faults.totals if not total.hardened],
        "hardened": [total for total in faults.totals if total.beside is not None],
        "letters": fault_letters(faults),
        "sentences": [
            sentence(title_of(total, card.titles), total, faults.rows) for total in faults.totals if not total.hardened
        ],
        "faults": [fault for fault in FAULTS if fault.name in shown],
        "rows": {(row.framework, row.fault): row for row in faults.rows if not row.hardened},
        "noted": {
            "recovered": _noted(faults, "recovered", "passing"),
            "ended_well": _noted(faults, "ended_well", "lasting"),
        },
        "ends": ENDS,
        "layers": get_args(Layer),
        "changed": changed,
    }


def of_framework(card: Scorecard, faults: Faults, part: FaultPart, data: str) -> dict[str, Any]:
    """What the template of a framework's page needs; `data` is what is shown of its runs, as `static/run.js` has it."""
    marks: dict[tuple[str, bool], list[FaultMark]] = defaultdict(list)
    for mark in part.marks:
        marks[mark.fault, mark.hardened].append(mark)
    totals = [total for total in faults.totals if total.framework == part.framework]
    return {
        "part": part,
        "data": data,
        "found": faults,
        "totals": totals,
        "sentences": [sentence(title_of(total, card.titles), total, faults.rows) for total in totals],
        "faults": [fault for fault in FAULTS if any(name == fault.name for name, _ in marks)],
        "rows": {(row.fault, row.hardened): row for row in faults.rows if row.framework == part.framework},
        "marks": marks,
        "notes": [one for one in faults.notes if one.framework == part.framework],
        "others": list(dict.fromkeys(total.framework for total in faults.totals)),
        "ends": ENDS,
    }
