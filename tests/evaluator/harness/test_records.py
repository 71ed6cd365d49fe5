"""Which runs are made again, and who may write."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import ASK, LOCK, MakeFramework, OpenHarness

from evaluator.errors import Failure, Mistake
from evaluator.harness.jobs import Job
from evaluator.harness.matrix import run_all
from evaluator.harness.records import exclusive
from evaluator.trace import Trace, read_trace, trace_path

MakeJob = Callable[..., Job]

GOOD = (
    ASK
    + """
async def run(brief, model):
    return ask(model)
"""
)


@pytest.fixture
async def two_runs(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> tuple[list[Job], Path]:
    """Two runs of one framework, recorded."""
    framework = make_framework(tool_calling=GOOD)
    jobs = [job(framework, id="first"), job(framework, id="second", question="Anybody there?")]
    async with open_harness() as harness:
        assert not any(harness.records.has(each, tmp_path / "traces") for each in jobs)
        await run_all(harness, jobs, tmp_path / "traces", 1)
    return jobs, tmp_path / "traces"


def changed(job: Job, **changes: Any) -> Job:
    """The job with other fields in its case."""
    data = json.loads(job.case.model_dump_json())
    return dataclasses.replace(job, case=type(job.case).model_validate({**data, **changes}))


async def missing(open_harness: OpenHarness, jobs: list[Job], traces: Path, /, **limits: Any) -> list[str]:
    """The cases that would be run again."""
    async with open_harness(**limits) as harness:
        return [job.case.id for job in jobs if not harness.records.has(job, traces)]


async def test_a_run_is_made_again_only_for_changed_code_lock_limits_or_case(
    two_runs: tuple[list[Job], Path], open_harness: OpenHarness
) -> None:
    jobs, traces = two_runs
    assert await missing(open_harness, jobs, traces) == []
    assert await missing(open_harness, jobs, traces, jobs=4, memory_limit_mb=9.0) == []
    both = ["first", "second"]
    for limits in ({"timeout_s": 31.0}, {"max_model_calls": 5}, {"temperature": 0.5}):
        assert await missing(open_harness, jobs, traces, **limits) == both
    assert await missing(open_harness, [changed(jobs[0], question="Hi?"), jobs[1]], traces) == ["first"]
    assert await missing(open_harness, [jobs[0], changed(jobs[1], outages={"get_order": 1})], traces) == ["second"]
    # The scripted model gives the answer of the case.
    assert await missing(open_harness, [changed(jobs[0], answer="Good day."), jobs[1]], traces) == ["first"]
    assert await missing(open_harness, [dataclasses.replace(jobs[0], trial=2)], traces) == ["first"]
    folder = jobs[0].framework.folder
    for name, content in (("tool_calling.py", GOOD), ("uv.lock", LOCK)):
        (folder / name).write_text(content + "\n# changed\n")
        assert await missing(open_harness, jobs, traces) == both
        (folder / name).write_text(content)
    assert await missing(open_harness, jobs, traces) == []


async def test_for_a_model_that_does_not_know_the_cases_a_new_expectation_is_taken_over(
    two_runs: tuple[list[Job], Path], open_harness: OpenHarness
) -> None:
    jobs, traces = two_runs
    graded_anew = changed(jobs[0], facts=["hello"])
    async with open_harness() as harness:
        before = read_trace(trace_path(traces, harness.records.key(jobs[0])))
        harness.records.knows_cases = False
        assert harness.records.has(graded_anew, traces)
        after = read_trace(trace_path(traces, harness.records.key(jobs[0])))
    assert isinstance(before, Trace) and isinstance(after, Trace)
    assert after.case["facts"] == [{"says": ["hello"]}]
    assert after == before.model_copy(update={"case": after.case})


async def test_a_damaged_trace_is_made_again(two_runs: tuple[list[Job], Path], open_harness: OpenHarness) -> None:
    jobs, traces = two_runs
    path = traces / "scripted" / "fake" / "tool_calling" / "first.1.json"
    content = json.loads(path.read_text())
    other_case = json.dumps({**content, "case": {"id": "first"}})
    other_run = json.dumps({**content, "key": {**content["key"], "case": "second"}})
    async with open_harness() as harness:
        for damage in (b"", b"{", b"[]", b"\xff", b"[" * 5000, other_case.encode(), other_run.encode()):
            path.write_bytes(damage)
            assert not harness.records.has(jobs[0], traces)
            assert harness.records.has(jobs[1], traces)
        await run_all(harness, [jobs[0]], traces, 1)
        assert harness.records.has(jobs[0], traces)


def test_only_one_process_may_write_to_the_same_traces(tmp_path: Path) -> None:
    hold = (
        "import filelock, time; a = filelock.FileLock('.lock'); a.acquire(); print('held', flush=True); time.sleep(600)"
    )
    other = subprocess.Popen([sys.executable, "-c", hold], cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(Failure, match="another `bakeoff run` is writing there"), exclusive(tmp_path):
            pass
    finally:
        other.kill()
        other.communicate()
    with exclusive(tmp_path):
        pass


def test_traces_that_cannot_be_written_are_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match="file: cannot be written: "), exclusive(tmp_path / "file"):
        pass
