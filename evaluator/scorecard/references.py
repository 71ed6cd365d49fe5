"""The floors and the ceiling as rows beside the cells, over exactly the cases that these have."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from evaluator.analysis.breakdown import Judged, by_level, components
from evaluator.analysis.metrics import Value, rounded
from evaluator.analysis.models import ModelComparison
from evaluator.analysis.references import REFERENCES
from evaluator.scorecard.content import ReferenceRow

OfCases = Mapping[tuple[str, str], Mapping[str, Sequence[Judged]]]
"""What each of `REFERENCES` gets, in their order: by model and task, and by case."""


def reference_rows(of_cases: OfCases, tasks: Sequence[str], comparison: ModelComparison | None) -> list[ReferenceRow]:
    """The rows of each model, task by task and over all tasks, and those of the cases that models are compared on."""
    rows: list[ReferenceRow] = []
    for model in sorted({model for model, _ in of_cases}):
        of_tasks = {task: list(of_cases[model, task].values()) for task in tasks if (model, task) in of_cases}
        for task, judged in of_tasks.items():
            rows += _rows(model, task, judged)
        rows += _rows(model, None, [one for judged in of_tasks.values() for one in judged])
    if comparison is not None:
        first = comparison.models[0]
        rows += _rows(None, None, [of_cases[first, task][case] for task, case in comparison.cases])
    return rows


def _rows(model: str | None, task: str | None, of_cases: Sequence[Sequence[Judged]]) -> list[ReferenceRow]:
    return [
        ReferenceRow(
            reference,
            model,
            task,
            _metrics([of_case[number] for of_case in of_cases]),
            by_level(of_case[number] for of_case in of_cases),
            components(of_case[number] for of_case in of_cases) if task is not None else (),
        )
        for number, reference in enumerate(REFERENCES)
    ]


def _metrics(judged: Sequence[Judged]) -> dict[str, Value]:
    """Each case is a run."""
    passed = sum(one.passed for one in judged)
    return {
        "cases": len(judged),
        "runs": len(judged),
        "passed": passed,
        "pass_rate": rounded(passed / len(judged)),
        "mean_score": _mean_of_known(one.score for one in judged),
    }


def _mean_of_known(scores: Iterable[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return rounded(fmean(known)) if known else None
