"""Capability tasks catch what they are there to catch: implementations with a flaw on purpose, beside one without."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import fsspec
import pytest
from fakes import MakeFramework
from rich.console import Console

from evaluator import stores
from evaluator.analysis.capabilities import Cell, gather
from evaluator.catalog.capabilities import all_capabilities
from evaluator.catalog.frameworks import Framework
from evaluator.suites import capabilities

CAPABILITIES = all_capabilities()

LOOP = """
import json
from pathlib import Path
import urllib.request

from pydantic import TypeAdapter, validate_call


def post(model, messages, tools, **fields):
    offered = [
        {"type": "function", "function": {"name": name, "parameters": TypeAdapter(tool).json_schema()}}
        for name, tool in tools.items()
    ]
    body = json.dumps({"model": model.name, "messages": messages, "tools": offered, **fields}).encode()
    headers = {"Content-Type": "application/json"}
    return urllib.request.urlopen(urllib.request.Request(f"{model.base_url}/chat/completions", body, headers))


def ask(model, messages, tools):
    with post(model, messages, tools) as reply:
        return json.load(reply)["choices"][0]["message"]


def call(tools, function):
    return json.dumps(validate_call(tools[function["name"]])(**json.loads(function["arguments"])))


def begun(brief):
    return [{"role": "system", "content": brief.instructions}, {"role": "user", "content": brief.question}]


def saved(brief):
    return brief.store / f"{brief.thread}.json"
"""

DURABLE = (
    LOOP
    + """
def go_on(brief, model, messages):
    tools = {tool.__name__: tool for tool in brief.tools}
    while True:
        answered = {message.get("tool_call_id") for message in messages}
        calls = [one for message in messages for one in message.get("tool_calls") or [] if one["id"] not in answered]
        for one in calls:
            messages.append({"role": "tool", "tool_call_id": one["id"], "content": call(tools, one["function"])})
            keep(brief, messages)
        message = ask(model, messages, tools)
        messages.append(message)
        keep(brief, messages)
        if not message.get("tool_calls"):
            return message["content"]


def keep(brief, messages):
    saved(brief).write_text(json.dumps(messages))


async def start(brief, model):
    return go_on(brief, model, begun(brief))


async def resume(brief, model):
    return go_on(brief, model, json.loads(saved(brief).read_text()))
"""
)
"""Keeps what it did after each call and answer."""

DURABLE_REPEATS = (
    DURABLE
    + """
def keep(brief, messages):
    if "tool_calls" in messages[-1] or messages[-1]["role"] == "assistant":  # not after each call
        saved(brief).write_text(json.dumps(messages))
"""
)

APPROVAL = (
    LOOP
    + """
from tasks.approval.spec import Paused, Waiting


async def start(brief, model):
    tools = {tool.__name__: tool for tool in brief.tools}
    messages = begun(brief)
    messages.append(ask(model, messages, tools))
    saved(brief).write_text(json.dumps(messages))
    functions = [one["function"] for one in messages[-1]["tool_calls"] if one["function"]["name"] in brief.gated]
    return Paused([Waiting(one["name"], json.loads(one["arguments"])) for one in functions])


async def resume(brief, model, decision):
    tools = {tool.__name__: tool for tool in brief.tools}
    messages = json.loads(saved(brief).read_text())
    for one in messages[-1]["tool_calls"]:
        function = one["function"]
        if function["name"] in brief.gated and decision.verdict == "deny":
            result = f"Denied: {decision.reason}"
        else:
            result = call(tools, edited(function, brief, decision))
        messages.append({"role": "tool", "tool_call_id": one["id"], "content": result})
    return ask(model, messages, tools)["content"]


def edited(function, brief, decision):
    if function["name"] in brief.gated and decision.verdict == "edit":
        return {**function, "arguments": json.dumps(decision.arguments)}
    return function
"""
)

APPROVAL_IGNORES_THE_EDIT = (
    APPROVAL
    + """
def edited(function, brief, decision):
    return function
"""
)

APPROVAL_DOES_NOT_WAIT = (
    APPROVAL
    + """
async def start(brief, model):
    tools = {tool.__name__: tool for tool in brief.tools}
    messages = begun(brief)
    messages.append(ask(model, messages, tools))
    for one in messages[-1]["tool_calls"]:
        messages.append({"role": "tool", "tool_call_id": one["id"], "content": call(tools, one["function"])})
    return ask(model, messages, tools)["content"]
"""
)

STREAMING = (
    LOOP
    + """
import asyncio

from tasks.streaming.spec import ToolEnded, ToolStarted


async def stream(brief, model):
    tools = {tool.__name__: tool for tool in brief.tools}
    messages, tokens = begun(brief), [0, 0]
    while True:
        calls = []
        reply = await asyncio.to_thread(
            post, model, messages, tools, stream=True, stream_options={"include_usage": True}
        )
        try:
            while (line := await asyncio.to_thread(reply.readline)).strip() != b"data: [DONE]":
                if not line.strip():
                    continue
                chunk = json.loads(line.removeprefix(b"data: "))
                if usage := chunk.get("usage"):
                    tokens = [tokens[0] + usage["prompt_tokens"], tokens[1] + usage["completion_tokens"]]
                for choice in chunk["choices"]:
                    calls += choice["delta"].get("tool_calls") or []
                    if text := choice["delta"].get("content"):
                        yield text
        finally:
            reply.close()
        if not calls:
            model.report_usage(*tokens)
            return
        messages.append({"role": "assistant", "tool_calls": calls})
        for one in calls:
            yield ToolStarted(one["function"]["name"])
            messages.append({"role": "tool", "tool_call_id": one["id"], "content": call(tools, one["function"])})
            yield ToolEnded(one["function"]["name"])
"""
)

STREAMS_AT_THE_END = STREAMING.replace("async def stream(", "async def pieces(") + (
    """

async def stream(brief, model):
    for piece in [piece async for piece in pieces(brief, model)]:
        yield piece
"""
)


@pytest.fixture
def tried(make_framework: MakeFramework, tmp_path: Path) -> Callable[..., dict[str, Cell]]:
    """What comes of each of some modules of a capability, by the name that they are given."""

    def what_comes(capability: str, **modules: str) -> dict[str, Cell]:
        frameworks = [make_framework(name, **{capability: code}) for name, code in modules.items()]
        one = CAPABILITIES[capability]
        traces = tmp_path / "traces"
        capabilities.make(
            capabilities.jobs(frameworks, [one]),
            capabilities.settings(),
            traces,
            False,
            Console(file=StringIO()),
            print,
        )
        return {cell.framework: cell for cell in gather(traces, frameworks, {capability: one}).cells}

    return what_comes


@pytest.fixture(autouse=True)
def without_installing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(frameworks: list[Framework], *_: object, **__: object) -> None:
        assert frameworks

    monkeypatch.setattr(capabilities, "provision_all", nothing)


def reasons(cell: Cell) -> dict[str, list[str]]:
    return {run.case: list(run.reasons) for run in cell.failing}


def test_one_that_repeats_an_effect(tried: Callable[..., dict[str, Cell]]) -> None:
    cells = tried("durable", sound=DURABLE, repeats=DURABLE_REPEATS)
    assert reasons(cells["sound"]) == {}
    assert reasons(cells["repeats"])["between-two-effects"] == ["charge_card ran twice"]


def test_one_that_ignores_the_edit_and_one_that_does_not_wait(tried: Callable[..., dict[str, Cell]]) -> None:
    cells = tried("approval", sound=APPROVAL, ignores=APPROVAL_IGNORES_THE_EDIT, does_not_wait=APPROVAL_DOES_NOT_WAIT)
    assert reasons(cells["sound"]) == {}
    [why] = reasons(cells["ignores"])["edit"]
    assert '"amount": 55.0' in why and 'what ran was {"order_id": "A-300", "amount": 80.0}' in why
    assert cells["does_not_wait"].standing == "none"
    assert "the tool ran before the decision" in reasons(cells["does_not_wait"])["deny"]


def test_one_that_streams_everything_at_the_end(tried: Callable[..., dict[str, Cell]]) -> None:
    cells = tried("streaming", sound=STREAMING, late=STREAMS_AT_THE_END)
    assert reasons(cells["sound"]) == {}
    late = reasons(cells["late"])
    assert late["text"] == ["the text comes only once the model has said all of it"]
    assert "the connection to the model is still open when the run is over" in late["cancel"]


def test_a_module_that_cannot_be_imported_fails_its_cases_alone(tried: Callable[..., dict[str, Cell]]) -> None:
    cells = tried("durable", sound=DURABLE, broken="import nothing_of_this_name\n")
    assert cells["sound"].standing == "full"
    assert cells["broken"].standing == "none"
    assert "nothing_of_this_name" in reasons(cells["broken"])["before-the-answer"][-1]


def test_what_is_recorded_is_not_made_again(
    tried: Callable[..., dict[str, Cell]],
    monkeypatch: pytest.MonkeyPatch,
    make_framework: MakeFramework,
    tmp_path: Path,
) -> None:
    tried("durable", sound=DURABLE)
    said: list[str] = []
    framework = make_framework("other", durable=DURABLE)
    asked = capabilities.jobs([framework], [CAPABILITIES["durable"]])
    for _ in range(2):
        capabilities.make(
            asked, capabilities.settings(), tmp_path / "traces", False, Console(file=StringIO()), said.append
        )
    assert [line.partition(" runs")[0] for line in said] == ["capabilities: 3 of 3"]


def test_in_a_store_elsewhere_they_stay_single_traces_and_are_not_made_again(
    monkeypatch: pytest.MonkeyPatch, make_framework: MakeFramework, tmp_path: Path
) -> None:
    monkeypatch.setattr(stores, "FOLDER", tmp_path / "copies")
    asked = capabilities.jobs([make_framework("sound", durable=DURABLE)], [CAPABILITIES["durable"]])
    said: list[str] = []
    for _ in range(2):
        store = stores.store_at("memory://of-capabilities")
        capabilities.make(asked, capabilities.settings(), store, False, Console(file=StringIO()), said.append)
    there = fsspec.filesystem("memory").find("memory://of-capabilities/capabilities/sound/durable")
    assert len(there) == len(asked) and all(path.endswith(".1.json") for path in there)
    assert [line.partition(" runs")[0] for line in said] == ["capabilities: 3 of 3"]
