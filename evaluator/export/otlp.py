"""Recorded runs as OpenTelemetry spans with the GenAI conventions, in OTLP's JSON: one request of one trace a line.

A run is a span `invoke_agent` with a child for each model call (`chat`, `embeddings`) and each tool call
(`execute_tool`). Its grade is an event `gen_ai.evaluation.result` on it. Ids are digests of the run's key and its
start, so that exporting again gives the same. All runs are exported, however they ended.
"""

import hashlib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION

from evaluator.analysis.gather import run_name
from evaluator.analysis.graded_run import GradedRun
from evaluator.export.runs import Report, write_lines
from evaluator.export.wire import Message, UnreadableError, as_json, read
from evaluator.trace import ModelCall, Trace, TracedToolCall

_EVALUATION = "gen_ai.evaluation.result"
_OURS = "bakeoff"


def write(runs: Iterable[tuple[Trace, GradedRun]], out: Path, report: Report) -> None:
    """Write one line for each run. Raises `Mistake` where there is nothing to write, or it cannot be written."""
    write_lines(_requests(runs, report), out, report)


def _requests(runs: Iterable[tuple[Trace, GradedRun]], report: Report) -> Iterator[dict[str, Any]]:
    for trace, run in runs:
        try:
            request = request_of(trace, run)
        except ValueError:
            report.left_out["runs with a start that is no time"] += 1
            continue
        yield _as_otlp_json(request)


def request_of(trace: Trace, run: GradedRun) -> ExportTraceServiceRequest:
    """The spans of one run. Raises `ValueError` where its start is no time."""
    began = datetime.fromisoformat(trace.setup.started_at)
    began_ns = int((began if began.tzinfo else began.replace(tzinfo=UTC)).timestamp()) * 10**9
    trace_id = hashlib.sha256(f"{run_name(trace.key)} {trace.setup.started_at}".encode()).digest()[:16]

    def span(place: int, name: str, start_s: float, end_s: float, kind: Any, attributes: Mapping[str, Any]) -> Span:
        error = attributes.get(ERROR_TYPE)
        return Span(
            trace_id=trace_id,
            span_id=_span_id(trace_id, place),
            parent_span_id=_span_id(trace_id, 0) if place else b"",
            name=name,
            kind=kind,
            start_time_unix_nano=began_ns + round(max(start_s, 0) * 10**9),
            end_time_unix_nano=began_ns + round(max(start_s, end_s, 0) * 10**9),
            attributes=_attributes(attributes),
            status=Status(code=Status.STATUS_CODE_ERROR, message=error) if error else None,
        )

    wall_s = trace.resources.wall_s
    root = span(
        0, f"invoke_agent {trace.key.framework}", 0, wall_s, Span.SPAN_KIND_INTERNAL, _run_attributes(trace, run)
    )
    root.events.append(
        Span.Event(time_unix_nano=root.end_time_unix_nano, name=_EVALUATION, attributes=_attributes(_evaluation(run)))
    )
    spans = [root]
    for call in trace.model_calls:
        name = f"{call.operation} {call.request_model}"
        attributes = _model_attributes(trace, call)
        spans.append(span(len(spans), name, call.begun_s, call.end_s, Span.SPAN_KIND_CLIENT, attributes))
    for tool in trace.tool_calls:
        name, attributes = f"execute_tool {tool.name}", _tool_attributes(tool)
        spans.append(span(len(spans), name, tool.start_s, tool.end_s, Span.SPAN_KIND_INTERNAL, attributes))
    version = trace.setup.harness_version
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=_attributes({SERVICE_NAME: _OURS, SERVICE_VERSION: version})),
                scope_spans=[ScopeSpans(scope=InstrumentationScope(name=_OURS, version=version), spans=spans)],
            )
        ]
    )


def _span_id(trace_id: bytes, place: int) -> bytes:
    return hashlib.sha256(trace_id + place.to_bytes(8, "big")).digest()[:8]


# --- attributes ------------------------------------------------------------------------------


def _run_attributes(trace: Trace, run: GradedRun) -> dict[str, Any]:
    key = trace.key
    return {
        names.GEN_AI_OPERATION_NAME: "invoke_agent",
        names.GEN_AI_PROVIDER_NAME: _provider(trace),
        names.GEN_AI_AGENT_NAME: key.framework,
        names.GEN_AI_AGENT_VERSION: trace.setup.framework_version,
        names.GEN_AI_REQUEST_MODEL: key.model,
        names.GEN_AI_USAGE_INPUT_TOKENS: run.prompt_tokens,
        names.GEN_AI_USAGE_OUTPUT_TOKENS: run.completion_tokens,
        names.GEN_AI_INPUT_MESSAGES: _messages([Message("user", str(trace.case.get("question", "")))]),
        names.GEN_AI_OUTPUT_MESSAGES: _messages([Message("assistant", trace.outcome.answer)]),
        ERROR_TYPE: None if trace.outcome.ended == "answered" else trace.outcome.ended,
        **{f"{_OURS}.{field}": value for field, value in key.model_dump().items()},
        f"{_OURS}.ended": trace.outcome.ended,
    }


def _evaluation(run: GradedRun) -> dict[str, Any]:
    return {
        names.GEN_AI_EVALUATION_NAME: run.key.task,
        names.GEN_AI_EVALUATION_SCORE_VALUE: None if run.score is None else float(run.score),
        names.GEN_AI_EVALUATION_SCORE_LABEL: "passed" if run.passed else "failed",
        names.GEN_AI_EVALUATION_EXPLANATION: "; ".join(run.reasons),
    }


def _model_attributes(trace: Trace, call: ModelCall) -> dict[str, Any]:
    streamed = call.operation == "chat" and call.stream
    attributes = {
        names.GEN_AI_OPERATION_NAME: call.operation,
        names.GEN_AI_PROVIDER_NAME: _provider(trace),
        names.GEN_AI_REQUEST_MODEL: call.request_model,
        names.GEN_AI_USAGE_INPUT_TOKENS: call.input_tokens,
        names.GEN_AI_USAGE_OUTPUT_TOKENS: call.output_tokens,
        names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: call.cached_tokens,
        names.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: call.reasoning_tokens,
        names.GEN_AI_REQUEST_STREAM: call.stream,
        names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: call.first_byte_s - call.sent_s if streamed else None,
        ERROR_TYPE: call.error or (str(call.status) if call.status >= 400 else None),
    }
    try:
        exchange = read(call)
    except UnreadableError:
        return attributes  # embeddings, and what is no chat completion
    return attributes | {
        names.GEN_AI_INPUT_MESSAGES: _messages(exchange.sent),
        names.GEN_AI_OUTPUT_MESSAGES: _messages([exchange.reply]),
        names.GEN_AI_TOOL_DEFINITIONS: as_json(exchange.tools) if exchange.tools else None,
    }


def _tool_attributes(call: TracedToolCall) -> dict[str, Any]:
    return {
        names.GEN_AI_OPERATION_NAME: "execute_tool",
        names.GEN_AI_TOOL_NAME: call.name,
        names.GEN_AI_TOOL_TYPE: "function",
        names.GEN_AI_AGENT_NAME: call.agent,
        names.GEN_AI_TOOL_CALL_ARGUMENTS: as_json(call.arguments),
        names.GEN_AI_TOOL_CALL_RESULT: None if call.error else as_json(call.result),
        ERROR_TYPE: call.error,
    }


def _provider(trace: Trace) -> str:
    """The endpoint of `<endpoint>/<model>`, or the built-in model's name."""
    return trace.key.model.partition("/")[0]


def _messages(messages: Iterable[Message]) -> str:
    """Messages as the conventions write them into an attribute: JSON text, each with its parts."""
    return as_json([{"role": message.role, "parts": list(_parts(message))} for message in messages])


def _parts(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "tool_call_response", "id": message.answers, "response": message.text}
        return
    if message.text:
        yield {"type": "text", "content": message.text}
    for call in message.calls:
        arguments = call.text if call.arguments is None else call.arguments
        yield {"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments}


def _attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in values.items() if value is not None]


def _value(value: bool | int | float | str) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)


# --- JSON ------------------------------------------------------------------------------------


def _as_otlp_json(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """Protobuf's own JSON, but for what OTLP wants otherwise: ids in hex, enums as numbers."""
    data: dict[str, Any] = MessageToDict(request, use_integers_for_enums=True)
    for resource in data["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = b64decode(span[name]).hex()
    return data
