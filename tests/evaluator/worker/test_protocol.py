"""The messages between harness and worker."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.worker.protocol import Done, Event, Failed, Job, Ready, ToolCall, event_of, order_of
from tasks.base import Model

CALL = ToolCall(run="r", agent=None, name="t", arguments={"a": 1}, result=[None], error=None, start=1.0, end=2.0)
EVENTS: list[Event] = [
    Ready(import_s=0.5, memory_mb=40, python="3.12.1"),
    CALL,
    Done(
        run="r",
        answer="天气 \ud800 \n",
        start=1,
        end=2,
        cpu_s=0.1,
        reported_usage=("many", None),
        final_state={"a": [1]},
    ),
    Done(run="r", error="no"),
    Failed(error="ValueError: no"),
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_an_event_is_read_as_it_was_written_in_one_line(event: Event) -> None:
    assert event.line().count(b"\n") == 1
    assert event_of(event.line()) == event


def test_a_job_is_read_as_it_was_written() -> None:
    names = {"name": "m", "base_url": "http://127.0.0.1:1/x/v1", "api_key": "k", "embedding_name": "e"}
    model = Model(**names, temperature=0.0, max_model_calls=3, timeout_s=1.5)
    job = Job(run="r", module="handoff", spec="tasks.handoff.spec", case={"question": "\ud800 é"}, model=model)
    assert order_of(job.line().decode()) == job


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_a_line_that_is_no_event_is_none(line: bytes) -> None:
    assert event_of(line) is None


@given(st.sampled_from(EVENTS), st.data())
def test_an_event_with_any_value_in_a_field_is_an_event_or_none(event: Event, data: st.DataObject) -> None:
    fields = json.loads(event.line())
    name = data.draw(st.sampled_from(sorted(fields)) | st.text())
    changed = event_of(json.dumps({**fields, name: data.draw(json_values)}).encode())
    times = [getattr(changed, moment, None) for moment in ("start", "end", "cpu_s", "import_s")]
    assert all(moment is None or math.isfinite(moment) for moment in times)


@pytest.mark.parametrize(
    "fields",
    [{"start": math.nan}, {"end": math.inf}, {"run": None}, {"arguments": []}, {"name": 5}, {"more": 1}],
    ids=str,
)
def test_an_event_that_is_not_as_agreed_is_none(fields: dict[str, Any]) -> None:
    assert event_of(json.dumps({**json.loads(CALL.line()), **fields}).encode()) is None


def test_nesting_without_end_is_none() -> None:
    assert event_of(b'{"event": ' + b"[" * 10**6) is None
