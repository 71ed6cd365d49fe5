"""A server of one tool that speaks the Model Context Protocol, of the old revisions and of the newest.

    python -m tasks.mcp.server --behaviour plain|dies|slow|changes --log FILE [--http]

It speaks over standard input and output until input ends, or with `--http` as streamable HTTP at the address that is
its first line of output. The log is of one run, which may start several servers, one after the other. It needs the
packages of the project, not those of a framework.
"""

import argparse
import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import anyio
import uvicorn
from mcp.server import InitializationOptions, NotificationOptions, Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.mcp.spec import Behaviour
from tasks.mcp.tool import DESCRIPTION, LATER_DESCRIPTION, NAME, PARAMETERS, RESULT, SLOW_S, STOCK

HOST = "127.0.0.1"

Direction = Literal["in", "out"]


class Log:
    """Every message that comes in or goes out, one JSON object a line, written before anything is done about it.

    A line has `direction`, `pid`, `at_s` (seconds of the machine's monotonic clock), `method`, `id`, and `params`,
    `result` or `error`. The `method` of an answer is that of the request that it answers. What is no message stands
    under `text`.
    """

    def __init__(self, path: Path) -> None:
        """Raises `OSError` where the file cannot be written."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._path = path

    def conversation(self) -> Callable[[Direction, str], None]:
        """Writes the messages of one connection, or of one exchange where each is by itself: ids are of no other."""
        asked: dict[str, str] = {}

        def add(direction: Direction, text: str) -> None:
            line: dict[str, Any] = {"direction": direction, "pid": os.getpid(), "at_s": time.monotonic()}
            message = _message(text)
            if message is None:
                line["text"] = text
            elif "method" in message:
                asked[str(message.get("id"))] = message["method"]
            elif str(message.get("id")) in asked:
                line["method"] = asked[str(message.get("id"))]
            names = ("method", "id", "params", "result", "error")
            line |= {name: message[name] for name in names if message and name in message}
            os.write(self._file, json.dumps(line).encode() + b"\n")

        return add

    def has_call(self) -> bool:
        """Whether a tool was called already, maybe of another process of the run."""
        lines = map(json.loads, self._path.read_text(encoding="utf-8").splitlines())
        return any(line["direction"] == "in" and line.get("method") == "tools/call" for line in lines)


def _message(text: str) -> dict[str, Any] | None:
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


class Warehouse(Server[dict[str, Any]]):
    """The server, whichever way it is reached."""

    def __init__(self, behaviour: Behaviour, slow_s: float, *, changed: bool = False) -> None:
        self._events = InMemorySubscriptionBus()
        super().__init__(
            "warehouse",
            version="1.0",
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=ListenHandler(self._events),
        )
        self._behaviour = behaviour
        self._slow_s = slow_s
        self._changed = changed

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """As of any server, but with `tools.listChanged`, which the SDK leaves out for revisions with a handshake."""
        announced = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(announced, experimental_capabilities, extensions)

    async def _list_tools(
        self, _context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        description = LATER_DESCRIPTION if self._changed else DESCRIPTION
        return ListToolsResult(
            tools=[Tool(name=NAME, description=description, input_schema=PARAMETERS, output_schema=RESULT)]
        )

    async def _call_tool(
        self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult:
        if params.name != NAME:
            return _refused(f"There is no tool {params.name}.")
        if not isinstance((params.arguments or {}).get("article"), str):
            return _refused("article is missing or no text.")
        if self._behaviour == "dies":
            os._exit(1)
        if self._behaviour == "slow":
            await anyio.sleep(self._slow_s)
        if self._behaviour == "changes" and not self._changed:
            self._changed = True
            # To clients of the newest revision that listen, and to those of the others: neither goes to both.
            await self._events.publish(ToolsListChanged())
            await context.session.send_tool_list_changed()
        return CallToolResult(content=[TextContent(type="text", text=str(STOCK))], structured_content={"result": STOCK})


def _refused(why: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=why)], is_error=True)


class LoggedLines(io.TextIOWrapper):
    """Standard input or output, whose lines are messages."""

    def __init__(self, stream: Any, add: Callable[[Direction, str], None]) -> None:
        super().__init__(stream, encoding="utf-8", errors="replace")
        self._add = add

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # as in typeshed
        """The next line, which is logged first; empty at the end."""
        line = super().readline(size)
        if line:
            self._add("in", line)
        return line

    def write(self, text: str, /) -> int:
        """Writes a line, which is logged first."""
        self._add("out", text)
        return super().write(text)


class LoggedExchanges:
    """An application whose requests and responses are messages: as a JSON body, or as events of a stream."""

    def __init__(self, app: ASGIApp, log: Log) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One exchange."""
        add = self._log.conversation()
        asked, answered, streams = b"", b"", False

        async def heard() -> Message:
            nonlocal asked
            message = await receive()
            if message["type"] == "http.request":
                asked += message.get("body", b"")
                if asked and not message.get("more_body"):
                    add("in", asked.decode(errors="replace"))
            return message

        async def said(message: Message) -> None:
            nonlocal answered, streams
            if message["type"] == "http.response.start":
                streams = dict(message["headers"]).get(b"content-type", b"").startswith(b"text/event-stream")
            elif message["type"] == "http.response.body":
                answered += message.get("body", b"")
                if streams:
                    *lines, answered = answered.split(b"\n")
                    for data in (line[5:].strip() for line in lines if line.startswith(b"data:")):
                        if data:  # an event without any only opens the stream
                            add("out", data.decode())
                elif answered and not message.get("more_body"):
                    add("out", answered.decode(errors="replace"))
            await send(message)

        await self._app(scope, heard, said)


async def serve_stdio(server: Warehouse, log: Log) -> None:
    """Serves one client over standard input and output, until input ends."""
    add = log.conversation()
    lines = [anyio.wrap_file(LoggedLines(stream.buffer, add)) for stream in (sys.stdin, sys.stdout)]
    async with stdio_server(*lines) as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def serve_http(server: Warehouse, log: Log) -> None:
    """Serves any number of clients at a free port, whose address is printed once they may connect."""
    app = LoggedExchanges(server.streamable_http_app(), log)
    with socket.create_server((HOST, 0)) as listening:
        print(f"http://{HOST}:{listening.getsockname()[1]}/mcp", flush=True)
        # Streams that clients keep open are not waited for when the server ends.
        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0)
        await uvicorn.Server(config).serve(sockets=[listening])


def main() -> None:
    """Runs the server until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m tasks.mcp.server", description="A server of one tool.")
    parser.add_argument("--behaviour", choices=get_args(Behaviour), default="plain")
    parser.add_argument("--log", type=Path, required=True, help="the file of one run that messages are added to")
    parser.add_argument("--http", action="store_true", help="streamable HTTP in place of standard input and output")
    parser.add_argument("--slow-s", type=float, default=SLOW_S, help="seconds that a slow answer takes")
    asked = parser.parse_args()
    try:
        log = Log(asked.log)
    except OSError as error:
        parser.error(f"the log cannot be written: {error}")
    for number in (signal.SIGINT, signal.SIGTERM):
        # At once: a thread may wait for input for ever, and there is nothing to be lost.
        signal.signal(number, lambda *_: os._exit(0))
    server = Warehouse(asked.behaviour, asked.slow_s, changed=log.has_call())
    try:
        anyio.run(serve_http if asked.http else serve_stdio, server, log)
    except* BrokenPipeError:
        os._exit(0)  # the client is gone, and what was to be written with it


if __name__ == "__main__":
    main()
