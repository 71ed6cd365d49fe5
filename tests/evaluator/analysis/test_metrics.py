from dataclasses import replace
from typing import Any

import pytest
from factories import CASE, key, model_call, tool_call, trace
from pydantic import ValidationError

from evaluator.analysis.graded_run import GradedRun, grade_run, split_wall_time
from evaluator.analysis.metrics import METRICS, CellRuns, failure_kinds, measure, pass_hat
from evaluator.catalog.code_size import code_size
from evaluator.catalog.tasks import all_tasks
from evaluator.trace import Ended, ReportedUsage, Trace

TASK = all_tasks()["tool_calling"]


def graded(one: Trace) -> GradedRun:
    return grade_run(one, TASK)


def split(**parts: Any) -> tuple[float, float, float, float]:
    parts_of = split_wall_time(trace(wall_s=10.0, **parts))
    return parts_of.model_s, parts_of.gateway_s, parts_of.tool_s, parts_of.overhead_s


@pytest.mark.parametrize(
    ("calls", "tools", "expected"),
    [
        ([], [], (0, 0, 0, 10)),
        ([model_call(1, 2, 5, 6)], [], (3, 2, 0, 5)),
        ([model_call(1, 2, 5, 6)], [tool_call(7, 8)], (3, 2, 1, 4)),
        # two parallel calls count once
        ([model_call(1, 2, 5, 6), model_call(1, 2, 5, 6)], [], (3, 2, 0, 5)),
        # one call in the gateway while the other is upstream: that is model time
        ([model_call(1, 2, 5, 6), model_call(2, 4, 7, 8)], [], (5, 2, 0, 3)),
        # parallel tools, one inside a model call
        ([model_call(1, 2, 5, 6)], [tool_call(3, 4), tool_call(5, 8), tool_call(7, 9)], (3, 2, 3, 2)),
        # an embeddings call made by a tool is the model's time, the rest of the tool is the tool's
        ([model_call(3, 3, 4, 4, operation="embeddings")], [tool_call(2, 5)], (1, 0, 2, 7)),
        # a call still under way when the run's time was over
        ([model_call(8, 9, 12, 13)], [tool_call(11, 12)], (1, 1, 0, 8)),
    ],
)
def test_split_of_wall_time(calls: Any, tools: Any, expected: tuple[float, ...]) -> None:
    parts = split(model_calls=calls, tool_calls=tools)
    assert parts == pytest.approx(expected)
    assert sum(parts) == pytest.approx(10)


@pytest.mark.parametrize(
    ("calls", "tools", "expected"),
    [
        # three seconds that it waits, between the gateway's two
        ([model_call(1, 5, 7, 8, waited_s=3)], [], (3, 2, 2, 0, 3)),
        # two calls made at once, of which the second waits for the first: as if it had not needed to
        ([model_call(0, 0, 2, 2, waited_s=0), model_call(0, 2, 4, 4, waited_s=2)], [], (2, 2, 0, 0, 6)),
        # two that wait at the same time wait once
        ([model_call(0, 2, 4, 4, waited_s=2), model_call(1, 3, 5, 5, waited_s=2)], [], (3, 2, 0, 0, 5)),
        # one after the other
        ([model_call(0, 1, 2, 2, waited_s=1), model_call(3, 5, 6, 6, waited_s=2)], [], (3, 2, 0, 0, 5)),
        # a tool that makes an embeddings call, beside a call that waits
        ([model_call(0, 4, 6, 6, waited_s=4), model_call(1, 1, 3, 3, operation="embeddings")], [], (4, 2, 0, 0, 4)),
        ([model_call(0, 4, 6, 6, waited_s=4)], [tool_call(2, 5), tool_call(6, 7)], (4, 2, 0, 1, 3)),
        # it waited when the run's time was over, and from before it began
        ([model_call(8, 12, 12, 12, waited_s=4)], [], (2, 0, 0, 0, 8)),
        ([model_call(-1, 1, 2, 2, waited_s=2)], [], (1, 1, 0, 0, 8)),
    ],
)
def test_waiting_for_a_limit_is_nobodys_time(calls: Any, tools: Any, expected: tuple[float, ...]) -> None:
    parts = split_wall_time(trace(wall_s=10.0, model_calls=calls, tool_calls=tools))
    waited_s, *rest = expected
    assert parts.waited_s == pytest.approx(waited_s)
    assert [parts.model_s, parts.gateway_s, parts.tool_s, parts.overhead_s] == pytest.approx(rest)
    assert parts.wall_s == pytest.approx(10 - waited_s) == pytest.approx(sum(rest))


def test_a_run_that_waited_takes_no_longer_than_one_that_did_not() -> None:
    """But for its waiting the same run, and the same figures."""
    waiting = [model_call(1, 31, 33, 34, waited_s=30, stream=True), model_call(35, 96, 97, 98, waited_s=60)]
    without = [model_call(1, 1, 3, 4, stream=True), model_call(5, 6, 7, 8)]
    waited = graded(trace(wall_s=100.0, model_calls=waiting))
    plain = graded(trace(wall_s=10.0, model_calls=without))
    assert waited.wall_s == pytest.approx(plain.wall_s)
    assert waited.first_token_s == pytest.approx(plain.first_token_s)
    for part in ("model_s", "gateway_s", "tool_s", "overhead_s"):
        assert getattr(waited.split, part) == pytest.approx(getattr(plain.split, part))
    assert waited.split.waited_s == pytest.approx(90)


def test_a_passed_run() -> None:
    run = graded(trace(model_calls=[model_call(0, 0.1, 0.4, 0.5), model_call(0.5, 0.6, 0.8, 0.9)]))
    assert (run.passed, run.score, run.reasons, run.ended) == (True, 1.0, (), "answered")
    assert (run.model_calls, run.prompt_tokens, run.completion_tokens) == (2, 200, 20)
    assert (run.import_s, run.peak_memory_mb, run.usage_counted) == (0.5, 50.0, False)


def test_a_wrong_answer() -> None:
    run = graded(trace(answer="Goodbye."))
    assert not run.passed
    assert run.score == 0
    assert "lacks the fact" in run.reasons[0]
    assert not run.parts["facts"] and run.parts["state"]


@pytest.mark.parametrize(
    ("ended", "error", "reason"),
    [
        ("error", "ValueError: no", "ended with an error: ValueError: no"),
        ("timeout", None, "ended by the time-out"),
        ("call_limit", "20 calls", "ended by the limit on model calls: 20 calls"),
    ],
)
def test_a_run_without_an_answer_never_passes(ended: Ended, error: str | None, reason: str) -> None:
    run = graded(trace(ended=ended, error=error, answer="Hello."))
    assert (run.passed, run.score, run.reasons[0]) == (False, 0.0, reason)


def test_tool_calls_are_graded_in_order_of_their_start() -> None:
    seen: list[str] = []

    def grade(case: Any, outcome: Any) -> Any:
        seen.extend(call.name for call in outcome.tool_calls)
        return TASK.grade(case, outcome)

    calls = [tool_call(0.5, 0.6, "second"), tool_call(0.1, 0.9, "first", error="no")]
    grade_run(trace(tool_calls=calls), replace(TASK, grade=grade))
    assert seen == ["first", "second"]


def test_a_case_of_another_task() -> None:
    with pytest.raises(ValidationError):
        graded(trace(case={**CASE, "kind": "no such kind"}))


def test_token_counts() -> None:
    failed = model_call(0, 0, 1, 1, status=429, error="rate limit", input_tokens=None, output_tokens=None)
    unknown = model_call(0, 0, 1, 1, input_tokens=None, usage_source=None)
    counted = model_call(0, 0, 1, 1, usage_source="counted", cached_tokens=None)
    embeddings = model_call(0, 0, 1, 1, operation="embeddings", input_tokens=7)
    run = graded(trace(model_calls=[failed, counted, embeddings]))
    assert (run.model_calls, run.prompt_tokens, run.completion_tokens, run.embedding_tokens) == (2, 100, 10, 7)
    assert run.usage_counted
    run = graded(trace(model_calls=[unknown, counted]))
    assert (run.prompt_tokens, run.completion_tokens, run.cached_tokens) == (None, 20, None)
    run = graded(trace(model_calls=[]))
    assert (run.model_calls, run.prompt_tokens, run.embedding_tokens) == (0, 0, 0)
    thought = [model_call(0, 0, 1, 1, reasoning_tokens=count) for count in (None, 3, 4)]
    assert (graded(trace(model_calls=thought)).reasoning_tokens, run.reasoning_tokens) == (7, None)


def test_metrics_of_a_cell() -> None:
    runs = [
        graded(trace(key("a", 1), wall_s=1.0)),
        graded(trace(key("a", 2), wall_s=3.0, answer="Goodbye.")),
        graded(trace(key("b", 1), wall_s=2.0, model_calls=[model_call(0, 0, 1, 1, input_tokens=50)])),
        graded(trace(key("b", 2), wall_s=60.0, ended="timeout", model_calls=[])),
    ]
    code = code_size("import os\nimport crewai\n\nprint(os.sep, crewai.LLM if 1 else 0)\n", by_hand=True)
    values = measure(CellRuns(tuple(runs), code))
    assert list(values) == [metric.name for metric in METRICS]
    assert (values["cases"], values["runs"], values["passed"], values["pass_rate"]) == (2, 4, 2, 0.5)
    assert (values["errors"], values["timeouts"], values["call_limits"]) == (0, 1, 0)
    assert (values["wall_s_p50"], values["model_s_p50"], values["source_lines"]) == (2.5, 0.3, 3)
    assert (values["branches"], values["framework_names"], values["lines_by_hand"]) == (1, 2, 3)
    assert (values["model_calls_mean"], values["prompt_tokens_mean"]) == (0.75, 62.5)
    # overhead 0.5, 2.5 and 1.0 over one call each; the run without a call does not count
    assert values["overhead_per_model_call_s_p50"] == 1.0
    low, high = values["pass_rate_low"], values["pass_rate_high"]
    assert low is not None and high is not None and low < 0.5 < high


def test_times_over_several_tasks_are_geometric_means_of_the_tasks() -> None:
    def times(factor: float, *frameworks: str) -> CellRuns:
        run = graded(trace())
        of_task = {"handoff": [3.9, 4.0, 4.1], "rag_qa": [9.1, 9.2, 9.3], "tool_calling": [20.0, 21.0, 22.0]}
        runs = [
            replace(run, key=run.key.model_copy(update={"task": task, "framework": name, "case": str(i)}), wall_s=one)
            for name in frameworks
            for task, walls in of_task.items()
            for i, one in enumerate(factor * wall for wall in walls)
        ]
        return CellRuns(tuple(runs), None)

    one, other = (measure(times(factor, "x")) for factor in (1.0, 1.1))
    assert one["wall_s_p50"] == pytest.approx((4.0 * 9.2 * 21.0) ** (1 / 3), rel=1e-5)
    # a tenth more in each task is a tenth more over all
    assert other["wall_s_p50"] == pytest.approx(1.1 * (one["wall_s_p50"] or 0), rel=1e-5)
    assert measure(CellRuns(times(1.0, "x").runs[:3], None))["wall_s_p50"] == 4.0
    # several frameworks taken together are apart as well, so that one more trial of one has no more weight
    both = CellRuns((*times(1.0, "x").runs, *times(1.21, "y").runs, *times(1.21, "y").runs), None)
    assert measure(both)["wall_s_p50"] == pytest.approx(1.1 * (one["wall_s_p50"] or 0), rel=1e-5)


def test_a_time_that_is_zero_in_one_task_has_no_geometric_mean() -> None:
    run, other = graded(trace()), graded(trace(tool_calls=[tool_call(0.7, 0.8)]))
    elsewhere = replace(run, key=run.key.model_copy(update={"task": "handoff"}))
    assert (measure(CellRuns((run,), None))["tool_s_p50"], measure(CellRuns((other,), None))["tool_s_p50"]) == (0, 0.1)
    values = measure(CellRuns((other, elsewhere), None))
    assert values["tool_s_p50"] is None and values["overhead_s_p50"] is not None


def test_a_time_is_over_the_runs_that_compare_and_of_all_tasks_or_none() -> None:
    run = graded(trace(wall_s=1.0))
    slow = replace(graded(trace(wall_s=9.0)), timed=False)
    assert measure(CellRuns((run, slow), None))["wall_s_p50"] == 1.0
    elsewhere = replace(slow, key=slow.key.model_copy(update={"task": "handoff"}))
    assert measure(CellRuns((run, elsewhere), None))["wall_s_p50"] is None


def test_what_was_not_observed_is_none() -> None:
    run = replace(graded(trace(model_calls=[])), import_s=None, peak_memory_mb=None, prompt_tokens=None)
    values = measure(CellRuns((run,), code=None))
    unknown = {name for name, value in values.items() if value is None}
    assert unknown == {
        "overhead_per_model_call_s_p50",
        "prompt_tokens_mean",
        "reasoning_tokens_mean",
        "source_lines",
        "packages_max",
        "installed_mb_max",
        "source_tokens",
        "branches",
        "framework_names",
        "lines_by_hand",
        "time_to_first_token_s_p50",
        "import_s_p50",
        "memory_after_import_mb_p50",
        "peak_memory_mb_max",
        "cost_usd_mean",
        "injected_tokens_per_call",
        "differences_explained",
        "differences_unexplained",
        "reported_prompt_tokens_mean",
        "reported_completion_tokens_mean",
        "prompt_tokens_discrepancy",
        "completion_tokens_discrepancy",
    }


def test_the_footprint_is_that_of_the_workers_and_their_environment() -> None:
    first = {"import_s": 1.0, "memory_after_import_mb": 80.0, "peak_memory_mb": 90.0}
    second = {"import_s": 2.0, "memory_after_import_mb": 82.0, "peak_memory_mb": 120.0}
    seen = {"packages": 14, "installed_mb": 19.97}
    dead = {"import_s": None, "memory_after_import_mb": None, "peak_memory_mb": None, **seen}
    resources = [first, first, first | seen, second | seen, dead]
    values = measure(CellRuns(tuple(graded(trace(resources=one)) for one in resources), None))
    assert (values["packages_max"], values["installed_mb_max"], values["workers"]) == (14, 19.97, 2)
    assert (values["import_s_p50"], values["memory_after_import_mb_p50"]) == (1.0, 80.0)
    assert values["peak_memory_mb_max"] == 120.0


def test_injected_tokens_are_a_mean_over_calls_and_not_over_runs() -> None:
    run = graded(trace())
    runs = (
        replace(run, injected_tokens=30, compared_calls=1),
        replace(run, injected_tokens=-10, compared_calls=3),
        replace(run, injected_tokens=None, compared_calls=5),
        replace(run, injected_tokens=0, compared_calls=0),
    )
    values = measure(CellRuns(runs, None, differences_explained=3, differences_unexplained=0))
    assert values["injected_tokens_per_call"] == 5.0
    assert (values["differences_explained"], values["differences_unexplained"]) == (3, 0)


def test_the_frameworks_own_count_beside_the_wires() -> None:
    def reported(input_tokens: int, output_tokens: int) -> GradedRun:
        own = ReportedUsage(input_tokens=input_tokens, output_tokens=output_tokens)
        return graded(trace().model_copy(update={"reported_usage": own}))

    assert (reported(150, 10).reported_prompt_tokens, reported(150, 10).reported_completion_tokens) == (150, 10)
    # the wire has 100 and 10 tokens a run; the run without a report does not count
    values = measure(CellRuns((reported(150, 10), reported(110, 10), graded(trace())), None))
    assert values["reported_runs"] == 2
    assert (values["reported_prompt_tokens_mean"], values["reported_completion_tokens_mean"]) == (130, 10)
    assert (values["prompt_tokens_discrepancy"], values["completion_tokens_discrepancy"]) == (0.3, 0)
    uncounted = replace(reported(150, 10), prompt_tokens=None)
    assert measure(CellRuns((uncounted, reported(90, 10)), None))["prompt_tokens_discrepancy"] == -0.1


def test_time_to_first_token_is_that_of_streamed_answers() -> None:
    streamed = model_call(0, 0.1, 2, 2.5, stream=True, first_byte_s=0.4)
    slower = model_call(3, 3.1, 5, 5.5, stream=True, first_byte_s=3.6)
    refused = model_call(6, 6.1, 7, 7, stream=True, first_byte_s=6.2, status=429, input_tokens=None)
    run = graded(trace(model_calls=[streamed, slower, refused, model_call(8, 8, 9, 9)], wall_s=10))
    assert run.first_token_s == pytest.approx((0.3, 0.5))
    assert measure(CellRuns((run,), None))["time_to_first_token_s_p50"] == pytest.approx(0.4)


def test_pass_hat_goes_as_far_as_the_trials_of_every_case() -> None:
    passed, failed = graded(trace(key("a"))), graded(trace(key("a"), answer="Goodbye."))
    cases = {"a": [passed, passed, failed], "b": [passed] * 3, "c": [failed] * 4}
    runs = [replace(run, key=key(case, i)) for case, of_case in cases.items() for i, run in enumerate(of_case, 1)]
    # of a: 2/3, 1/3 and 0; of b 1; of c 0
    assert pass_hat(CellRuns(tuple(runs), None)) == pytest.approx((5 / 9, 4 / 9, 1 / 3), rel=1e-5)
    assert pass_hat(CellRuns((passed,), None)) == (1.0,)


def test_failures_are_counted_by_kind() -> None:
    runs = (
        graded(trace(answer="Goodbye.")),
        graded(trace(answer="")),
        graded(trace(ended="timeout", answer="Hello.")),
        graded(trace()),
    )
    assert failure_kinds(CellRuns(runs, None)) == {
        "the answer lacks a fact": 2,
        "ended by the time-out": 1,
        "the answer is empty": 1,
    }


def test_the_table_of_metrics() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.meaning and "\n" not in metric.meaning
        assert metric.unit
