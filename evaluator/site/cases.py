"""The runs of each case: what is made of their traces where these are read, and the pages that this gives."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup

from evaluator.analysis.gather import Whole, every_task
from evaluator.analysis.graded_run import measure_run
from evaluator.analysis.judge import Judgement
from evaluator.analysis.levels import LEVELS
from evaluator.catalog.frameworks import baseline_first, title_at
from evaluator.probes.behaviours import judged
from evaluator.site import runs
from evaluator.site.overview import real_first
from evaluator.site.packed import Packer, beside
from evaluator.site.render import environment
from evaluator.site.runs import RunView
from evaluator.trace import Key
from tasks.grading import Grade


@dataclass(frozen=True)
class CaseRun:
    """A run on the page of its case: whether it passed, and its part of the page as HTML."""

    key: Key
    passed: bool
    article: Markup


@dataclass(frozen=True)
class Part:
    """The runs of a case that were read together; `data` is what is shown of them, as `packed.beside` gives it.

    `about` says what a probe is about; of other cases it is empty. `level` is None where it is not known.
    """

    about: str
    level: int | None
    question: str
    expected: str
    runs: tuple[CaseRun, ...]
    data: bytes


@dataclass(frozen=True)
class Maker:
    """Makes of the traces of a case what the site needs of its runs. `titles` are those of the frameworks."""

    titles: Mapping[str, str]

    def __call__(self, whole: Sequence[Whole]) -> Part | None:
        """The runs that are in `whole`; None where there is none."""
        views = [found for one in whole if (found := _view(one)) is not None]
        if not views:
            return None
        packer, case = Packer(), views[0].trace.case
        titled = [(view, title_at(view.run.key.framework, self.titles)) for view in views]
        packed = [packer.run(*one) for one in titled]
        return Part(
            about=views[0].about,
            level=views[0].run.level,
            question=str(case.get("question", "")),
            expected=str(case.get("answer", "")),
            runs=tuple(CaseRun(view.run.key, view.run.passed, _article()(view, title)) for view, title in titled),
            data=beside(packed, packer.shared),
        )


@cache
def _article() -> Callable[[RunView, str], Markup]:
    """Renders a run among those of its case."""
    macro: Callable[[RunView, str], Markup] = environment().get_template("across.html").module.article  # type: ignore[attr-defined]
    return macro


def _view(one: Whole) -> RunView | None:
    """The run as it is shown. A probe passes if what the framework did will do, and its reason says what that was."""
    task = every_task()[one.trace.key.task]
    if one.scored is not None:
        return runs.view(one.trace, task, one.scored.run, one.observation, one.scored.comparison)
    if not task.probes or (judgement := judged(one.trace)) is None:
        return None
    probe, verdict = judgement
    said = f"{verdict.words}: {verdict.quote}" if verdict.quote else verdict.words
    grade = Grade(passed=verdict.acceptable, score=float(verdict.acceptable), reasons=[said])
    return runs.view(one.trace, task.probed(), measure_run(one.trace, grade), None, None, probe.meaning)


@dataclass(frozen=True)
class Case:
    """One case of a model: its runs for each framework, by trial; a framework without one has none."""

    name: str
    runs: Mapping[str, Sequence[CaseRun]]
    parts: Sequence[Part]

    @property
    def level(self) -> int | None:
        """How hard it is."""
        return self.parts[0].level

    @property
    def words(self) -> str:
        """What it is about."""
        return self.parts[0].about or self.parts[0].question


@dataclass(frozen=True)
class Grid:
    """All runs of one model on one task: cases from top to bottom, frameworks from left to right."""

    model: str
    task: str
    frameworks: tuple[str, ...]
    cases: tuple[Case, ...]

    def around(self, number: int) -> dict[str, Case | None]:
        """The cases before and after the one of this number."""
        return {
            "previous": self.cases[number - 1] if number else None,
            "following": self.cases[number + 1] if number + 1 < len(self.cases) else None,
        }


def grids(parts: Iterable[Part], tasks: Sequence[str]) -> list[Grid]:
    """The runs by model and task; real models come first, probes last, and the baseline before the frameworks.

    A run that is recorded twice counts once, as in the scorecard: where it was read first.
    """
    found: dict[tuple[str, str], dict[str, dict[Key, CaseRun]]] = defaultdict(lambda: defaultdict(dict))
    read: dict[tuple[str, str, str], list[Part]] = defaultdict(list)
    for part in parts:
        for run in part.runs:
            key = run.key
            found[key.model, key.task][key.case].setdefault(key, run)
            of_case = read[key.model, key.task, key.case]
            if part not in of_case[-1:]:
                of_case.append(part)
    return [
        _grid(model, task, found[model, task], read)
        for model, task in sorted(found, key=lambda pair: (*real_first(pair[0]), tasks.index(pair[1])))
    ]


def _grid(
    model: str,
    task: str,
    by_case: Mapping[str, Mapping[Key, CaseRun]],
    read: Mapping[tuple[str, str, str], Sequence[Part]],
) -> Grid:
    names = sorted({key.framework for of_case in by_case.values() for key in of_case}, key=baseline_first)
    cases = []
    for case, of_case in sorted(by_case.items()):
        by_trial = sorted(of_case.values(), key=lambda run: run.key.trial)
        by_framework = {name: [run for run in by_trial if run.key.framework == name] for name in names}
        cases.append(Case(case, by_framework, read[model, task, case]))
    return Grid(model, task, tuple(names), tuple(cases))


def page_data(grid: Grid, number: int, judgements: Sequence[Judgement], data: Sequence[str]) -> dict[str, Any]:
    """What the template of a case's page needs: `judgements` are what judges said of its runs, and `data` what is shown
    of these, as `static/run.js` reads it."""
    case = grid.cases[number]
    shown = {"grid": grid, "case": case, "levels": LEVELS, "judgements": judgements, "data": data}
    return {**shown, **grid.around(number)}
