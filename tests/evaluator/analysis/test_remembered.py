"""What is remembered of runs that say the same, and that nothing else is taken for it."""

from collections.abc import Callable

import pytest
from played import TASKS, played

from evaluator.analysis.graded_run import grade_run
from evaluator.analysis.parity import observation, observe
from evaluator.analysis.remembered import Remembered
from evaluator.trace import Trace

TASK = TASKS["tool_calling"]


def test_the_same_is_made_once_and_another_anew() -> None:
    asked: list[str] = []

    def result(remembered: Remembered[str], which: str, given: object) -> str:
        return remembered.of(which, given, lambda: asked.append(which) or f"{which}{len(asked)}")

    one: Remembered[str] = Remembered(most=2)
    assert [result(one, "a", {"n": 1}) for _ in range(3)] == ["a1"] * 3
    assert [result(one, "b", {"n": 1}), result(one, "a", {"n": 1.0}), result(one, "b", {"n": 1})] == ["b2", "a3", "b2"]
    assert result(one, "a", {"n": 1}) == "a4", "the one asked for longest ago is forgotten"
    assert [result(one, "c", object()), result(one, "c", {"n": 2**70})] == ["c5", "c6"]


def test_what_is_raised_is_raised_again() -> None:
    remembered: Remembered[int] = Remembered(most=2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            remembered.of("a", 1, lambda: 1 // 0)


def later(trace: Trace, seconds: float = 5.0) -> Trace:
    """The same run, started at another moment, as another trial."""
    changed = trace.model_copy(deep=True)
    changed.key = changed.key.model_copy(update={"trial": 2})
    for call in [*changed.model_calls, *changed.tool_calls]:
        call.start_s, call.end_s = call.start_s + seconds, call.end_s + seconds
    return changed


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trace], object]:
    """Observes a run with nothing remembered."""

    def observed(trace: Trace) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(observation, "_OBSERVATIONS", Remembered(most=1))
            return observe(trace, TASK)

    return observed


def test_a_run_that_says_the_same_at_another_time_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = played("tool_calling", "stock-and-quote")
    first = observe(run, TASK)
    monkeypatch.setattr(observation, "_observed", lambda trace, task: pytest.fail("it is read again"))
    again = observe(later(run), TASK)
    assert (again.key.trial, again.steps, again.unlike_script) == (2, first.steps, first.unlike_script)


def _temperature(run: Trace) -> None:
    run.setup.temperature = 0.7


def _model(run: Trace) -> None:
    run.key = run.key.model_copy(update={"model": "local"})


def _replayed(run: Trace) -> None:
    run.setup.replayed_model = "local"


def _request(run: Trace) -> None:
    run.model_calls[0].request["messages"][0]["content"] += " Be brief."


def _response(run: Trace) -> None:
    run.model_calls[0].response["choices"][0]["message"]["tool_calls"] = []


def _result(run: Trace) -> None:
    run.tool_calls[0].result = "something else"


def _not_yet(run: Trace) -> None:
    run.tool_calls[0].end_s = run.model_calls[-1].end_s + 1


def _failed(run: Trace) -> None:
    run.model_calls[0].status = 500


def _other_api(run: Trace) -> None:
    run.model_calls[0].api = "responses"


def _stopped(run: Trace) -> None:
    del run.model_calls[-1]


@pytest.mark.parametrize(
    "change", [_temperature, _model, _replayed, _request, _response, _result, _not_yet, _failed, _stopped, _other_api]
)
def test_a_run_that_says_something_else_is_read_anew(
    change: Callable[[Trace], None], fresh: Callable[[Trace], object]
) -> None:
    run = played("tool_calling", "stock-and-quote")
    before = observe(run, TASK)
    change(run)
    if change is _other_api:
        with pytest.raises(ValueError, match="responses"):
            observe(run, TASK)
    else:
        assert observe(run, TASK) == fresh(run) != before


def test_runs_that_were_cut_off_are_told_from_those_that_ended(fresh: Callable[[Trace], object]) -> None:
    run = played("tool_calling", "stock-and-quote")
    del run.model_calls[-1]
    before = observe(run, TASK)
    assert before.skipped
    run.outcome.refused_calls = 1
    assert observe(run, TASK) == fresh(run) != before
    run.outcome.refused_calls, run.outcome.ended = 0, "timeout"
    assert observe(run, TASK) == fresh(run) != before


def test_another_outcome_gets_its_own_grade() -> None:
    run = played("tool_calling", "stock-and-quote")
    before = grade_run(run, TASK).reasons
    assert grade_run(later(run), TASK).reasons == before
    run.outcome.answer = "It is 123.45 EUR in all."
    wrong = grade_run(run, TASK).reasons
    run.tool_calls.clear()
    assert len({before, wrong, grade_run(run, TASK).reasons}) == 3
