import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.subscriptions import ToolsListChanged
from mcp.types import ToolListChangedNotification

from evaluator import ROOT
from tasks.capability import Observed, Part, Request
from tasks.mcp import server
from tasks.mcp.observe import observe
from tasks.mcp.server import Log, Warehouse
from tasks.mcp.spec import McpCase, load
from tasks.mcp.tool import DESCRIPTION, LATER_DESCRIPTION, PARAMETERS

CASES = {case.id: case for case in load()}
LAMP = {"article": "lamp"}
OLD, NEW = "legacy", "auto"  # the SDK's words for revisions with a handshake, and for the newest where a server has it

each_revision = pytest.mark.parametrize("revision", [OLD, NEW])


def command(log: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tasks.mcp.server", "--log", str(log), *arguments]


def over_stdio(log: Path, *arguments: str) -> StdioServerParameters:
    program, *rest = command(log, *arguments)
    return StdioServerParameters(command=program, args=rest, env={"PYTHONPATH": str(ROOT)}, cwd=log.parent)


@contextmanager
def over_http(log: Path, *arguments: str) -> Iterator[str]:
    """The address of a server that is ended afterwards."""
    process = subprocess.Popen(
        command(log, "--http", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def frames(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def said(log: Path) -> list[str]:
    return [f"{frame['direction']} {frame.get('method')}" for frame in frames(log)]


async def description(client: Client) -> str | None:
    [tool] = (await client.list_tools()).tools
    assert tool.name == "stock_of" and tool.input_schema == PARAMETERS
    return tool.description


async def stock(client: Client, **arguments: Any) -> Any:
    result = await client.call_tool("stock_of", arguments or LAMP)
    assert not result.is_error and result.content[0].type == "text"
    return result.content[0].text, result.structured_content


# --- the server ------------------------------------------------------------------------------


@each_revision
async def test_a_server_over_stdio_tells_of_a_change_and_leaves_a_log(tmp_path: Path, revision: Any) -> None:
    log, heard = tmp_path / "log", asyncio.Queue[Any]()
    server = over_stdio(log, "--behaviour", "changes")
    async with asyncio.timeout(60), Client(server, mode=revision, message_handler=heard.put) as client:
        assert client.server_capabilities.tools and client.server_capabilities.tools.list_changed
        assert await description(client) == DESCRIPTION
        if revision == NEW:
            async with client.listen(tools_list_changed=True) as events:
                assert await stock(client) == ("42", {"result": 42})
                assert await anext(events) == ToolsListChanged()
        else:
            assert await stock(client) == ("42", {"result": 42})
            assert isinstance(await heard.get(), ToolListChangedNotification)
        assert await description(client) == LATER_DESCRIPTION
        assert await stock(client, article="cup") == ("42", {"result": 42})

    told = [line for line in said(log) if "subscriptions" not in line and "cancelled" not in line]
    opening = ["in server/discover", "out server/discover"]
    assert told == [
        *(["in initialize", "out initialize", "in notifications/initialized"] if revision == OLD else opening),
        *["in tools/list", "out tools/list"],
        *["in tools/call", "out notifications/tools/list_changed", "out tools/call"],
        *["in tools/list", "out tools/list", "in tools/call", "out tools/call"],
    ]
    lines = frames(log)
    [pid] = {line["pid"] for line in lines}
    assert not psutil.pid_exists(pid)
    assert [line["at_s"] for line in lines] == sorted(line["at_s"] for line in lines)
    [first, second] = [line for line in lines if (line["direction"], line["method"]) == ("in", "tools/call")]
    assert (first["params"]["name"], first["params"]["arguments"]) == ("stock_of", LAMP)
    [answer] = [line for line in lines if line["direction"] == "out" and line.get("id") == second["id"]]
    assert answer["result"]["structuredContent"] == {"result": 42}


async def test_a_server_that_dies_has_logged_the_call(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with Client(over_stdio(log, "--behaviour", "dies")) as client:
        assert await description(client) == DESCRIPTION
        with pytest.raises(MCPError, match="Connection closed"):
            await stock(client)
    assert said(log)[-1] == "in tools/call" and frames(log)[-1]["params"]["arguments"] == LAMP


async def test_over_http_clients_of_all_revisions_hear_of_a_change(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with over_http(log, "--behaviour", "changes") as url:
        assert url.startswith("http://127.0.0.1:") and url.endswith("/mcp")
        async with asyncio.timeout(60), Client(url, mode=OLD) as old, Client(url, mode=NEW) as new:
            assert [await description(old), await description(new)] == [DESCRIPTION] * 2
            async with new.listen(tools_list_changed=True) as events:
                assert await stock(old) == ("42", {"result": 42})
                assert await anext(events) == ToolsListChanged()
            assert await stock(new) == ("42", {"result": 42})
            assert [await description(old), await description(new)] == [LATER_DESCRIPTION] * 2
    told = said(log)
    assert {"in initialize", "in notifications/initialized", "in server/discover"} <= {*told}
    assert told.count("in tools/call") == told.count("out tools/call") == 2
    assert told.count("in tools/list") == told.count("out tools/list") == 4
    # The old client may not have opened yet the stream on which it is told.
    assert told.count("out notifications/tools/list_changed") in (1, 2)


async def test_over_http_a_slow_server_answers_late(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with over_http(log, "--behaviour", "slow", "--slow-s", "0.2") as url:
        for revision in (OLD, NEW):
            async with Client(url, mode=revision) as client:
                assert await stock(client) == ("42", {"result": 42})
    times = [line["at_s"] for line in frames(log) if line.get("method") == "tools/call"]
    assert len(times) == 4 and times[1] - times[0] >= 0.2 and times[3] - times[2] >= 0.2


@each_revision
async def test_wrong_calls_are_refused_in_words(revision: Any) -> None:
    async with Client(Warehouse("dies", 0), mode=revision) as client:
        for name, arguments in (("stock", LAMP), ("stock_of", {}), ("stock_of", {"article": 1})):
            result = await client.call_tool(name, arguments)
            assert result.is_error and result.content[0].type == "text" and result.content[0].text


async def test_what_has_changed_stays_so_for_the_next_server_of_the_run(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    assert not log.has_call()
    log.conversation()("in", '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "stock_of"}}')
    assert log.has_call()
    async with Client(Warehouse("changes", 0, changed=True)) as client:
        assert await description(client) == LATER_DESCRIPTION


def test_an_answer_is_logged_with_the_method_that_it_answers(tmp_path: Path) -> None:
    path = tmp_path / "log"
    add = Log(path).conversation()
    add("in", '{"id": 1, "method": "tools/list"}')
    add("in", "nonsense\n")
    add("out", '{"id": 1, "error": {"code": -1, "message": "no"}}')
    add("out", '{"id": 2, "result": {}}')
    Log(path).conversation()("out", '{"id": 1, "result": {}}')
    kept = [{name: line[name] for name in line if name not in ("pid", "at_s")} for line in frames(path)]
    assert kept == [
        {"direction": "in", "method": "tools/list", "id": 1},
        {"direction": "in", "text": "nonsense\n"},
        {"direction": "out", "method": "tools/list", "id": 1, "error": {"code": -1, "message": "no"}},
        {"direction": "out", "id": 2, "result": {}},
        {"direction": "out", "id": 1, "result": {}},
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: --log"),
        (["--log", "log", "--behaviour", "sleeps"], "invalid choice: 'sleeps'"),
        (["--log", "no/such/folder/log"], "the log cannot be written: [Errno 2] No such file"),
    ],
)
def test_wrong_arguments_are_told_in_a_line(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["server", *arguments])
    with pytest.raises(SystemExit) as ended:
        server.main()
    assert ended.value.code == 2 and says in capsys.readouterr().err.splitlines()[-1]


# --- what is right ---------------------------------------------------------------------------


def offered(name: str = "warehouse_stock_of", description: str = DESCRIPTION, **parameters: Any) -> dict[str, Any]:
    function = {"name": name, "description": description, "parameters": {**PARAMETERS, **parameters}}
    return {"type": "function", "function": function}


def request(turn: int, tools: list[dict[str, Any]], result: Any = "42") -> Request:
    call = {"id": "call_1", "type": "function", "function": {"name": "stock_of", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "How many?"}]
    for _ in range(turn):
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": "call_1", "content": result})
    body = {"messages": messages, "tools": tools}
    return Request(1, body, json.dumps(body), "model", 200, True, turn, turn, turn, None, "", None, None)


def called(**arguments: Any) -> dict[str, Any]:
    params = {"name": "stock_of", "arguments": arguments}
    return {"direction": "in", "method": "tools/call", "id": 3, "params": params}


def listed(description: str = DESCRIPTION) -> dict[str, Any]:
    tool = {"name": "stock_of", "description": description, "inputSchema": PARAMETERS}
    return {"direction": "out", "method": "tools/list", "id": 2, "result": {"tools": [tool]}}


def right(case: McpCase) -> Observed:
    changes = case.behaviour == "changes"
    result = "Error: the connection was closed" if case.behaviour == "dies" else "42"
    later = offered(description=LATER_DESCRIPTION) if changes else offered()
    requests = [request(turn, [later if turn else offered()], result) for turn in range(len(case.turns) + 1)]
    calls = [called(**step.arguments) for turn in case.turns for step in turn]
    parts = [Part("answered", case.answer, None, 0.0, 9.0)]
    again = [listed(LATER_DESCRIPTION)] if changes else []
    return Observed(parts, requests, [], [], frames=[listed(), *calls, *again])


def ending(ended: str, error: str | None = None, answer: str = "", end_s: float = 9.0) -> list[Part]:
    return [Part(ended, answer, error, 0.0, end_s)]


def reasons(case: McpCase, seen: Observed) -> list[str]:
    checks = observe(case, seen)
    assert len({check.name for check in checks}) == len(checks)
    return [check.reason for check in checks if not check.held]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_right_is_found_right(case: McpCase) -> None:
    assert reasons(case, right(case)) == []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_run_that_never_began_has_nothing_right_but_that_nothing_is_left(case: McpCase) -> None:
    failed = reasons(case, Observed([], [], [], []))
    assert failed[0].startswith('the server was called with nothing, where stock_of {"article": ')
    assert "the server was not asked for its tools" in failed
    assert any(reason.endswith("it never began") for reason in failed)


TOOLS: Mapping[str, tuple[list[dict[str, Any]], str]] = {
    "none": ([], "the model is not shown the tool"),
    "another": ([offered(name="stock")], "the model is not shown the tool"),
    "described otherwise": ([offered(description="")], "the model is not shown the description of the tool"),
    "no parameters": (
        [offered(properties={})],
        "the model is shown the parameters nothing, where the server has article",
    ),
    "another type": (
        [offered(properties={"article": {"type": "integer"}})],
        'the model is shown article as {"type": "integer"}, where the server has string',
    ),
    "a parameter without a description": (
        [offered(properties={"article": {"type": "string", "title": "Article"}})],
        "the model is not shown the description of article",
    ),
    "not required": (
        [offered(required=[])],
        "the model is shown nothing as required, where the server requires article",
    ),
}


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_that_is_not_shown_as_the_server_listed_it(name: str) -> None:
    case, (tools, reason) = CASES["stdio"], TOOLS[name]
    seen = right(case)
    assert reasons(case, replace(seen, requests=[request(0, tools), *seen.requests[1:]])) == [reason]


def test_calls_that_were_not_asked_for_or_did_not_come() -> None:
    case = CASES["http"]
    seen = right(case)
    [lamp, cup] = ['stock_of {"article": "lamp"}', 'stock_of {"article": "cup"}']
    for calls, made in (
        ([], "nothing"),
        ([called(article="cup")], cup),
        ([called(article="lamp"), called(article="lamp")], f"{lamp} and {lamp}"),
        ([{**called(article="lamp"), "params": {"name": "stock"}}], "stock {}"),
        ([{**called(article="lamp"), "direction": "out"}], "nothing"),
    ):
        reason = f"the server was called with {made}, where {lamp} was asked for"
        assert reasons(case, replace(seen, frames=[listed(), *calls])) == [reason]


def test_a_wrong_answer_an_error_and_what_is_left_behind() -> None:
    case = CASES["slow"]
    seen = right(case)
    assert reasons(case, replace(seen, parts=ending("answered", answer="There are 41."))) == [
        "it is not finished right: it answered 'There are 41.'"
    ]
    assert reasons(case, replace(seen, parts=ending("error", error="McpError: Timed out"))) == [
        "it is not finished right: McpError: Timed out"
    ]
    assert reasons(case, replace(seen, children=1)) == ["a process is left behind"]
    assert reasons(case, replace(seen, children=2)) == ["2 processes are left behind"]


def test_a_change_that_the_model_is_not_shown() -> None:
    case = CASES["changes"]
    seen = right(case)
    old = [request(turn, [offered()]) for turn in range(3)]
    assert reasons(case, replace(seen, requests=old)) == ["the model is still shown the old description"]
    late = [*old[:2], seen.requests[2]]
    assert reasons(case, replace(seen, requests=late)) == []
    assert reasons(case, replace(seen, requests=[*seen.requests[:2], old[2]])) == [
        "the model is still shown the old description"
    ]
    without = [old[0], request(1, []), request(2, [])]
    assert reasons(case, replace(seen, requests=without)) == ["the model is not shown the tool again"]


def test_a_server_that_dies_may_be_tried_again_but_not_for_ever() -> None:
    case = CASES["dies"]
    seen = right(case)
    tries = [called(article="cup")] * 4
    assert reasons(case, replace(seen, frames=[listed(), *tries[:3]])) == []
    assert reasons(case, replace(seen, frames=[listed(), *tries])) == ["the server that dies was called 4 times"]


def test_a_server_that_dies_may_end_the_run_with_an_error_in_words() -> None:
    case = CASES["dies"]
    seen = replace(right(case), requests=right(case).requests[:1])
    for parts, failed in (
        (ending("error", "McpError: Connection closed"), []),
        (ending("error", "the worker ended"), []),
        (ending("error", "ClosedResourceError: "), ["it ends without saying why: ClosedResourceError: "]),
        (ending("error", "McpError: Timed out"), ["it waits until a time-out ends it: McpError: Timed out"]),
        (
            ending("timeout", "timeout", end_s=60.0),
            [
                "it ends 60 s after it began, although the server dies at once",
                "it waits until a time-out ends it: timeout",
            ],
        ),
        (
            ending("answered", answer="There are 42 cups."),
            ["it is not finished right: it answered 'There are 42 cups.'"],
        ),
    ):
        assert reasons(case, replace(seen, parts=parts)) == failed


@pytest.mark.parametrize("result", ["", "null", None, [{"type": "text", "text": ""}]])
def test_a_model_that_is_told_nothing_when_a_server_dies(result: Any) -> None:
    case = CASES["dies"]
    told = [request(0, [offered()]), request(1, [offered()], result)]
    assert reasons(case, replace(right(case), requests=told)) == ["the model is told nothing of the failure"]
