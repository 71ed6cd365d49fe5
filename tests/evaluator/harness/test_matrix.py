"""All runs: their order, how many at once, and what a kill leaves."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fakes import ASK, MakeFramework, OpenHarness

from evaluator import ROOT
from evaluator.catalog.tasks import Task, all_tasks
from evaluator.harness.jobs import Job, in_rounds, levels_in_words
from evaluator.harness.matrix import run_all
from evaluator.trace import Trace, read_trace, read_traces
from tasks.cases import of_size

MakeJob = Callable[..., Job]

GOOD = (
    ASK
    + """
async def run(brief, model):
    return ask(model)
"""
)


def test_the_rounds_are_complete_and_the_frameworks_take_turns(
    make_framework: MakeFramework, job: MakeJob, tool_calling: Task
) -> None:
    frameworks = [make_framework(name, tool_calling="") for name in ("a", "b", "c")]
    cases = [job(frameworks[0], id=f"case-{number}").case for number in range(4)]
    rounds = in_rounds(frameworks, [(tool_calling, cases)], trials=2)
    jobs = [each for one in rounds for each in one]
    assert len({(each.framework.name, each.case.id, each.trial) for each in jobs}) == len(jobs) == 24
    assert [each.framework.name for each in jobs[:9]] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert [{(each.case.id, each.trial) for each in one} for one in rounds] == [
        {(f"case-{number}", trial)} for trial in (1, 2) for number in range(4)
    ]


def test_a_round_has_one_case_and_tasks_take_turns_each_with_its_easiest_first(
    make_framework: MakeFramework, job: MakeJob, tool_calling: Task
) -> None:
    framework = make_framework(tool_calling="", other="")
    other = dataclasses.replace(tool_calling, name="other")
    cases = [
        job(framework, id=f"{level}-{size}", level=level, size=size).case
        for level, size in ((4, "quick"), (2, "full"), (3, "quick"), (2, "quick"), (2, "standard"))
    ]
    rounds = in_rounds([framework], [(tool_calling, cases), (other, cases[:2])], trials=1)
    assert [[(each.task.name, each.case.id) for each in one] for one in rounds] == [
        [("tool_calling", "2-quick")],
        [("other", "2-full")],
        [("tool_calling", "2-standard")],
        [("other", "4-quick")],
        [("tool_calling", "2-full")],
        [("tool_calling", "3-quick")],
        [("tool_calling", "4-quick")],
    ]
    assert levels_in_words(rounds[0]) == "level 2"
    assert levels_in_words(job for one in rounds for job in one) == "levels 2, 3 and 4"


def test_a_task_that_a_framework_does_not_implement_is_not_run_with_it(
    make_framework: MakeFramework, job: MakeJob, tool_calling: Task
) -> None:
    frameworks = [make_framework("a", tool_calling=""), make_framework("b"), make_framework("c", tool_calling="")]
    cases = [job(frameworks[0], id=f"case-{number}").case for number in range(2)]
    rounds = in_rounds(frameworks, [(tool_calling, cases)], trials=1)
    assert [[each.framework.name for each in one] for one in rounds] == [["a", "c"], ["c", "a"]]
    assert in_rounds(frameworks[1:2], [(tool_calling, cases)], trials=1) == []


async def test_runs_at_once_are_of_different_frameworks(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    code = "import asyncio\nasync def run(brief, model):\n    await asyncio.sleep(0.1)\n    return 'x'\n"
    frameworks = [make_framework(name, tool_calling=code) for name in ("a", "b")]
    jobs = [job(framework, trial=trial) for trial in (1, 2, 3) for framework in frameworks]
    under_way: list[str] = []
    most = 0

    def started(each: Job) -> None:
        nonlocal most
        assert each.framework.name not in under_way
        under_way.append(each.framework.name)
        most = max(most, len(under_way))

    async with open_harness() as harness:
        await run_all(
            *(harness, jobs, tmp_path / "traces", 4, started),
            lambda each, trace: under_way.remove(each.framework.name),
        )
    assert most == 2
    assert len(list(read_traces(tmp_path / "traces"))) == 6


async def test_stopped_in_the_middle_no_worker_is_left_and_what_was_made_is_there(
    make_framework: MakeFramework, open_harness: OpenHarness, job: MakeJob, tmp_path: Path
) -> None:
    framework = make_framework(
        tool_calling="""
        import asyncio

        async def run(brief, model):
            await asyncio.sleep(600 if brief.question == "Hang!" else 0)
            return "x"
        """
    )
    jobs = [job(framework), job(framework, "Hang!", trial=2)]
    async with open_harness() as harness:
        hung = asyncio.Event()
        making = asyncio.create_task(
            run_all(harness, jobs, tmp_path / "traces", 1, lambda each: hung.set() if each.trial == 2 else None)
        )
        await asyncio.wait_for(hung.wait(), 20)
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await making
        worker = await harness._pool.worker(framework)
        assert harness.records.has(jobs[0], tmp_path / "traces") and not harness.records.has(
            jobs[1], tmp_path / "traces"
        )
    assert not worker.alive


# --- what is recorded already ----------------------------------------------------------------


def test_killed_in_the_middle_the_same_command_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evaluator", "run", "-f", "baseline", "-m", "scripted", "-t", "handoff"]
    command += ["--cases", "standard", "--traces", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    folder = tmp_path / "scripted" / "baseline" / "handoff"
    all_runs = len(of_size(all_tasks()["handoff"].load(), "standard"))
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 300  # the baseline's environment may have to be made
    while len(list(folder.glob("*.json"))) < 2:
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = {path: path.read_bytes() for path in folder.glob("*.json")}
    assert 2 <= len(before) < all_runs
    assert all(isinstance(read_trace(path), Trace) for path in before)

    second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert second.returncode == 0, second.stderr
    assert f"{len(before)} of {all_runs} runs are recorded already" in second.stdout
    assert "\x1b" not in second.stdout
    after = {path: path.read_bytes() for path in folder.glob("*.json")}
    assert len(after) == all_runs
    assert all(after[path] == content for path, content in before.items())
    assert len(list(read_traces(tmp_path))) == all_runs
