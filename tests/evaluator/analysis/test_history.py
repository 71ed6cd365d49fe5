"""What cells come to whose runs are not all there."""

import pytest

from evaluator import ROOT
from evaluator.analysis.history import ALL_TASKS, Measured, measured
from evaluator.catalog.frameworks import BASELINE
from evaluator.catalog.tasks import all_tasks
from evaluator.history import LOCKED, Cell
from evaluator.providers.names import SCRIPTED
from evaluator.trace import Trace, read_trace


def recorded(framework: str) -> list[Trace]:
    """One run of each task."""
    folder = ROOT / "traces" / SCRIPTED / framework
    found = [read_trace(min((folder / task).glob("*.json"))) for task in all_tasks()]
    return [one for one in found if isinstance(one, Trace)]


def of(traces: list[Trace], framework: str = "langgraph") -> Measured:
    day = "2026-03-20"
    [found] = measured(
        [Cell(framework=framework, at=LOCKED, day=day, version="1", depends_on="", recorded_at=day, traces=traces)]
    )
    return found


def test_a_cell_without_the_baseline_has_figures_but_no_multiples() -> None:
    found = of(recorded("langgraph"))
    assert found.standing == "runs" and set(found.figures) == {ALL_TASKS, *all_tasks()}
    for figures in found.figures.values():
        assert figures.metrics["overhead_s_p50"] and figures.metrics["model_calls_mean"]
        assert figures.baseline == {} and figures.ratio("overhead_s_p50") is None
    assert found.import_s and found.packages and found.import_times is None


def test_times_of_several_tasks_are_no_multiples_of_fewer_of_the_baselines() -> None:
    *some, _ = recorded(BASELINE)
    found = of([*recorded("langgraph"), *some])
    *beside, alone = all_tasks()
    assert all(found.figures[task].ratio("overhead_s_p50") for task in beside)
    assert found.figures[alone].ratio("overhead_s_p50") is found.figures[ALL_TASKS].ratio("overhead_s_p50") is None
    assert found.import_times is None


@pytest.mark.parametrize("framework", [BASELINE, "langgraph"])
def test_a_cell_without_runs_of_its_own_has_no_figures(framework: str) -> None:
    found = of([] if framework == BASELINE else recorded(BASELINE), framework)
    assert (found.standing, found.figures, found.import_times, found.packages) == ("fails", {}, None, None)


def test_the_baseline_is_beside_itself() -> None:
    found = of(recorded(BASELINE), BASELINE)
    assert found.figures[ALL_TASKS].ratio("overhead_s_p50") == found.import_times == 1
