"""The checks of `bakeoff doctor -m MODEL`: whether a model's server can do what the tasks need.

The server is asked as in a run, with the endpoint's quirks, and as the frameworks ask: `FORMS` are
the ways of writing a request in which they differ, and the recorded runs say who writes which.
`CHECKS` is the table. What a check asks is a coroutine; what its answers mean is judged by a pure
function of them.
"""

import asyncio
import contextlib
import difflib
import re
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import aiohttp
import orjson

from evaluator.doctor.report import Begun, Finding, Result, Verdict
from evaluator.models.upstreams import Upstream, UpstreamError
from evaluator.models.upstreams.http import HttpUpstream, Server, reason
from evaluator.providers import quirks
from evaluator.providers.endpoint import Endpoint
from evaluator.text import shortened
from evaluator.trace import Trace
from evaluator.wire.bodies import parsed
from evaluator.wire.failures import KEY_REFUSED, NO_ADDRESS, NO_MODEL, Refusal, message_of
from evaluator.wire.messages import completion_of
from evaluator.wire.tokens import count_completion_tokens
from evaluator.wire.usage import usage_of, usages_in
from tasks.base import Step
from tasks.cases import Script

Message = dict[str, Any]
Request = dict[str, Any]

TIME_LIMIT_S = 55.0
"""For all checks together: an answer in under a minute, whatever the server does."""

_FIRST_SHARE, _SHARE = 0.55, 0.28
"""How much of it the first answer may take (some servers load the model only then), and how much any other."""

_LIST_S = 5.0

_MEASURABLE_S = 0.0005
"""Less is no model's time, but the harness's own."""

_SHORT, _TEXT, _CALL = 16, 64, 512
"""Tokens that an answer may have: where only its coming matters, a few words, a tool call after some thinking."""

_THINKING_TIMES = 16
"""How much more a model gets that wants `max_completion_tokens`: its thinking counts, too."""


# --- what was asked and what came back ------------------------------------------------------------


@dataclass(frozen=True)
class Exchange:
    """One request and what came back.

    `status` is 0 where nothing did, and `failure` says why. `response` is a JSON body, the chunks of
    a stream, or a text. `first_s` and `last_s` are when the first and the last piece of text or of a
    tool call came, in seconds since the request was sent.
    """

    request: Request = field(default_factory=dict)
    status: int = 0
    response: Any = None
    failure: str = ""
    timed_out: bool = False
    first_s: float = 0.0
    last_s: float = 0.0
    retry_after: str | None = None

    @property
    def come_back(self) -> str | None:
        """When to come back, if the server says so and that is later than runs wait for."""
        return Refusal(self.status, self.response, self.retry_after).come_back

    @property
    def kind(self) -> str:
        """Which kind of refusal it is, as runs name it; empty where it is none."""
        return Refusal(self.status, self.response, self.retry_after).kind if self.status >= 400 else ""

    @property
    def message(self) -> Message | None:
        """The assistant's message, put together if it was streamed; None where there is none."""
        return completion_of(self.response).message if self.status == 200 else None

    @property
    def refusal(self) -> str:
        """Why there is no message, in one line."""
        if self.failure:
            return self.failure
        told = message_of(self.response) if self.status != 200 else "the response has no message"
        return f"status {self.status}: {told}" if told else f"status {self.status}"


class Examination:
    """Asks one server, within a limit of time for everything together."""

    def __init__(self, upstream: Upstream, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._upstream = upstream
        self._time_limit_s = time_limit_s
        self._deadline = time.monotonic() + time_limit_s
        self.refuses: set[str] = set()
        """Which of `temperature` and `max_tokens` the model refuses; they are left out from then on."""

    @property
    def endpoint(self) -> Endpoint | None:
        """The server; None where the model answers inside the harness."""
        return self._upstream.endpoint if isinstance(self._upstream, HttpUpstream) else None

    @property
    def time_left_s(self) -> float:
        """Seconds until no check may be begun any more."""
        return self._deadline - time.monotonic()

    async def chat(
        self, request: Request, max_tokens: int, share: float = _SHARE, script: Script | None = None
    ) -> Exchange:
        """Ask for a chat completion of at most `max_tokens`, within this share of all time.

        The scripted model answers by `script`.
        """
        limits: Request = {} if "temperature" in self.refuses else {"temperature": 0}
        if "max_tokens" in self.refuses:
            limits["max_completion_tokens"] = max_tokens * _THINKING_TIMES
        else:
            limits["max_tokens"] = max_tokens
        request = {"model": self.endpoint.model if self.endpoint else "model", **limits, **request}
        request, _ = quirks.applied(self.endpoint.quirks if self.endpoint else (), request)
        session = self._upstream.session(script or Script(answer="Ready."))
        limit_s = max(min(share * self._time_limit_s, self.time_left_s), 0.001)
        start = time.monotonic()
        pieces: list[tuple[float, bytes]] = []
        try:
            async with asyncio.timeout(limit_s):
                reply = await self._upstream.chat(orjson.dumps(request), request, session, limit_s)
                if isinstance(reply.body, bytes):
                    pieces.append((time.monotonic() - start, reply.body))
                else:
                    async for piece in reply.body:
                        pieces.append((time.monotonic() - start, piece))
        except TimeoutError:
            return Exchange(request, failure=f"no answer within {limit_s:.0f} s", timed_out=True)
        except UpstreamError as error:
            return Exchange(request, failure=str(error))
        response = session.without_secrets(parsed(b"".join(piece for _, piece in pieces)))
        first_s, last_s = times_of_content(pieces)
        return Exchange(request, reply.status, response, first_s=first_s, last_s=last_s, retry_after=reply.retry_after)

    async def ask(self, method: str, path: str, body: Request | None = None) -> Exchange:
        """Ask for anything else: `path` is put behind the base URL, or from the root if it begins with a slash."""
        assert self.endpoint is not None
        server = Server(self.endpoint)
        limit_s = max(min(_LIST_S if body is None else _SHARE * self._time_limit_s, self.time_left_s), 0.001)
        try:
            async with (
                server.client(timeout=aiohttp.ClientTimeout(total=limit_s)) as client,
                client.request(method, server.url(path), json=body) as response,
            ):
                read = server.redactor.clean(parsed(await response.read()))
                later = response.headers.get("Retry-After")
                return Exchange(body or {}, response.status, read, retry_after=later)
        except TimeoutError:
            return Exchange(body or {}, failure=f"no answer within {limit_s:.0f} s", timed_out=True)
        except (aiohttp.ClientError, OSError) as error:
            return Exchange(body or {}, failure=f"the model's server cannot be used: {reason(error)}")


_CONTENT = re.compile(rb'"(?:content|text|arguments|reasoning|reasoning_content)"\s*:\s*"[^"]')


def times_of_content(pieces: Sequence[tuple[float, bytes]]) -> tuple[float, float]:
    """When the first and the last piece with some text or arguments came; zeros where none has any."""
    times = [at for at, piece in pieces if _CONTENT.search(piece)]
    return (times[0], times[-1]) if times else (0.0, 0.0)


# --- what the recorded runs need ------------------------------------------------------------------


@dataclass(frozen=True)
class Recorded:
    """What is to be expected of runs, from recorded ones.

    `senders` has the frameworks for each way of writing a request, by the name of the check.
    `longest_prompt_tokens` is that of any model call; `calls` and `completion_tokens` are medians of
    a run. All are zero or empty where nothing is recorded.
    """

    senders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    longest_prompt_tokens: int = 0
    calls: float = 0
    completion_tokens: float = 0


def recorded(traces: Iterable[Any], sent: dict[str, Callable[[Request], bool]]) -> Recorded:
    """Look through traces (damaged ones are left out) for what `sent` recognizes, by name."""
    senders: dict[str, set[str]] = {name: set() for name in sent}
    longest, calls, completion = 0, [], []
    for trace in traces:
        if not isinstance(trace, Trace):
            continue
        chats = trace.chats
        for name, recognize in sent.items():
            if trace.key.framework not in senders[name] and any(recognize(call.request) for call in chats):
                senders[name].add(trace.key.framework)
        longest = max([longest, *(call.input_tokens or 0 for call in chats)])
        calls.append(len(chats))
        completion.append(sum(call.output_tokens or 0 for call in chats))
    return Recorded(
        {name: tuple(sorted(frameworks)) for name, frameworks in senders.items()},
        longest,
        statistics.median(calls or [0]),
        statistics.median(completion or [0]),
    )


# --- what is asked --------------------------------------------------------------------------------


def _tool(name: str, description: str) -> Message:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [
    _tool("get_weather", "The weather that a city has now."),
    _tool("get_time", "The time of day that a city has now."),
]
_ASKS_FOR_A_TOOL = {"role": "system", "content": "Answer with the help of the tools. Never guess."}
_ONE = {"role": "user", "content": "What is the weather in Paris?"}
_TWO = {"role": "user", "content": "What is the weather in Paris, and what in Rome? Ask for both at once."}
_RESULT = "17 degrees, drizzle"
_PARIS, _ROME = (Step(tool="get_weather", arguments={"city": city}) for city in ("Paris", "Rome"))
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
_CALL_ID = "a1B2c3D4e"
"""Where no call was made that has an id. Nine letters and digits, since some servers take no others."""


@dataclass
class Seen:
    """What was asked and answered so far, by the name of the check, and what it is judged by."""

    examination: Examination
    recorded: Recorded = field(default_factory=Recorded)
    run_limit_s: float = 0.0
    exchanges: dict[str, list[Exchange]] = field(default_factory=dict)
    come_back: bool = False
    """Whether the server has said to come back later: then nothing more is asked."""

    def last(self, name: str) -> Exchange:
        """The answer that counts: the last one of a check."""
        return self.exchanges[name][-1]

    @property
    def called(self) -> list[Message]:
        """The tool calls that the model made when it was asked for one."""
        return calls_of(self.last("tools").message or {}) if "tools" in self.exchanges else []


Ask = Callable[[Seen], Awaitable[list[Exchange]]]
Judge = Callable[[Seen], Finding]


async def _list_models(seen: Seen) -> list[Exchange]:
    return [await seen.examination.ask("GET", "models")]


async def _first_chat(seen: Seen) -> list[Exchange]:
    """Ask with temperature and limit as frameworks do; without what the model says it does not take."""
    examination, exchanges = seen.examination, []
    request = {"messages": [{"role": "user", "content": "Say the one word: ready"}]}
    while True:
        exchange = await examination.chat(request, _TEXT, _FIRST_SHARE)
        exchanges.append(exchange)
        optional = [name for name in ("temperature", "max_tokens") if name in exchange.request]
        named = {name for name in optional if exchange.status and name in exchange.refusal}
        if exchange.message is not None or not named:
            return exchanges
        examination.refuses |= named


async def _streamed(seen: Seen) -> list[Exchange]:
    words = " ".join(str(number) for number in range(1, 31))
    question = {"role": "user", "content": "Count from 1 to 30: 1 2 3 and so on."}
    request: Request = {"messages": [question], "stream": True}
    script = Script(answer=words)
    usage = {"stream_options": {"include_usage": True}}
    exchanges = [await seen.examination.chat({**request, **usage}, _TEXT, script=script)]
    if exchanges[0].message is None and exchanges[0].status and not exchanges[0].come_back:
        exchanges.append(await seen.examination.chat(request, _TEXT, script=script))
    return exchanges


async def _asked_for(question: Message, steps: list[Step], seen: Seen, **changes: Any) -> list[Exchange]:
    request = {"messages": [_ASKS_FOR_A_TOOL, question], "tools": TOOLS, **changes}
    return [await seen.examination.chat(request, _CALL, script=Script(turns=[steps], answer="17 degrees."))]


async def _given_a_result(seen: Seen) -> list[Exchange]:
    script = Script(turns=[[_PARIS]], answer=f"It has {_RESULT}.")
    return [await seen.examination.chat(conversation(seen.called), _TEXT, script=script)]


async def _asked_for_json(seen: Seen) -> list[Exchange]:
    schema = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": _SCHEMA}}
    request = {
        "messages": [{"role": "user", "content": "Paris has 17 degrees. Give the city and the degrees as JSON."}],
        "response_format": schema,
    }
    return [await seen.examination.chat(request, _TEXT, script=Script(answer='{"city": "Paris", "degrees": 17}'))]


async def _embedded(seen: Seen) -> list[Exchange]:
    endpoint = seen.examination.endpoint
    assert endpoint is not None
    return [await seen.examination.ask("POST", "embeddings", {"model": endpoint.model, "input": ["ready"]})]


_CONTEXT_PAGES = ("/props", "/api/ps", "/info", "/get_server_info")
"""Where llama.cpp, Ollama, Text Generation Inference and SGLang tell it; others do so in their list of models."""


async def _context_pages(seen: Seen) -> list[Exchange]:
    endpoint = seen.examination.endpoint
    assert endpoint is not None
    pages = [seen.last("reachable")]
    for path in _CONTEXT_PAGES:
        if any(context_of(page.response, endpoint.model) for page in pages):
            break
        pages.append(await seen.examination.ask("GET", path))
    return pages


# --- the ways of writing a request in which frameworks differ -------------------------------------


def conversation(called: Sequence[Message] = ()) -> Request:
    """A conversation that is at a tool's result, written as the OpenAI client writes it."""
    made = next((call for call in called if call.get("id")), {"id": _CALL_ID})
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    call = {"id": made["id"], "type": "function", "function": function}
    messages = [
        _ASKS_FOR_A_TOOL,
        _ONE,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": made["id"], "content": _RESULT},
    ]
    return {"messages": messages, "tools": TOOLS}


@dataclass(frozen=True)
class Form:
    """One way of writing a request: what it does to `conversation()`, and how to recognize it in a recorded one.

    `quirk` is the one that writes it otherwise. A form that cannot be `combined` is always asked alone.
    """

    name: str
    title: str
    write: Callable[[Request], Request]
    sent: Callable[[Request], bool]
    quirk: str | None = None
    combined: bool = True


def _with(**fields: Any) -> Callable[[Request], Request]:
    return lambda request: {**request, **fields}


def _changed(role: str, change: Callable[[Message], list[Message]]) -> Callable[[Request], Request]:
    """Puts other messages in the place of those of a role."""

    def write(request: Request) -> Request:
        messages = [new for old in request["messages"] for new in (change(old) if old["role"] == role else [old])]
        return {**request, "messages": messages}

    return write


def _named(request: Request) -> Request:
    request = _changed("assistant", lambda message: [{**message, "name": "helper"}])(request)
    return _changed("tool", lambda message: [{**message, "name": "get_weather"}])(request)


def _strictly(request: Request) -> Request:
    tools = []
    for tool in request["tools"]:
        function = tool["function"]
        parameters = {**function["parameters"], "additionalProperties": False}
        tools.append({**tool, "function": {**function, "parameters": parameters, "strict": True}})
    return {**request, "tools": tools}


def _in_a_row(role: str) -> Callable[[Request], bool]:
    return lambda request: any(
        first.get("role") == second.get("role") == role for first, second in pairwise(_messages(request))
    )


def _messages(request: Request) -> list[Message]:
    return [message for message in request.get("messages") or [] if isinstance(message, dict)]


def _any_message(has: Callable[[Message], bool]) -> Callable[[Request], bool]:
    return lambda request: any(has(message) for message in _messages(request))


FORMS = (
    Form(
        *("tool_choice", "tool_choice: auto", _with(tool_choice="auto")),
        lambda request: request.get("tool_choice") == "auto",
    ),
    Form(
        *("parallel_tool_calls", "parallel_tool_calls", _with(parallel_tool_calls=False)),
        lambda request: request.get("parallel_tool_calls") is not None,
        quirk="drop_parallel_tool_calls",
    ),
    Form(
        *("strict", "tools with strict: true", _strictly),
        lambda request: any(tool.get("function", {}).get("strict") for tool in request.get("tools") or []),
        quirk="drop_strict",
    ),
    Form(
        *("nulls", "null for what is not set", _with(response_format=None, stop=None)),
        lambda request: None in request.values(),
        quirk="drop_nulls",
    ),
    Form(
        *("null_content", "null content beside a tool call"),
        _changed("assistant", lambda message: [{**message, "content": None}]),
        _any_message(lambda message: message.get("content", "") is None),
        quirk="null_content_to_empty",
    ),
    Form(
        *("empty_content", "empty content beside a tool call"),
        _changed("assistant", lambda message: [{**message, "content": ""}]),
        _any_message(lambda message: bool(message.get("tool_calls")) and message.get("content") == ""),
        combined=False,
    ),
    Form(
        *("text_parts", "text as a list of parts"),
        _changed("user", lambda message: [{**message, "content": [{"type": "text", "text": message["content"]}]}]),
        _any_message(lambda message: isinstance(message.get("content"), list)),
        quirk="join_text_parts",
    ),
    Form(
        *("names", "names on messages", _named),
        _any_message(lambda message: message.get("name") is not None),
        quirk="drop_message_names",
    ),
    Form(
        *("user_twice", "user messages in a row"),
        _changed("user", lambda message: [{"role": "user", "content": "Hello."}, message]),
        _in_a_row("user"),
    ),
    Form(
        *("assistant_twice", "assistant messages in a row"),
        _changed("assistant", lambda message: [{"role": "assistant", "content": "I look it up."}, message]),
        _in_a_row("assistant"),
    ),
    Form(
        *("empty_tools", "an empty list of tools"),
        lambda request: {"messages": [{"role": "user", "content": "Hello."}], "tools": []},
        lambda request: request.get("tools") == [],
        quirk="drop_empty_tools",
        combined=False,
    ),
)


async def _all_forms(seen: Seen) -> list[Exchange]:
    """All at once that can be; where that is refused, each will be asked alone."""
    request = conversation(seen.called)
    for form in FORMS:
        if form.combined:
            request = form.write(request)
    return [await seen.examination.chat(request, _SHORT)]


async def _one_form(form: Form, seen: Seen) -> list[Exchange]:
    """Ask alone, unless all at once were taken; where refused, with the quirk that writes it otherwise."""
    if form.combined and seen.last("forms").message is not None:
        return seen.exchanges["forms"]
    request = form.write(conversation(seen.called))
    exchanges = [await seen.examination.chat(request, _SHORT)]
    if exchanges[0].message is None and exchanges[0].status and form.quirk and not exchanges[0].come_back:
        mended, _ = quirks.applied([form.quirk], request)
        exchanges.append(await seen.examination.chat(mended, _SHORT))
    return exchanges


# --- judging --------------------------------------------------------------------------------------


def _ok(found: str, **measured: Any) -> Finding:
    return Finding(Verdict.OK, found, measured=measured)


def _limited(found: str, **measured: Any) -> Finding:
    return Finding(Verdict.LIMITED, found, measured=measured)


def _fails(found: str, todo: str = "") -> Finding:
    return Finding(Verdict.FAILS, found, todo)


def judge_reachable(seen: Seen) -> Finding:
    """Anything that speaks HTTP will do, unless it says itself that it is not ready."""
    listed = seen.last("reachable")
    if not listed.status:
        return _fails(listed.failure)
    if listed.status in (502, 503, 504):
        return _fails(f"not ready: {listed.refusal}", "Wait until the server has loaded its model, and try again.")
    return _ok(f"it answers (status {listed.status})")


_NOT_LET_IN = Finding(Verdict.NOT_MADE, "it builds on the key")


def judge_key(seen: Seen) -> Finding:
    """Whether the key was refused, in the list of models or in a chat."""
    endpoint = seen.examination.endpoint
    if endpoint is None:
        return Finding(Verdict.NOT_APPLICABLE, "the model answers inside the harness")
    has_key = bool(endpoint.key)
    for exchange in (*seen.exchanges["key"], *seen.exchanges.get("reachable", [])):
        if exchange.kind == KEY_REFUSED:
            return _fails(f"{'refused' if has_key else 'wanted, and none was given'}: {exchange.refusal}")
    chat = seen.last("key")
    if not chat.status:
        return Finding(Verdict.NOT_MADE, chat.failure)
    if chat.status == 403:
        return Finding(Verdict.NOT_MADE, "the server refuses the request, and does not say that it is for the key")
    return _ok("accepted" if has_key else "none given, none wanted")


def judge_model(seen: Seen) -> Finding:
    """Whether the server has a model of this name: by its list, and by its answer."""
    endpoint, chat = seen.examination.endpoint, seen.last("key")
    assert endpoint is not None
    if chat.kind == KEY_REFUSED:
        return _NOT_LET_IN
    names = models_of(seen.last("reachable").response)
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    if endpoint.model in names:
        return _ok("in the server's list of models")
    if chat.message is None:
        if not chat.status:
            return Finding(Verdict.NOT_MADE, chat.failure)
        if not names:
            return Finding(Verdict.NOT_MADE, "the server has no list of models")
        near = difflib.get_close_matches(endpoint.model, names, 1, 0.3)
        return _fails(f"not there; the server has {listed}", f"Did you mean {near[0]}?" if near else "")
    if not names:
        return _ok("it answers; the server has no list of models")
    return _limited(f"it answers, but the server's list has only {listed}")


def models_of(response: Any) -> list[str]:
    """The names in a list of models; none where it is not one."""
    data = response.get("data") if isinstance(response, dict) else response
    return [str(one["id"]) for one in data if isinstance(one, dict) and "id" in one] if isinstance(data, list) else []


def judge_chat(seen: Seen) -> Finding:
    """Whether there is an answer with some text in it."""
    exchange = seen.last("key")
    message = exchange.message
    if exchange.kind == KEY_REFUSED:
        return _NOT_LET_IN
    if message is None:
        if exchange.timed_out:
            return _fails(exchange.refusal, f"{_MORE_TIME} See what the server itself logs.")
        return _fails(exchange.refusal, {NO_MODEL: _RIGHT_NAME, NO_ADDRESS: _RIGHT_ADDRESS}.get(exchange.kind, ""))
    completion = completion_of(exchange.response)
    if text := _quoted(completion.text):
        return _told(exchange, f"it says {text!r}")
    if completion.calls:
        return _limited(f"it asks for the tool {_quoted(completion.calls[0].name)!r}, though it was offered none")
    if completion.reasoning or _cut_off(exchange):
        return _limited(f"no text within {_TEXT} tokens: it thinks first")
    return _fails("the answer is empty")


def judge_accepts(name: str, seen: Seen) -> Finding:
    """Whether `temperature` or `max_tokens` was refused on the way to the first answer."""
    if name not in seen.examination.refuses:
        return _ok("accepted")
    refused = next(exchange for exchange in seen.exchanges["key"] if name in exchange.refusal)
    quirk = "drop_temperature" if name == "temperature" else "max_completion_tokens"
    return _fails(f"refused ({refused.refusal}); without it the model answers", _advice(quirk))


def judge_usage(name: str, seen: Seen) -> Finding:
    """Whether the last answer of a check says how many tokens it took."""
    response = seen.last(name).response
    usage = usage_of("chat_completions", response)
    if usage.prompt is None or usage.completion is None:
        said = next((orjson.dumps(one).decode() for one in usages_in("chat_completions", response)), None)
        why = f"what it says cannot be: {shortened(said, 100)}" if said else "the server does not say"
        return _limited(f"{why}; the harness counts with a tokenizer of its own")
    thought = f", {usage.reasoning} of them to think" if usage.reasoning else ""
    told = f"{usage.prompt} prompt and {usage.completion} completion tokens{thought}"
    return _ok(told, prompt_tokens=usage.prompt, completion_tokens=usage.completion)


def judge_stream(seen: Seen) -> Finding:
    """Whether a stream comes as one."""
    exchange = seen.last("stream")
    if exchange.message is None:
        return _fails(exchange.refusal)
    if not isinstance(exchange.response, list):
        return _fails("the answer comes as one JSON body, not as a stream of events")
    if exchange.first_s == exchange.last_s:
        return _limited(f"{len(exchange.response)} chunks, but all at once")
    return _told(exchange, f"{len(exchange.response)} chunks", chunks=len(exchange.response))


def judge_stream_options(seen: Seen) -> Finding:
    """Whether `stream_options` is taken, and gives the usage."""
    first = seen.exchanges["stream"][0]
    if first.message is None:
        return _fails(f"stream_options is refused ({first.refusal})", _advice("drop_stream_options"))
    return judge_usage("stream", seen)


def judge_first_token(seen: Seen) -> Finding:
    """How long the first piece of a streamed answer took."""
    first_s = seen.last("stream").first_s
    if first_s < _MEASURABLE_S:
        return Finding(Verdict.NOT_APPLICABLE, "too fast to be measured")
    return _ok(f"{first_s:.2f} s", first_token_s=round(first_s, 3))


def judge_speed(seen: Seen) -> Finding:
    """Tokens a second of a streamed answer, and what a run that is like the recorded ones takes of its limit."""
    exchange = seen.last("stream")
    said = usage_of("chat_completions", exchange.response).completion
    tokens = said or count_completion_tokens(exchange.message or {})
    seconds = exchange.last_s - exchange.first_s or exchange.last_s
    if seconds < _MEASURABLE_S or tokens < 2:
        return Finding(Verdict.NOT_APPLICABLE, "too fast, or too short, to be measured")
    speed = (tokens - 1) / seconds
    needs = seen.recorded
    run_s = needs.calls * exchange.first_s + needs.completion_tokens / speed
    told = f"{speed:.1f} tokens a second"
    if needs.calls:
        told += (
            f"; {needs.calls:.0f} calls with {needs.completion_tokens:.0f} tokens together, as in the median of the "
            f"recorded runs, take {run_s:.0f} s and the time to read the prompts"
        )
    measured = {"tokens_per_s": round(speed, 2), "run_s": round(run_s, 1)}
    if run_s > seen.run_limit_s / 2:
        return Finding(Verdict.LIMITED, f"{told}; a run may take {seen.run_limit_s:.0f} s", measured=measured)
    return _ok(told, **measured)


def judge_tools(seen: Seen) -> Finding:
    """Whether a request with tools is taken at all."""
    exchange = seen.last("tools")
    return _ok("accepted") if exchange.message is not None else _fails(exchange.refusal)


def judge_call(name: str, seen: Seen) -> Finding:
    """Whether the model made the one call that it was asked for, in the form that clients read."""
    exchange = seen.last(name)
    if exchange.message is None:
        return _fails(exchange.refusal)
    calls = calls_of(exchange.message)
    if not calls:
        if name != "tools" and seen.called:
            return _fails("the call is lost in the stream; without streaming it is there")
        return _no_call(exchange)
    return _worst_problem(calls) or _ok(f"get_weather({calls[0]['function']['arguments']})")


def _no_call(exchange: Exchange) -> Finding:
    text = _quoted(completion_of(exchange.response).text)
    if "get_weather" in text or '"city"' in text:
        return _fails(
            f"the call comes as text: {text!r}",
            "Start the server with the tool parser or chat template of this model: see docs/models.md.",
        )
    if _cut_off(exchange):
        return _limited(f"no call within {_CALL} tokens")
    return _fails(f"it answers without a call: {text!r}")


def calls_of(message: Message) -> list[Message]:
    """The tool calls of a message that can be read at all."""
    calls = message.get("tool_calls")
    readable = calls if isinstance(calls, list) else []
    return [one for one in readable if isinstance(one, dict) and isinstance(one.get("function"), dict)]


def call_problem(call: Message) -> Finding | None:
    """What is wrong with a call of `get_weather` with a city; None if nothing is."""
    name, arguments = call["function"].get("name"), call["function"].get("arguments")
    if isinstance(arguments, dict):
        return _fails("the arguments come as an object; clients read JSON text")
    try:
        read = orjson.loads(arguments or "")
    except (orjson.JSONDecodeError, TypeError):
        return _fails(f"the arguments are not JSON: {_quoted(arguments)!r}")
    if not call.get("id"):
        return _fails("the call has no id, so that no result can be matched with it")
    if name != "get_weather" or not isinstance(read, dict) or not isinstance(read.get("city"), str):
        return _limited(f"it calls {name}({_quoted(arguments)})")
    return None


def _worst_problem(calls: Sequence[Message]) -> Finding | None:
    """A problem that makes runs fail, if a call has one, else any; None if all calls are sound."""
    problems = [problem for call in calls if (problem := call_problem(call))]
    return max(problems, key=lambda problem: problem.verdict is Verdict.FAILS, default=None)


def judge_two_calls(name: str, seen: Seen) -> Finding:
    """Whether two calls can come in one turn, each with its own id and city."""
    exchange = seen.last(name)
    if exchange.message is None:
        return _fails(exchange.refusal)
    calls = calls_of(exchange.message)
    if problem := _worst_problem(calls):
        return problem
    if len(calls) < 2:
        return _limited(f"{len(calls)} of 2 calls in the first turn")
    if len({call["id"] for call in calls}) < len(calls):
        return _fails("the calls have the same id, so that results cannot be matched with them")
    return _ok(f"{len(calls)} calls")


def judge_result(seen: Seen) -> Finding:
    """Whether a tool's result is taken, and used."""
    exchange = seen.last("tool_result")
    message = exchange.message
    if message is None:
        return _fails(exchange.refusal)
    text = completion_of(exchange.response).text
    if "17" in text or "drizzle" in text:
        return _told(exchange, f"it says {_quoted(text)!r}")
    if calls_of(message):
        return _limited("it calls again")
    return _told(exchange, f"it does not use the result: {_quoted(text)!r}", Verdict.LIMITED)


def judge_json(seen: Seen) -> Finding:
    """Whether an answer keeps to a JSON schema."""
    exchange = seen.last("json_schema")
    if exchange.message is None:
        return _fails(exchange.refusal)
    text = completion_of(exchange.response).text
    try:
        read = orjson.loads(text)
    except orjson.JSONDecodeError:
        read = None
    kept = isinstance(read, dict) and read.keys() == {"city", "degrees"} and isinstance(read["degrees"], int)
    return _ok(_quoted(text)) if kept else _limited(f"accepted, but not kept to: {_quoted(text)!r}")


def judge_forms(seen: Seen) -> Finding:
    """Whether all forms that can be in one request are taken together."""
    exchange = seen.last("forms")
    return _ok("accepted") if exchange.message is not None else _limited(f"refused ({exchange.refusal})")


def judge_form(form: Form, seen: Seen) -> Finding:
    """Whether this way of writing a request is taken; where not, whether the quirk mends it."""
    exchanges = seen.exchanges[form.name]
    if exchanges[0].message is not None:
        return _ok("accepted")
    if form.quirk and exchanges[-1].message is not None:
        return _fails(f"refused ({exchanges[0].refusal}); otherwise written it is accepted", _advice(form.quirk))
    return _fails(f"refused ({exchanges[0].refusal})")


def _advice(quirk: str) -> str:
    return f'Add "{quirk}" to the quirks of this endpoint in your models.toml: see docs/models.md.'


def judge_embeddings(seen: Seen) -> Finding:
    """Whether the server embeds texts, too."""
    exchange = seen.last("embeddings")
    with contextlib.suppress(AttributeError, LookupError, TypeError):
        dimensions = len(exchange.response["data"][0]["embedding"])
        return _ok(f"{dimensions} dimensions; runs do not use them", dimensions=dimensions)
    return Finding(Verdict.NOT_APPLICABLE, f"none ({exchange.refusal}); runs use those of the harness")


def judge_context(seen: Seen) -> Finding:
    """Whether the longest recorded prompt fits into what the server says it holds."""
    endpoint = seen.examination.endpoint
    assert endpoint is not None
    said = (context_of(page.response, endpoint.model) for page in seen.exchanges["context"])
    tokens = next((tokens for tokens in said if tokens), None)
    needed = seen.recorded.longest_prompt_tokens
    needs = f"the longest recorded prompt has {needed:,} tokens" if needed else "nothing is recorded to compare with"
    if tokens is None:
        return Finding(Verdict.NOT_MADE, f"the server does not say; {needs}")
    told = f"{tokens:,} tokens; {needs}"
    return _limited(told, context_tokens=tokens) if tokens < needed else _ok(told, context_tokens=tokens)


_CONTEXT_FIELDS = (
    *("n_ctx", "max_model_len", "loaded_context_length", "context_length", "context_window", "max_context_length"),
    *("max_total_tokens", "max_total_num_tokens", "n_ctx_train"),
)
"""Names under which servers tell their context size, those for what is really held before those of the model."""


def context_of(response: Any, model: str) -> int | None:
    """The context size that a server's page tells, in tokens: of `model` where it lists several models."""
    entries = response.get("data") or response.get("models") if isinstance(response, dict) else None
    if isinstance(entries, list):
        named = [one for one in entries if isinstance(one, dict) and model in (one.get("id"), one.get("name"))]
        response = named[0] if named else entries[0] if len(entries) == 1 else None
    found = dict(_numbers(response))
    return next((found[name] for name in _CONTEXT_FIELDS if found.get(name)), None)


def _numbers(value: Any) -> Iterator[tuple[str, int]]:
    """Every whole number inside, with the name of its field."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, int) and not isinstance(inner, bool):
                yield name, inner
            else:
                yield from _numbers(inner)


def _quoted(text: Any) -> str:
    return shortened(text, 60) if isinstance(text, str) else ""


def _cut_off(exchange: Exchange) -> bool:
    """Whether the answer was ended by its limit of tokens."""
    return completion_of(exchange.response).finish_reason == "length"


def _told(exchange: Exchange, found: str, verdict: Verdict = Verdict.OK, **measured: Any) -> Finding:
    """What was found of an answer, and what is to be known of the form in which it comes."""
    completion = completion_of(exchange.response)
    if completion.reasoning:
        found += "; what it thinks before is kept, and is no part of its answer"
    if completion.in_parts:
        found += "; the text comes as a list of parts, which many frameworks cannot read"
        return Finding(Verdict.LIMITED, found, "See whether the server can send one text.", _NO_TEXT, measured)
    return Finding(verdict, found, measured=measured)


# --- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """One check. `ask` puts questions to the server; `judge` is pure; `means` and `todo` are for where it fails.

    It is made only where those that it `requires` did not fail. Where there is `sent`, it is needed
    if a framework's recorded runs have what it recognizes; without, if `needed`. `of_server` is
    whether it is about the server, which a model inside the harness has not.
    """

    name: str
    title: str
    judge: Judge
    means: str
    todo: str = ""
    ask: Ask | None = None
    requires: tuple[str, ...] = ("chat",)
    sent: Callable[[Request], bool] | None = None
    needed: bool = True
    of_server: bool = False


_NO_RUN = "No run can be made."
_NO_TEXT = "The runs of frameworks that read only a text fail."
_RIGHT_ADDRESS = "Is the base URL right? It mostly ends in /v1."
_RIGHT_NAME = "Give the model's name as the server has it."
_MORE_TIME = "Give the checks more time, with --time-limit."
_THOSE_RUNS = "The runs of the frameworks that send it fail."
_NO_TOOLS = "Every run fails in which an agent has tools, or a framework searches with one."

CHECKS = (
    Check(
        *("reachable", "server answers", judge_reachable, _NO_RUN),
        todo="Start the server, and give its address with --base-url or in your models.toml.",
        ask=_list_models,
        requires=(),
        of_server=True,
    ),
    Check(
        *("key", "key", judge_key, _NO_RUN),
        todo="Set the endpoint's key variable to a valid key, or name the variable with --key-variable.",
        ask=_first_chat,
        requires=("reachable",),
    ),
    Check(
        *("model", "model is there", judge_model, "No run can be made, or not with the model that you mean."),
        todo=_RIGHT_NAME,
        requires=("reachable",),
        of_server=True,
    ),
    Check(
        *("chat", "chat", judge_chat, "No run can be made; if the model only thinks long, runs take longer."),
        todo="See what the server itself logs; a model that thinks may have a switch for less of it.",
        requires=("reachable",),
    ),
    Check(
        *("usage", "token usage", partial(judge_usage, "key")),
        means="The harness counts tokens itself, with another tokenizer: fit for comparing, not for bills.",
        todo="Nothing need be done.",
    ),
    Check(
        *("temperature", "temperature 0", partial(judge_accepts, "temperature"), _THOSE_RUNS),
        sent=lambda request: request.get("temperature") is not None,
    ),
    Check(
        *("max_tokens", "max_tokens", partial(judge_accepts, "max_tokens"), _THOSE_RUNS),
        sent=lambda request: request.get("max_tokens") is not None,
    ),
    Check(
        *(
            "stream",
            "streamed chat",
            judge_stream,
            "The runs of the frameworks that stream fail, or have no first token.",
        ),
        todo="See whether the server, or a proxy before it, has streaming turned off.",
        ask=_streamed,
        sent=lambda request: request.get("stream") is True,
    ),
    Check(
        *("stream_options", "token usage when streamed", judge_stream_options),
        means="Streamed calls fail, or the harness counts their tokens itself, with another tokenizer.",
        todo="Nothing need be done where the server only does not say.",
        sent=lambda request: bool(request.get("stream_options")),
        requires=("stream",),
    ),
    Check(*("first_token", "time to first token", judge_first_token, ""), requires=("stream",), needed=False),
    Check(
        *("speed", "tokens a second", judge_speed, "Many runs end at their time limit and count as failed."),
        todo="Give runs more time with --timeout, or take a smaller model or faster machine.",
        requires=("stream",),
        needed=False,
    ),
    Check(
        *("tools", "tools", judge_tools, _NO_TOOLS),
        todo="Take a model that is made for tool calls, and start the server with its tool parser: see docs/models.md.",
        ask=partial(_asked_for, _ONE, [_PARIS]),
    ),
    Check(
        *("tool_call", "one tool call", partial(judge_call, "tools"), _NO_TOOLS),
        todo="Take a model that is made for tool calls.",
        requires=("tools",),
    ),
    Check(
        *("tool_call_streamed", "one tool call, streamed", partial(judge_call, "tool_call_streamed")),
        means="The runs of the frameworks that stream get no usable tool call.",
        todo="Take another version of the server, or leave out these frameworks with -f.",
        ask=partial(_asked_for, _ONE, [_PARIS], stream=True),
        sent=lambda request: request.get("stream") is True and bool(request.get("tools")),
        requires=("tools", "stream"),
    ),
    Check(
        *("two_calls", "two tool calls in one turn", partial(judge_two_calls, "two_calls")),
        means="Runs take more turns, which costs tokens; where both calls are mangled, they fail.",
        todo="Nothing need be done; a bigger model may do better.",
        ask=partial(_asked_for, _TWO, [_PARIS, _ROME]),
        requires=("tool_call",),
    ),
    Check(
        *("two_calls_streamed", "two tool calls, streamed", partial(judge_two_calls, "two_calls_streamed")),
        means="The runs of the frameworks that stream take more turns; where both calls are mangled, they fail.",
        todo="Take another version of the server, or leave out these frameworks with -f.",
        ask=partial(_asked_for, _TWO, [_PARIS, _ROME], stream=True),
        sent=lambda request: request.get("stream") is True and bool(request.get("tools")),
        requires=("two_calls", "tool_call_streamed"),
    ),
    Check(
        *("tool_result", "tool result", judge_result),
        means="Where a result is refused or not used, no answer that rests on it can be right.",
        todo="If it is the model that does not use the result, take a bigger one.",
        ask=_given_a_result,
        requires=("tools",),
    ),
    Check(
        *("forms", "all forms of requests together", judge_forms),
        means="Each form is asked for alone, below.",
        todo="See which of them fails.",
        ask=_all_forms,
        requires=("tools",),
        needed=False,
    ),
    *(
        Check(
            *(form.name, form.title, partial(judge_form, form), _THOSE_RUNS),
            todo="Leave out these frameworks with -f, or take another server.",
            ask=partial(_one_form, form),
            requires=("tools",) if form.name != "empty_tools" else ("chat",),
            sent=form.sent,
        )
        for form in FORMS
    ),
    Check(
        *("json_schema", "JSON schema", judge_json, "Structured output cannot be had this way."),
        todo="Nothing need be done for the tasks: they ask for text.",
        ask=_asked_for_json,
        sent=lambda request: bool(request.get("response_format")),
    ),
    Check(
        *("context", "context size", judge_context, "Long prompts are refused, or cut without a word."),
        todo="Start the server with a bigger context: see docs/models.md.",
        ask=_context_pages,
        of_server=True,
    ),
    Check(
        *("embeddings", "embeddings", judge_embeddings, ""),
        ask=_embedded,
        needed=False,
        of_server=True,
    ),
)


def sent_forms() -> dict[str, Callable[[Request], bool]]:
    """How to recognize in recorded requests what checks are about, by the name of the check."""
    return {check.name: check.sent for check in CHECKS if check.sent is not None}


async def examine(seen: Seen, begun: Begun) -> AsyncIterator[Result]:
    """Make the checks of the table, one after the other."""
    verdicts: dict[str, Verdict] = {}
    for check in CHECKS:
        begun(check.title)
        finding = await _made(check, seen, verdicts)
        verdicts[check.name] = finding.verdict
        sent_by = seen.recorded.senders.get(check.name, ())
        needed = seen.come_back or (bool(sent_by) if check.sent is not None else check.needed)
        yield Result(check.name, check.title, finding, finding.means or check.means, check.todo, needed, sent_by)


async def _made(check: Check, seen: Seen, verdicts: dict[str, Verdict]) -> Finding:
    if check.of_server and seen.examination.endpoint is None:
        return Finding(Verdict.NOT_APPLICABLE, "the model answers inside the harness")
    lacking = [name for name in check.requires if verdicts[name] in (Verdict.FAILS, Verdict.NOT_MADE)]
    if lacking:
        return Finding(Verdict.NOT_MADE, f"it builds on {_title(lacking[0])!r}")
    if seen.come_back:
        return Finding(Verdict.NOT_MADE, "the server said to come back later")
    if check.ask is not None:
        if seen.examination.time_left_s <= 0:
            return Finding(Verdict.NOT_MADE, "no time was left", todo=_MORE_TIME)
        seen.exchanges[check.name] = await check.ask(seen)
        last = seen.last(check.name)
        if last.come_back:
            seen.come_back = True
            return Finding(Verdict.FAILS, last.come_back, "Check again then.", "Every run stops there.")
        if check.requires != () and check.name != "key":
            if last.timed_out:
                return Finding(Verdict.NOT_MADE, last.failure, todo=_MORE_TIME)
            if last.failure and last.request and check.needed:
                return _fails(last.failure, "See whether the server still runs, and what it logs.")
    return check.judge(seen)


def _title(name: str) -> str:
    return next(check.title for check in CHECKS if check.name == name)
