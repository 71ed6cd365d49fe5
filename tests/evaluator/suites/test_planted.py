"""Faults find what they are there to find: implementations with a flaw on purpose, beside one without."""

from collections.abc import Sequence
from pathlib import Path

from fakes import MakeFramework, OpenHarness

from evaluator.analysis.faults.judged import FaultRun, judged
from evaluator.analysis.faults.rows import figures
from evaluator.catalog.frameworks import Framework
from evaluator.catalog.tasks import all_tasks
from evaluator.harness.jobs import Job
from evaluator.harness.matrix import run_all
from evaluator.suites import faulting
from evaluator.trace import Trace

AGENT = """
import asyncio
import json
from http.client import HTTPException
import urllib.request

from pydantic import TypeAdapter, validate_call


def post(model, messages, tools):
    offered = [
        {"type": "function", "function": {"name": name, "parameters": TypeAdapter(tool).json_schema()}}
        for name, tool in tools.items()
    ]
    body = json.dumps({"model": model.name, "messages": messages, "tools": offered}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{model.base_url}/chat/completions", body, headers)) as reply:
        return json.load(reply)["choices"][0]["message"]


def call(tools, function):
    try:
        return json.dumps(validate_call(tools[function["name"]])(**json.loads(function["arguments"])), default=str)
    except Exception as error:
        return told(error)


def told(error):
    return f"Error: {error}"


async def asked(model, messages, tools):
    for attempt in range(3):
        try:
            return await asyncio.to_thread(post, model, messages, tools)
        except (OSError, HTTPException):
            if attempt == 2:
                raise


async def agent(brief, model):
    tools = {tool.__name__: tool for tool in brief.tools}
    messages = [{"role": "system", "content": brief.instructions}, {"role": "user", "content": brief.question}]
    while True:
        message = await asked(model, messages, tools)
        messages.append(message)
        if not message.get("tool_calls"):
            return message["content"] or ""
        for one in message["tool_calls"]:
            result = call(tools, one["function"])
            messages.append({"role": "tool", "tool_call_id": one["id"], "content": result})


async def run(brief, model):
    return await agent(brief, model)
"""
"""A plain loop that tries again and tells the model of what went wrong."""

SWALLOWS = (
    AGENT
    + """
def told(error):
    return ""


async def asked(model, messages, tools):
    try:
        return await asyncio.to_thread(post, model, messages, tools)
    except (OSError, HTTPException):
        return {"role": "assistant", "content": "Done."}
"""
)

STARTS_ANEW = (
    AGENT
    + """
async def asked(model, messages, tools):
    return await asyncio.to_thread(post, model, messages, tools)


async def run(brief, model):
    for attempt in range(3):
        try:
            return await agent(brief, model)
        except (OSError, HTTPException):
            if attempt == 2:
                raise
"""
)

HANGS = (
    AGENT
    + """
async def asked(model, messages, tools):
    try:
        return await asyncio.to_thread(post, model, messages, tools)
    except (OSError, HTTPException):
        await asyncio.sleep(3600)
"""
)

FAULTS = ("status_500", "reset", "tool_raises", "missing_argument")
TASKS = all_tasks()


def drawn(*frameworks: Framework, faults: Sequence[str] = FAULTS) -> list[Job]:
    """The faults once, at each of their places, and the same cases undisturbed."""
    jobs = faulting.jobs(frameworks, ["tool_calling"], faults)
    return [job for job in jobs if job.injected is None or job.injected.strength == "once"]


async def made(open_harness: OpenHarness, jobs: Sequence[Job], folder: Path, **limits: float) -> list[FaultRun]:
    """The runs of these jobs, judged."""
    traces: list[Trace] = []
    async with open_harness(model="faults", **limits) as harness:
        await run_all(harness, jobs, folder, 4, on_trace=lambda _, trace: traces.append(trace))
    assert len(traces) == len(jobs)
    return [run for _, run in judged(traces, TASKS)]


def of(runs: Sequence[FaultRun], framework: Framework) -> list[FaultRun]:
    return [run for run in runs if run.framework == framework.name]


async def test_one_that_swallows_errors_recovers_from_less(
    make_framework: MakeFramework, open_harness: OpenHarness, tmp_path: Path
) -> None:
    sound, swallows = make_framework("sound", tool_calling=AGENT), make_framework("swallows", tool_calling=SWALLOWS)
    runs = await made(open_harness, drawn(sound, swallows), tmp_path / "traces")
    assert {run.end for run in of(runs, sound)} == {"right"}
    found = figures(of(runs, swallows))
    assert found.recovered < found.passing and found.ends["wrong"] > 0 and found.done_twice == 0


async def test_one_that_starts_anew_does_side_effects_twice(
    make_framework: MakeFramework, open_harness: OpenHarness, tmp_path: Path
) -> None:
    sound, anew = make_framework("sound", tool_calling=AGENT), make_framework("anew", tool_calling=STARTS_ANEW)
    runs = await made(open_harness, drawn(sound, anew, faults=["cut_in_text", "status_500"]), tmp_path / "traces")
    assert figures(of(runs, sound)).done_twice == 0
    twice = [run for run in of(runs, anew) if run.done_twice]
    assert {run.injected.fault for run in twice} == {"cut_in_text"}  # by the answer, everything is done


async def test_one_that_hangs_costs_only_its_own_runs(
    make_framework: MakeFramework, open_harness: OpenHarness, tmp_path: Path
) -> None:
    sound, hangs = make_framework("sound", tool_calling=AGENT), make_framework("hangs", tool_calling=HANGS)
    jobs = [job for job in drawn(hangs, sound) if job.injected is None or job.injected.place == "first"]
    runs = await made(open_harness, jobs, tmp_path / "traces", timeout_s=2)
    assert {run.end for run in of(runs, sound)} == {"right"}
    ends = {(run.injected.fault, run.end) for run in of(runs, hangs)}
    assert ends == {
        ("status_500", "hung"),
        ("reset", "hung"),
        ("tool_raises", "right"),
        ("missing_argument", "right"),
    }
