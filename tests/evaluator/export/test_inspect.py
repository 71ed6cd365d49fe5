"""`bakeoff export --format inspect`: logs, read back with Inspect itself. Needs the extra `inspect`."""

from pathlib import Path

import pytest
from factories import CASE, key, model_call, tool_call, trace
from played import played

pytest.importorskip("inspect_ai", reason="the extra `inspect` is not installed")

from inspect_ai.event import timeline_build
from inspect_ai.log import list_eval_logs, read_eval_log

from evaluator.analysis.graded_run import grade_run
from evaluator.catalog.tasks import all_tasks
from evaluator.export import inspect_log
from evaluator.export.runs import Report
from evaluator.trace import Ended

TASKS = all_tasks()


def test_calls_that_failed_and_calls_that_cannot_be_read_are_in_the_transcript(tmp_path: Path) -> None:
    odd = {"function": {"name": "odd", "description": None, "parameters": {"properties": 3}}}
    offered = {"messages": [{"role": "user", "content": "Hi"}], "tools": [odd, {"name": "bare"}]}
    reply = {"choices": [{"message": {"role": "assistant", "content": "Hello."}}]}
    calls = [
        model_call(0.1, 0.1, 0.2, 0.2, status=503, error="server_error", response="down"),
        model_call(0.3, 0.3, 0.4, 0.4, request=offered, response=reply),
    ]
    tools = [tool_call(0.25, 0.26, error="ToolError: no such order"), tool_call(0.27, 0.28, result={"order": 7})]
    run = trace(model_calls=calls, tool_calls=tools)
    inspect_log.write([(run, grade_run(run, TASKS["tool_calling"]))], tmp_path, Report())
    [sample] = read_eval_log(list_eval_logs(str(tmp_path))[0]).samples
    failed, refused, found, answered = sample.events
    assert (failed.error, failed.input, answered.error) == ("server_error", [], None)
    assert (refused.function, refused.error.message, refused.metadata) == (
        "get_order",
        "ToolError: no such order",
        None,
    )
    assert (found.result, found.error) == ('{"order": 7}', None)
    assert [(tool.name, tool.parameters.properties) for tool in answered.tools] == [("odd", {}), ("bare", {})]
    assert answered.output.completion == "Hello." and answered.output.usage.input_tokens == 100


@pytest.mark.parametrize(("ended", "type_", "limit"), [("timeout", "time", 60), ("call_limit", "turn", 20)])
def test_a_run_that_a_limit_ended_is_scored_and_no_error(tmp_path: Path, ended: Ended, type_: str, limit: int) -> None:
    run = trace(ended=ended, error="no answer", answer="")
    inspect_log.write([(run, grade_run(run, TASKS["tool_calling"]))], tmp_path, Report())
    [sample] = read_eval_log(list_eval_logs(str(tmp_path))[0]).samples
    assert (sample.limit.type, sample.limit.limit, sample.limit.reason) == (type_, limit, "no answer")
    assert (sample.scores["grade"].value, sample.error) == ("I", None)


def test_inspect_reads_the_runs_back(tmp_path: Path) -> None:
    good, bad = trace(), trace(key(trial=2), ended="error", error="ValueError: no", answer="")
    hops = played("handoff", "hops-invoice-line", framework="y")
    report = Report()
    inspect_log.write([(run, grade_run(run, TASKS[run.key.task])) for run in (good, bad, hops)], tmp_path, report)
    assert report.written == 2
    logs = {log.eval.task: log for log in map(read_eval_log, list_eval_logs(str(tmp_path)))}
    assert set(logs) == {"tool_calling (baseline)", "handoff (y)"}
    first, second = logs["tool_calling (baseline)"].samples
    assert (first.id, first.epoch, first.input, first.scores["grade"].value) == ("greeting", 1, CASE["question"], "C")
    assert (second.epoch, second.scores["grade"].value, second.error.message) == (2, "I", "ValueError: no")
    assert logs["tool_calling (baseline)"].eval.dataset.samples == 1
    assert logs["tool_calling (baseline)"].results.scores[0].metrics["pass_rate"].value == 0.5
    assert logs["tool_calling (baseline)"].stats.model_usage["scripted"].input_tokens == 200
    (sample,) = logs["handoff (y)"].samples
    assert [message.role for message in sample.messages[:4]] == ["system", "user", "assistant", "tool"]
    assert sample.messages[2].tool_calls[0].function == "transfer_to_billing"
    events = sample.events
    assert [event.timestamp for event in events] == sorted(event.timestamp for event in events)
    chats = [event for event in events if event.event == "model"]
    assert len(chats) == len(hops.chats) > 2 and {event.model for event in chats} == {"scripted"}
    assert chats[0].input[1].content == hops.case["question"] and chats[0].output.stop_reason == "tool_calls"
    assert "transfer_to_billing" in [tool.name for tool in chats[0].tools]
    assert chats[-1].output.completion == hops.chats[-1].response["choices"][0]["message"]["content"]
    tools = [(event.function, event.metadata["agent"]) for event in events if event.event == "tool"]
    assert tools == [(call.name, call.agent) for call in hops.tool_calls] != []
    spans = [event.name for event in events if event.event == "span_begin"]
    assert spans[0] == "agent 1" and "billing" in spans
    timeline = timeline_build(events)
    assert [span.name for span in timeline.root.content] == spans
    assert not any(span.utility for span in timeline.root.content)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    inspect_log.write([(run, grade_run(run, TASKS[run.key.task])) for run in (good, bad, hops)], tmp_path, report)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
