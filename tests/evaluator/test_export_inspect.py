"""`bakeoff export --format inspect`: logs, read back with Inspect itself. Needs the extra `inspect`."""

from pathlib import Path

import pytest
from factories import CASE, key, trace
from played import played

pytest.importorskip("inspect_ai", reason="the extra `inspect` is not installed")

from inspect_ai.log import list_eval_logs, read_eval_log

from evaluator import discovery
from evaluator.export import inspect_log
from evaluator.export.runs import Report
from evaluator.metrics import grade_run

TASKS = discovery.tasks()


def test_inspect_reads_the_runs_back(tmp_path: Path) -> None:
    good, bad = trace(), trace(key(trial=2), ended="timeout", error="took 60 s", answer="")
    hops = played("handoff", "hops-invoice-line", framework="y")
    report = Report()
    inspect_log.write([(run, grade_run(run, TASKS[run.key.task])) for run in (good, bad, hops)], tmp_path, report)
    assert report.written == 2
    logs = {log.eval.task: log for log in map(read_eval_log, list_eval_logs(str(tmp_path)))}
    assert set(logs) == {"tool_calling (baseline)", "handoff (y)"}
    first, second = logs["tool_calling (baseline)"].samples
    assert (first.id, first.epoch, first.input, first.scores["grade"].value) == ("greeting", 1, CASE["question"], "C")
    assert (second.epoch, second.scores["grade"].value, second.error.message) == (2, "I", "timeout: took 60 s")
    assert logs["tool_calling (baseline)"].results.scores[0].metrics["pass_rate"].value == 0.5
    assert logs["tool_calling (baseline)"].stats.model_usage["scripted"].input_tokens == 200
    (sample,) = logs["handoff (y)"].samples
    assert [message.role for message in sample.messages[:4]] == ["system", "user", "assistant", "tool"]
    assert sample.messages[2].tool_calls[0].function == "transfer_to_billing"
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    inspect_log.write([(run, grade_run(run, TASKS[run.key.task])) for run in (good, bad, hops)], tmp_path, report)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
