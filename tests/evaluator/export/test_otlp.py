"""`bakeoff export --format otlp`: spans, read back from the file."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from factories import model_call, tool_call, trace
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from played import played

from evaluator.analysis.graded_run import grade_run
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.export import otlp
from evaluator.export.runs import Report
from evaluator.trace import Trace

TASKS = all_tasks()


def spans_of(run: Trace, folder: Path) -> list[Span]:
    """The spans of a run, through the file, as a reader of OTLP's JSON has them."""
    report = Report()
    otlp.write([(run, grade_run(run, TASKS[run.key.task]))], folder / "out.jsonl", report)
    assert report.written == 1
    (line,) = (folder / "out.jsonl").read_text().splitlines()
    data = json.loads(line)
    for span in data["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = b64encode(bytes.fromhex(span[name])).decode()
    (resource,) = ParseDict(data, ExportTraceServiceRequest()).resource_spans
    (scope,) = resource.scope_spans
    return list(scope.spans)


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_run_is_a_span_with_a_child_for_each_call(tmp_path: Path) -> None:
    run = played("handoff", "hops-invoice-line")
    root, *children = spans_of(run, tmp_path)
    assert [child.name for child in children] == [
        *["chat scripted"] * 5,
        "execute_tool get_invoice",
        "execute_tool run_line_test",
    ]
    assert {child.parent_span_id for child in children} == {root.span_id} and not root.parent_span_id
    assert len({span.span_id for span in (root, *children)}) == 8
    assert {span.trace_id for span in (root, *children)} == {root.trace_id}
    for child, call in zip(children, run.model_calls, strict=False):
        assert child.start_time_unix_nano - root.start_time_unix_nano == call.start_s * 10**9
        assert child.end_time_unix_nano - root.start_time_unix_nano == call.end_s * 10**9
        assert attributes(child)["gen_ai.usage.input_tokens"] == call.input_tokens
    assert root.start_time_unix_nano == 1735787045 * 10**9  # 2025-01-02T03:04:05Z
    asked = json.loads(attributes(children[1])["gen_ai.input.messages"])
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "tool"]
    assert asked[2]["parts"][0]["name"] == "transfer_to_billing"
    assert asked[3]["parts"][0]["type"] == "tool_call_response"
    assert json.loads(attributes(children[5])["gen_ai.tool.call.arguments"]) == {"invoice_id": "INV-9001"}
    assert spans_of(run, tmp_path) == [root, *children]


def test_the_grade_is_an_event_and_what_failed_is_an_error(tmp_path: Path) -> None:
    failed = tool_call(0.2, 0.3, error="ToolError: no such order")
    calls = [model_call(0.1, 0.2, 0.5, 0.6, status=500, error="UpstreamError", request={"messages": 7})]
    run = trace(ended="error", error="gone", answer="", model_calls=calls, tool_calls=[failed])
    root, chat, tool = spans_of(run, tmp_path)
    assert attributes(root)["error.type"] == "error" and root.status.code == Status.STATUS_CODE_ERROR
    assert chat.status.message == "UpstreamError" and tool.status.message == "ToolError: no such order"
    assert "gen_ai.tool.call.result" not in attributes(tool)
    (event,) = root.events
    assert event.name == "gen_ai.evaluation.result"
    assert attributes(event)["gen_ai.evaluation.score.label"] == "failed"
    assert "gone" in attributes(event)["gen_ai.evaluation.explanation"]
    passed = spans_of(trace(), tmp_path)[0]
    assert passed.status.code == Status.STATUS_CODE_UNSET
    assert attributes(passed.events[0])["gen_ai.evaluation.score.label"] == "passed"


def test_a_start_that_is_no_time_is_left_out(tmp_path: Path) -> None:
    run = trace(started_at="yesterday")
    with pytest.raises(Mistake, match="1 runs with a start that is no time"):
        otlp.write([(run, grade_run(run, TASKS["tool_calling"]))], tmp_path / "out.jsonl", Report())
