"""Sends an OTLP file to a running Phoenix, and says which spans Phoenix lists then.

uvx --from arize-phoenix phoenix serve
uv run tests/loaders/phoenix.py .bakeoff/export/otlp.jsonl [http://127.0.0.1:6006]
"""

import json
import sys
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from pathlib import Path

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

file, server = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:6006"
sent = 0
for line in file.open(encoding="utf-8"):
    data = json.loads(line)
    for resource in data["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                sent += 1
                for name in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[name] = b64encode(bytes.fromhex(span[name])).decode()
    body = ParseDict(data, ExportTraceServiceRequest()).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    with urllib.request.urlopen(urllib.request.Request(f"{server}/v1/traces", body, headers)):
        pass
time.sleep(5)  # Phoenix stores what it gets a little later
with urllib.request.urlopen(f"{server}/v1/projects/default/spans?limit=1000") as answer:
    listed = json.load(answer)["data"]
print(f"sent {sent} spans, listed (at most 1000): {Counter(span['span_kind'] for span in listed)}")
